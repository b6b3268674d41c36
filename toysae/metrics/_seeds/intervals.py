"""Intervals of a mean and of a share, from a formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._inputs import numbers, refuse_infinite


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it."""

    mean: float
    """The estimate; NaN without values."""
    low: float
    """Lower bound; NaN where undefined."""
    high: float
    """Upper bound; NaN where undefined."""
    n: int
    """Values the estimate rests on."""
    method: str
    """How the bounds were made."""
    confidence: float
    """Probability that such an interval covers the truth."""


def check_confidence(confidence: float) -> None:
    """Raises `DataError` unless `confidence` is a probability strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise DataError(f"confidence={confidence}: expected a probability between 0 and 1")


def check_resamples(n_resamples: int) -> None:
    """Raises `DataError` unless there is something to resample into."""
    if n_resamples < 1:
        raise DataError(f"{n_resamples} resamples: expected at least one")


def seed_interval(values: ArrayLike | Tensor, confidence: float = 0.95) -> Interval:
    """Student t interval of the mean over seeds, `mean +- t_{n-1} sd / sqrt(n)`.

    The mean is in the range of the values; the bounds of the interval may leave it.

    Args:
        values: one number a seed, `[n]`.
        confidence: coverage.

    Returns:
        The interval; NaN bounds for fewer than two seeds.

    Raises:
        ShapeError: not one axis.
        DataError: NaN or infinity, or a confidence outside (0, 1).

    Source: Student 1908.
    """
    check_confidence(confidence)
    sample = numbers(values, "values")
    n = len(sample)
    mean = float(sample.mean()) if n else math.nan
    half = math.nan
    if n > 1:
        half = _t_quantile(confidence, n) * float(sample.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, "student t", confidence)


def jackknife_over_seeds(
    values: Mapping[tuple[str, str], float], confidence: float = 0.95
) -> Interval:
    """Mean over pairs of seeds, with an interval from leaving out one seed at a time.

    Pairs that share a seed depend on each other, so `n (n - 1) / 2` pairs are not that many
    observations. With `t_i` the mean over pairs without seed `i`, the standard error is
    `sqrt((n - 1) / n sum (t_i - mean t)^2)`, and the interval is Student's with `n - 1` degrees.
    The mean is in the range of the values; the bounds of the interval may leave it.

    Args:
        values: one number for each pair of seeds; NaN makes the result NaN.
        confidence: coverage.

    Returns:
        The interval, `n` being the number of seeds; NaN bounds where no pair is left without some
        seed, as for fewer than three seeds.

    Raises:
        DataError: an infinite value, or a confidence outside (0, 1).

    Source: Arvesen 1969, "Jackknifing U-statistics".
    """
    check_confidence(confidence)
    refuse_infinite(torch.tensor([*values.values()], dtype=torch.float64), "values")
    seeds = sorted({seed for pair in values for seed in pair})
    n = len(seeds)
    mean = float(np.mean(list(values.values()))) if values else math.nan
    half = math.nan
    without = [[v for pair, v in values.items() if seed not in pair] for seed in seeds]
    if seeds and all(without):
        means = np.array([np.mean(left) for left in without])
        error = math.sqrt((n - 1) / n * float(((means - means.mean()) ** 2).sum()))
        half = _t_quantile(confidence, n) * error
    return Interval(mean, mean - half, mean + half, n, "jackknife over seeds", confidence)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion, such as the share of seeds that found a feature.

    Args:
        successes: seeds with success.
        n: seeds.
        confidence: coverage.

    Returns:
        The interval, in [0, 1] and never empty; all NaN for `n = 0`.

    Raises:
        DataError: `successes` outside 0..n, or a confidence outside (0, 1).

    Source: Wilson 1927; computed by `scipy.stats.binomtest`.
    """
    check_confidence(confidence)
    if not 0 <= successes <= n:
        raise DataError(f"{successes} successes of {n}: expected between 0 and {n}")
    low = high = share = math.nan
    if n:
        share = successes / n
        low, high = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(share, float(low), float(high), n, "wilson", confidence)


def _t_quantile(confidence: float, n: int) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, n - 1))
