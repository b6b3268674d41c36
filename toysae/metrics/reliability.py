"""Whether a metric tells conditions apart, or would give other numbers for other seeds.

A metric is worth reporting where its value varies between conditions by more than between seeds of
one condition. Standard deviations are those of a sample (`n - 1`). Few seeds know their own spread
badly: with 6, the standard deviation is off by a third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._inputs import finite, numbers, refuse_infinite, require_axes


@dataclass(frozen=True)
class SignalToNoise:
    """Variance between conditions against variance between seeds of one condition."""

    between: float
    """Variance of the conditions' means; NaN for fewer than two conditions."""
    within: float
    """Mean variance over seeds; NaN for fewer than two seeds."""
    n_conditions: int
    """Conditions."""
    n_seeds: int
    """Seeds of each condition."""

    @property
    def ratio(self) -> float:
        """`between / within`, at least 0; NaN where seeds do not vary."""
        return self.between / self.within if self.within > 0 else math.nan

    @property
    def chance(self) -> float:
        """The mean of `ratio` where conditions do not differ and seeds are normal.

        `n_seeds ratio` is then an F statistic with `c - 1` and `c (n - 1)` degrees of freedom, of
        mean `c (n - 1) / (c (n - 1) - 2)`; NaN for 2 degrees of freedom or fewer.
        """
        free = self.n_conditions * (self.n_seeds - 1)
        return free / (free - 2) / self.n_seeds if free > 2 else math.nan


@dataclass(frozen=True)
class IntraclassCorrelation:
    """How much of the variance of single values is between items, in three models of the rest."""

    one_way: float
    """ICC(1,1): each item has seeds of its own; at most 1; NaN where undefined."""
    agreement: float
    """ICC(2,1): the same seeds for all items, and a shift of a seed counts as disagreement."""
    consistency: float
    """ICC(3,1): the same seeds for all items, and a shift of a seed is forgiven."""
    n_items: int
    """Items."""
    n_seeds: int
    """Seeds."""


@dataclass(frozen=True)
class Clustering:
    """How much tokens of one sequence depend on each other, and what that costs."""

    icc: float
    """One-way intraclass correlation, from `-1 / (n_0 - 1)` to 1; NaN where undefined."""
    size: float
    """Tokens of a sequence, `sum n_s^2 / sum n_s`; NaN without tokens."""
    n_defined: int
    """Tokens that are defined."""

    @property
    def design_effect(self) -> float:
        """`1 + (size - 1) icc`: how many times the variance of a mean is that of free tokens."""
        return 1 + (self.size - 1) * self.icc

    @property
    def effective_n(self) -> float:
        """Independent tokens that the mean is worth, `n_defined / design_effect`."""
        return self.n_defined / self.design_effect if self.design_effect > 0 else math.nan


def reseed_variation(values: ArrayLike | Tensor) -> float:
    """Coefficient of variation over seeds, `sd / |mean|`.

    For metrics with a meaningful zero only; it changes when a constant is added.

    Args:
        values: one number a seed, `[n]`.

    Returns:
        In [0, ∞), 0 is best; NaN for fewer than two seeds or a mean of 0.

    Raises:
        ShapeError: not one axis.
        DataError: NaN or infinity.

    Source: reseed coefficient of variation of the SAEBench audit (arXiv 2605.18229).
    """
    sample = numbers(values, "values")
    if len(sample) < 2 or sample.mean() == 0:
        return math.nan
    return float(sample.std(ddof=1) / abs(sample.mean()))


def signal_to_noise(values: Tensor) -> SignalToNoise:
    """Variance between conditions over variance between seeds, `var_c(mean_s v) / mean_c var_s(v)`.

    Of `n` seeds, a metric that cannot tell conditions apart has about `1 / n`, not 0: compare with
    `SignalToNoise.chance`. What a seed adds to all conditions counts as noise, though differences
    of paired runs are free of it. Invariant to a constant and a scale.

    Args:
        values: one number a condition and seed, `[conditions, seeds]`.

    Returns:
        Both variances; the ratio is at least 0, and large is good.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity.

    Source: reseed signal-to-noise of the SAEBench audit (arXiv 2605.18229).
    """
    table = _table(values, "[conditions, seeds]")
    conditions, seeds = table.shape
    between = float(table.mean(axis=1).var(ddof=1)) if conditions > 1 and seeds else math.nan
    within = float(table.var(axis=1, ddof=1).mean()) if conditions and seeds > 1 else math.nan
    return SignalToNoise(between, within, conditions, seeds)


def smallest_claimable_difference(values: Tensor) -> float:
    """Smallest difference of two single runs that is more than their seeds, `2 sqrt(2) sd_seed`.

    The difference of two runs of one condition has standard deviation `sqrt(2) sd`, and exceeds
    twice that in 4.6% of normal cases; with `sd` itself from 6 seeds, in 10%. For the difference of
    means of `n` seeds each, divide by `sqrt(n)`. Grows with the scale of the values.

    Args:
        values: one number a seed `[seeds]`, or `[conditions, seeds]`, whose variances are averaged.

    Returns:
        The difference, at least 0; NaN for fewer than two seeds.

    Raises:
        ShapeError: other than one or two axes.
        DataError: NaN or infinity.

    Source: textbook, two standard deviations of a difference.
    """
    table = _table(values[None] if values.ndim == 1 else values, "[conditions, seeds]")
    if table.shape[1] < 2 or not len(table):
        return math.nan
    return 2 * math.sqrt(2 * float(table.var(axis=1, ddof=1).mean()))


def intraclass_correlation(values: Tensor) -> IntraclassCorrelation:
    """Share of the variance of single values that is between items, for feature-level metrics.

    From the mean squares of items `B`, seeds `J`, within items `W` and residual `E`, with `n` items
    and `k` seeds: `(B - W) / (B + (k-1) W)`, `(B - E) / (B + (k-1) E + k (J - E) / n)` and
    `(B - E) / (B + (k-1) E)`. Say which one is reported: they differ severalfold on the same data.

    Args:
        values: one number an item and seed, `[items, seeds]`; items must be matched over seeds.

    Returns:
        All three, at most 1, 0 where items differ by chance only; NaN for fewer than two items or
        seeds, or where nothing varies.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity.

    Source: Shrout and Fleiss 1979, "Intraclass correlations: uses in assessing rater reliability".
    """
    table = _table(values, "[items, seeds]")
    n, k = table.shape
    if n < 2 or k < 2:
        return IntraclassCorrelation(math.nan, math.nan, math.nan, n, k)
    item, seed = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    rest = table - item - seed + table.mean()
    items = k * item.var(ddof=1)
    seeds = n * seed.var(ddof=1)
    within = ((table - item) ** 2).sum() / (n * (k - 1))
    residual = (rest**2).sum() / ((n - 1) * (k - 1))
    return IntraclassCorrelation(
        _share(items - within, items + (k - 1) * within),
        _share(items - residual, items + (k - 1) * residual + k * (seeds - residual) / n),
        _share(items - residual, items + (k - 1) * residual),
        n,
        k,
    )


def clustering(values: Tensor) -> Clustering:
    """One-way intraclass correlation of tokens within sequences of any lengths.

    With `B` and `W` the mean squares between and within sequences, `N` tokens in `S` sequences of
    `n_s`: `(B - W) / (B + (n_0 - 1) W)`, `n_0 = (N - sum n_s^2 / N) / (S - 1)`.

    Args:
        values: one number a token, `[sequences, positions]`; NaN is undefined and not counted.

    Returns:
        The correlation, from `-1 / (n_0 - 1)` to 1, 0 for independent tokens; and the design effect
        that it makes, up to `sum n_s^2 / N`, which may be negative only for unequal lengths. NaN
        for fewer than two sequences, without two tokens in any, or where nothing varies.

    Raises:
        ShapeError: not two axes.
        DataError: an infinite value.

    Source: Donner 1986, "A review of inference procedures for the intraclass correlation
    coefficient"; design effect: Kish 1965, "Survey Sampling".
    """
    require_axes(values, "values", "[sequences, positions]")
    values = values.detach().to(torch.float64)
    refuse_infinite(values, "values")
    sizes = (~torch.isnan(values)).sum(dim=1)
    values, sizes = values[sizes > 0], sizes[sizes > 0].double()
    tokens, sequences = int(sizes.sum()), len(sizes)
    if tokens <= sequences or sequences < 2:
        size = float((sizes**2).sum() / tokens) if tokens else math.nan
        return Clustering(math.nan, size, tokens)
    means = values.nanmean(dim=1)
    grand = (sizes * means).sum() / tokens
    between = float((sizes * (means - grand) ** 2).sum()) / (sequences - 1)
    within = float((values - means[:, None]).square().nansum()) / (tokens - sequences)
    squared = float((sizes**2).sum()) / tokens
    typical = (tokens - squared) / (sequences - 1)
    return Clustering(_share(between - within, between + (typical - 1) * within), squared, tokens)


def design_effect(size: float, icc: float) -> float:
    """By how much clusters inflate the variance of a mean, `1 + (m - 1) icc`.

    Args:
        size: values of each cluster `m`, at least 1.
        icc: intraclass correlation, in [-1, 1].

    Returns:
        The factor; 1 for independent values or clusters of one, `m` for copies.

    Raises:
        DataError: a size that is below 1 or infinite, or an impossible correlation.

    Source: Kish 1965, "Survey Sampling".
    """
    if not 1 <= size < math.inf or not -1 <= icc <= 1:
        raise DataError(
            f"size={size}, icc={icc}: expected a finite size of at least 1 and icc in [-1, 1]"
        )
    return 1 + (size - 1) * icc


def spearman_brown(reliability: float, factor: float) -> float:
    """Reliability of the mean of `factor` times as many seeds, `k r / (1 + (k - 1) r)`.

    Args:
        reliability: of one, such as `IntraclassCorrelation.one_way`, in [0, 1].
        factor: how many times as many seeds `k`, above 0.

    Returns:
        In [0, 1], rising with the factor.

    Raises:
        DataError: a reliability outside [0, 1], or a factor that is not above 0 or infinite.

    Source: Spearman 1910; Brown 1910.
    """
    if not 0 <= reliability <= 1 or not 0 < factor < math.inf:
        raise DataError(
            f"reliability={reliability}, factor={factor}: expected one in [0, 1], and a finite one "
            "above 0"
        )
    return factor * reliability / (1 + (factor - 1) * reliability)


def _table(values: Tensor, axes: str) -> NDArray[np.float64]:
    require_axes(values, "values", axes)
    return finite(values, "values").cpu().numpy()


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
