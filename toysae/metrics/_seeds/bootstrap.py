"""Bootstrap over seeds, enumerated where seeds are few, and over items within seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import ndtr, ndtri
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._inputs import numbers
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import rows_within
from toysae.metrics._seeds.intervals import Interval, check_confidence, check_resamples

Array = NDArray[np.float64]

_MAX_ENUMERATED = 8
# Item resamples drawn at once, so that a block stays small and Ctrl-C is heard.
_DRAWS_AT_ONCE = 2**22


@dataclass(frozen=True)
class BootstrapDistribution:
    """What resampling makes of an estimate, and the intervals read from it."""

    estimate: float
    """The statistic of what was measured; NaN without values."""
    values: Array
    """Statistics of the resamples, ascending, `[k]`."""
    ways: NDArray[np.int64]
    """Equally likely resamples that give each of `values`, `[k]`."""
    leave_one_out: Array
    """The statistic without each seed, `[n]`."""
    origin: str
    """What was resampled, and whether all resamples were enumerated."""

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.leave_one_out)

    @property
    def sd(self) -> float:
        """Standard deviation over all resamples: the standard error; NaN without resamples."""
        if not len(self.values):
            return math.nan
        mean = np.average(self.values, weights=self.ways)
        return math.sqrt(np.average((self.values - mean) ** 2, weights=self.ways))

    def quantile(self, q: float) -> float:
        """Quantile over all resamples, interpolated linearly as `numpy.quantile` does."""
        if not len(self.values) or math.isnan(q):
            return math.nan
        last = np.cumsum(self.ways)
        place = q * (int(last[-1]) - 1)
        below, above = self.values[
            np.searchsorted(last, [math.floor(place), math.ceil(place)], side="right")
        ]
        return float(below + (place - math.floor(place)) * (above - below))

    def percentile_interval(self, confidence: float = 0.95) -> Interval:
        """Central share of the resamples; too narrow for few seeds.

        Raises:
            DataError: a confidence outside (0, 1).
        """
        check_confidence(confidence)
        tails = ((1 - confidence) / 2, (1 + confidence) / 2)
        return self._interval(tails, "percentile", confidence)

    def bca_interval(self, confidence: float = 0.95) -> Interval:
        """Bias-corrected and accelerated; NaN bounds where leaving out any seed changes nothing.

        Raises:
            DataError: a confidence outside (0, 1).
        """
        check_confidence(confidence)
        tails = (math.nan, math.nan)
        if len(self.values) and np.ptp(self.leave_one_out) > self._rounding:
            deviations = self.leave_one_out.mean() - self.leave_one_out
            spread = float((deviations**2).sum())
            acceleration = float((deviations**3).sum()) / (6 * spread**1.5)
            bias = float(ndtri(self._share_below()))
            z = bias + ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
            low, high = ndtr(bias + z / (1 - acceleration * z))
            tails = (float(low), float(high))
        return self._interval(tails, "BCa", confidence)

    @property
    def _rounding(self) -> float:
        return 1e-12 * float(np.abs(self.values).max())

    def _share_below(self) -> float:
        """Share of resamples below the estimate; those at it count one half."""
        gap = self.values - self.estimate
        at = np.abs(gap) <= self._rounding
        return float(np.average(np.where(at, 0.5, gap < 0), weights=self.ways))

    def _interval(self, tails: tuple[float, float], kind: str, confidence: float) -> Interval:
        low, high = (self.quantile(q) for q in tails)
        return Interval(self.estimate, low, high, self.n, f"{kind}, {self.origin}", confidence)


def bootstrap_interval(
    values: ArrayLike | Tensor,
    statistic: Callable[..., Any] = np.mean,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    n_resamples: int = 9999,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of any statistic over seeds.

    Bounds are percentiles of the resampled statistic, and in its range. Too narrow for few seeds:
    for a mean of fewer than about 20 use `seed_interval`.

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
        DataError: NaN or infinity, a confidence outside (0, 1), or no resamples.

    Source: Efron 1987; computed by `scipy.stats.bootstrap`.
    """
    check_confidence(confidence)
    check_resamples(n_resamples)
    sample = numbers(values, "values")
    n = len(sample)
    estimate = float(statistic(sample)) if n else math.nan
    low = high = math.nan
    if n > 1:
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


def exact_bootstrap(
    values: ArrayLike | Tensor, statistic: Callable[..., Any] = np.mean
) -> BootstrapDistribution:
    """The bootstrap distribution of a statistic over few seeds, all `n^n` resamples of it.

    No draws, so no seed and no error of sampling. Its intervals are still too narrow for few
    seeds: the variance is `(n - 1) / n` of the unbiased one, and the tails are those of `n`
    values. `seed_interval` is wider and honest for a mean.

    Args:
        values: one number a seed, `[n]`, at most 8.
        statistic: function of an array with an `axis` argument, blind to the order.

    Returns:
        The distribution; without resamples for fewer than two seeds.

    Raises:
        ShapeError: not one axis, or more than 8 seeds.
        DataError: NaN or infinity.

    Source: Fisher and Hall 1991, "Bootstrap algorithms for small samples".
    """
    sample = numbers(values, "values")
    n = len(sample)
    if n > _MAX_ENUMERATED:
        raise ShapeError(
            f"{n} seeds: exact enumeration takes at most {_MAX_ENUMERATED}; "
            "use bootstrap_interval for more"
        )
    estimate = float(statistic(sample, axis=-1)) if n else math.nan
    if n < 2:
        return _distribution(estimate, np.zeros(0), np.zeros(0, np.int64), np.zeros(n), "seeds")
    rows, ways = _all_resamples(n)
    left = np.stack([np.delete(sample, i) for i in range(n)])
    return _distribution(
        estimate,
        np.asarray(statistic(sample[rows], axis=-1)),
        ways,
        np.asarray(statistic(left, axis=-1)),
        "seeds, all resamples",
    )


def hierarchical_bootstrap(
    items: Sequence[ArrayLike | Tensor],
    *,
    seed: int = 0,
    n_resamples: int = 9999,
    report: Report | None = None,
) -> BootstrapDistribution:
    """Bootstrap of `mean_seeds mean_items v`: resamples seeds, then items within each of them.

    The features of one SAE are no independent observations, and a bootstrap over all of them
    together is far too narrow. Seeds are enumerated up to 8, and drawn beyond; items are drawn,
    from `n_resamples` resampled means of each seed. Where items vary much more than seeds, it
    counts their part twice and is a little wide (Davison and Hinkley 1997, section 3.8); with few
    seeds it is too narrow, as any bootstrap over them: by `(n - 1) / n` in the variance.

    Args:
        items: values of the items of each seed, `n` arrays `[items]` of any lengths.
        seed: of the resampling; the same seed gives the same distribution.
        n_resamples: resamples, at least; all of the seeds' resamples where they are enumerated.
        report: called as `(seeds done, seeds)`.

    Returns:
        The distribution, in the range of the items; without resamples for fewer than two seeds.

    Raises:
        ShapeError: items of a seed with other than one axis.
        DataError: NaN or infinity, a seed without items, or no resamples.

    Source: Davison and Hinkley 1997, section 3.8.
    """
    check_resamples(n_resamples)
    samples = [numbers(values, f"items[{i}]") for i, values in enumerate(items)]
    n = len(samples)
    for i, sample in enumerate(samples):
        if not len(sample):
            raise DataError(f"items[{i}] is empty: expected at least one item of every seed")
    means = np.array([sample.mean() for sample in samples])
    estimate = float(means.mean()) if n else math.nan
    if n < 2:
        return _distribution(estimate, np.zeros(0), np.zeros(0, np.int64), np.zeros(n), "seeds")
    rng = np.random.default_rng(seed)
    pools = np.stack([_resampled_means(s, n_resamples, rng) for s in reported(samples, n, report)])
    if n <= _MAX_ENUMERATED:
        rows, ways = _all_resamples(n)
        rounds = -(-n_resamples // len(rows))
        rows, ways = np.tile(rows, (rounds, 1)), np.tile(ways, rounds)
        origin = "all resamples of seeds, then items drawn"
    else:
        rows = rng.integers(n, size=(n_resamples, n))
        ways = np.ones(n_resamples, np.int64)
        origin = "seeds, then items drawn"
    drawn = pools[rows, rng.integers(n_resamples, size=rows.shape)].mean(axis=1)
    without = (means.sum() - means) / (n - 1)
    return _distribution(estimate, drawn, ways, without, origin)


def _distribution(
    estimate: float, values: Array, ways: NDArray[np.int64], without: Array, origin: str
) -> BootstrapDistribution:
    order = np.argsort(values, kind="stable")
    return BootstrapDistribution(estimate, values[order], ways[order], without, origin)


def _resampled_means(sample: Array, n_resamples: int, rng: np.random.Generator) -> Array:
    """Means of `n_resamples` resamples of the items of one seed."""
    rows = rows_within(_DRAWS_AT_ONCE, len(sample))
    blocks = [min(rows, n_resamples - start) for start in range(0, n_resamples, rows)]
    return np.concatenate(
        [sample[rng.integers(len(sample), size=(k, len(sample)))].mean(axis=1) for k in blocks]
    )


@lru_cache(maxsize=_MAX_ENUMERATED)
def _all_resamples(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every multiset of `n` of `n` seeds, and how many of the `n^n` ordered resamples it is."""
    rows = np.array(list(combinations_with_replacement(range(n), n)), dtype=np.int64)
    counts = (rows[:, :, None] == np.arange(n)).sum(axis=1)
    factorials = np.array([math.factorial(k) for k in range(n + 1)], dtype=np.int64)
    return rows, factorials[n] // factorials[counts].prod(axis=1)
