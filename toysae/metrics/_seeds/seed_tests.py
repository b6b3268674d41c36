"""Paired tests between two conditions that share their seeds."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import numbers

_MAX_ENUMERATED = 16
_FEWEST_SEEDS = 6


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


@dataclass(frozen=True)
class PairedTest:
    """A two-sided paired test."""

    method: str
    """Which test."""
    mean: float
    """Mean difference; NaN without seeds."""
    statistic: float
    """Student's t, or the smaller of the two rank sums; NaN where undefined."""
    p_value: float
    """Two-sided p-value; NaN where undefined."""
    n: int
    """Differences that the test rests on."""


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
    sample = _enumerable(differences)
    n = len(sample)
    _warn_of_few(n, f"{n} seeds cannot reach a p-value below {minimum_p(n):g}")
    if n == 0:
        return SignFlipTest(math.nan, math.nan, 0)
    return SignFlipTest(float(sample.mean()), _sign_flip_p(sample), n)


def wilcoxon_test(differences: ArrayLike | Tensor) -> PairedTest:
    """Exact two-sided signed-rank test: are the differences symmetric about zero?

    With `r` the ranks of `|d|` (ties share their mean rank), the statistic is
    `min(sum_{d > 0} r, sum_{d < 0} r)`, and p is the share of all `2^n` patterns of signs that
    give so small a one. Exact with ties too, where `scipy.stats.wilcoxon(method="exact")` is not.

    Args:
        differences: one difference a seed, `[n]`, at most 16; zeros are left out.

    Returns:
        The test, `n` counting the differences that are not zero; NaN without any.

    Raises:
        ShapeError: not one axis, or more seeds than can be enumerated.
        DataError: NaN or infinity.

    Warns:
        UserWarning: for fewer than 6 such differences, which cannot reach p = 0.05.

    Source: Wilcoxon 1945, "Individual comparisons by ranking methods".
    """
    sample = _enumerable(differences)
    mean = float(sample.mean()) if len(sample) else math.nan
    moved = sample[sample != 0]
    n = len(moved)
    _warn_of_few(n, f"{n} seeds with a difference cannot reach a p-value below {minimum_p(n):g}")
    if n == 0:
        return PairedTest("wilcoxon", mean, math.nan, math.nan, 0)
    ranks = stats.rankdata(np.abs(moved))
    smaller = min(ranks[moved > 0].sum(), ranks[moved < 0].sum())
    return PairedTest("wilcoxon", mean, float(smaller), _sign_flip_p(np.sign(moved) * ranks), n)


def paired_t_test(differences: ArrayLike | Tensor) -> PairedTest:
    """Two-sided paired t test of a mean difference, `t = mean / (sd / sqrt(n))`.

    Exact for normal differences only, which few seeds cannot show: report it beside
    `sign_flip_test`, which assumes symmetry alone.

    Args:
        differences: one difference a seed, `[n]`.

    Returns:
        The test, its p-value in [0, 1]; NaN for fewer than two differences, or where they are all
        equal.

    Raises:
        ShapeError: not one axis.
        DataError: NaN or infinity.

    Warns:
        UserWarning: for fewer than 6 seeds.

    Source: Student 1908; computed by `scipy.stats.ttest_1samp`.
    """
    sample = numbers(differences, "differences")
    n = len(sample)
    _warn_of_few(n, f"{n} seeds cannot show whether a t test applies to them")
    statistic = p_value = math.nan
    if n and np.ptp(sample) > 0:
        statistic, p_value = (float(x) for x in stats.ttest_1samp(sample, 0))
    return PairedTest("t", float(sample.mean()) if n else math.nan, statistic, p_value, n)


def minimum_p(n: int) -> float:
    """Smallest two-sided p-value that a sign-flip test of `n` pairs can give, `2^(1 - n)`.

    Args:
        n: number of pairs.

    Returns:
        The p-value, in (0, 1]; 1 for no pairs.

    Raises:
        ShapeError: `n < 0`.

    Source: textbook, the smallest tail of the sign-flip distribution.
    """
    if n < 0:
        raise ShapeError(f"n={n}: expected a count of at least 0")
    return min(1.0, 2.0 ** (1 - n))


def _enumerable(differences: ArrayLike | Tensor) -> NDArray[np.float64]:
    sample = numbers(differences, "differences")
    if len(sample) > _MAX_ENUMERATED:
        raise ShapeError(
            f"{len(sample)} differences: exact enumeration takes at most {_MAX_ENUMERATED}; "
            "use scipy.stats.permutation_test for more"
        )
    return sample


def _warn_of_few(n: int, finding: str) -> None:
    if n < _FEWEST_SEEDS:
        warnings.warn(f"{finding}: use at least {_FEWEST_SEEDS}", UserWarning, stacklevel=3)


def _sign_flip_p(sample: NDArray[np.float64]) -> float:
    """Share of all sign patterns whose sum is as far from 0 as that of `sample`."""
    n = len(sample)
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    flipped, observed = np.abs(signs @ sample), abs(sample.sum())
    # Sums that differ by rounding are ties, and ties count as at least as extreme.
    rounding = 1e-12 * np.abs(sample).sum()
    return float(np.mean(flipped >= observed - rounding))
