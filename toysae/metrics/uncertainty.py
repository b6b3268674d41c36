"""How sure a result is; the unit of replication is the seed, for features of one SAE depend.

Values are one number a seed; NaN is refused, because which seeds are missing is never random.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._inputs import numbers, refuse_infinite

_MAX_ENUMERATED = 16
_FEWEST_SEEDS = 6


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


@dataclass(frozen=True)
class SignFlipTest:
    """Exact paired test of a mean difference."""

    mean: float
    """Mean difference; NaN without seeds."""
    p_value: float
    """Two-sided p-value; NaN without seeds."""
    n: int
    """Seeds."""

    @property
    def minimum_p(self) -> float:
        """Smallest p-value that so many seeds can reach."""
        return minimum_p(self.n)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise DataError(f"confidence={confidence}: expected a probability between 0 and 1")


def seed_interval(values: ArrayLike | Tensor, confidence: float = 0.95) -> Interval:
    """Student t interval of the mean over seeds, `mean +- t_{n-1} sd / sqrt(n)`.

    Args:
        values: one number a seed, `[n]`.
        confidence: coverage.

    Returns:
        The interval; NaN bounds for fewer than two seeds.

    Raises:
        ShapeError: not one axis.
        DataError: NaN or infinity, or a confidence outside (0, 1).
    """
    _check_confidence(confidence)
    sample = numbers(values, "values")
    n = len(sample)
    mean = float(sample.mean()) if n else math.nan
    half = math.nan
    if n > 1:
        quantile = float(stats.t.ppf((1 + confidence) / 2, n - 1))
        half = quantile * float(sample.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, "student t", confidence)


def bootstrap_interval(
    values: ArrayLike | Tensor,
    statistic: Callable[..., Any] = np.mean,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    n_resamples: int = 9999,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of any statistic over seeds.

    Too narrow for few seeds: for a mean of fewer than about 20 use `seed_interval`.

    Args:
        values: one number a seed, `[n]`.
        statistic: function of an array, with an `axis` argument where it has one.
        seed: of the resampling; the same seed gives the same interval.
        confidence: coverage.
        n_resamples: bootstrap samples.

    Returns:
        The interval, `mean` being the statistic of the values; NaN bounds for fewer than two
        values or where all resamples give the same statistic.

    Raises:
        ShapeError: not one axis.
        DataError: NaN or infinity, or a confidence outside (0, 1).

    Source: Efron 1987; computed by `scipy.stats.bootstrap`.
    """
    _check_confidence(confidence)
    sample = numbers(values, "values")
    n = len(sample)
    estimate = float(statistic(sample)) if n else math.nan
    low = high = math.nan
    if n > 1 and np.ptp(sample) > 0:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            result = stats.bootstrap(
                (sample,),
                statistic,
                n_resamples=n_resamples,
                confidence_level=confidence,
                method="BCa",
                random_state=np.random.default_rng(seed),
            )
        low, high = (float(x) for x in result.confidence_interval)
    return Interval(estimate, low, high, n, "bootstrap BCa", confidence)


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
    _check_confidence(confidence)
    if not 0 <= successes <= n:
        raise DataError(f"{successes} successes of {n}: expected between 0 and {n}")
    low = high = share = math.nan
    if n:
        share = successes / n
        low, high = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(share, float(low), float(high), n, "wilson", confidence)


def sign_flip_test(differences: ArrayLike | Tensor) -> SignFlipTest:
    """Exact two-sided paired test: is the mean difference between two conditions zero?

    `p = #{signs s in {-1, 1}^n: |mean(s d)| >= |mean(d)|} / 2^n`, all enumerated. Pairs must share
    their seed. Invariant to the order and to a common scale.

    Args:
        differences: one difference a seed, `[n]`, at most 16.

    Returns:
        Mean and p-value, which lies in [`minimum_p(n)`, 1]; NaN for no seeds.

    Raises:
        ShapeError: not one axis, or more seeds than can be enumerated.
        DataError: NaN or infinity.

    Warns:
        UserWarning: for fewer than 6 seeds, which cannot reach p = 0.05 whatever they show.

    Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    sample = numbers(differences, "differences")
    n = len(sample)
    if n > _MAX_ENUMERATED:
        raise ShapeError(
            f"{n} differences: exact enumeration takes at most {_MAX_ENUMERATED}; "
            "use scipy.stats.permutation_test for more"
        )
    if n < _FEWEST_SEEDS:
        warnings.warn(
            f"{n} seeds cannot reach a p-value below {minimum_p(n):g}: "
            f"use at least {_FEWEST_SEEDS}",
            UserWarning,
            stacklevel=2,
        )
    if n == 0:
        return SignFlipTest(math.nan, math.nan, 0)
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    flipped, observed = np.abs(signs @ sample), abs(sample.sum())
    # Sums that differ by rounding are ties, and ties count as at least as extreme.
    rounding = 1e-12 * np.abs(sample).sum()
    return SignFlipTest(float(sample.mean()), float(np.mean(flipped >= observed - rounding)), n)


def minimum_p(n: int) -> float:
    """Smallest two-sided p-value that a sign-flip test of `n` pairs can give, `2^(1 - n)`.

    Args:
        n: number of pairs.

    Returns:
        The p-value, in (0, 1]; 1 for no pairs.

    Raises:
        ShapeError: `n < 0`.
    """
    if n < 0:
        raise ShapeError(f"n={n}: expected a count of at least 0")
    return min(1.0, 2.0 ** (1 - n))


def benjamini_hochberg(p_values: Tensor) -> Tensor:
    """P-values adjusted for the false discovery rate.

    `q_(i) = min_{j >= i} min(1, p_(j) k / j)` for the `k` defined p-values in ascending order;
    rejecting `q < level` keeps the expected share of false rejections below `level`. Never below
    the p-value it adjusts.

    Args:
        p_values: any shape; NaN is undefined, stays NaN and does not count as a test.

    Returns:
        Adjusted p-values, float64, of the same shape, in [0, 1].

    Raises:
        DataError: a value outside [0, 1].

    Source: Benjamini and Hochberg 1995; computed by `scipy.stats.false_discovery_control`.
    """
    adjusted = p_values.detach().to(torch.float64, copy=True)
    refuse_infinite(adjusted, "p_values")
    defined = ~torch.isnan(adjusted)
    tests = adjusted[defined].cpu().numpy()
    if ((tests < 0) | (tests > 1)).any():
        raise DataError("p_values leave [0, 1]: expected probabilities")
    if len(tests):
        controlled = stats.false_discovery_control(tests, method="bh")
        adjusted[defined] = torch.from_numpy(controlled).to(adjusted.device)
    return adjusted
