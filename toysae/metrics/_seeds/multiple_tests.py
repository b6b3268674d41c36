"""P-values adjusted for the number of tests of a family that was fixed before looking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._inputs import refuse_infinite


def bonferroni(p_values: Tensor, family: int | None = None) -> Tensor:
    """P-values adjusted for the probability of any false rejection, `min(1, p k)`.

    Rejecting `bonferroni(p) < level` keeps the probability of one or more false rejections among
    the `k` tests below `level`, however they depend on each other. `holm` does the same and is
    never weaker.

    Args:
        p_values: any shape; NaN is undefined and stays NaN.
        family: tests that were registered beforehand, looked at or not; all defined ones if None.

    Returns:
        Adjusted p-values, float64, of the same shape, in [0, 1].

    Raises:
        DataError: a value outside [0, 1].
        ShapeError: a family smaller than the number of defined p-values.

    Source: Dunn 1961, "Multiple comparisons among means".
    """
    return _adjusted(p_values, family, lambda p: np.minimum(1, p * len(p)))


def holm(p_values: Tensor, family: int | None = None) -> Tensor:
    """P-values adjusted for the probability of any false rejection, one after another.

    `q_(i) = max_{j <= i} min(1, p_(j) (k - j + 1))` for the `k` p-values in ascending order.
    Never above `bonferroni`, never below the p-value, and with the same guarantee.

    Args:
        p_values: any shape; NaN is undefined and stays NaN.
        family: tests that were registered beforehand, looked at or not; all defined ones if None.

    Returns:
        Adjusted p-values, float64, of the same shape, in [0, 1].

    Raises:
        DataError: a value outside [0, 1].
        ShapeError: a family smaller than the number of defined p-values.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    return _adjusted(p_values, family, _step_down)


def benjamini_hochberg(p_values: Tensor, family: int | None = None) -> Tensor:
    """P-values adjusted for the false discovery rate.

    `q_(i) = min_{j >= i} min(1, p_(j) k / j)` for the `k` p-values in ascending order; rejecting
    `q < level` keeps the expected share of false rejections below `level`. Never below the
    p-value it adjusts.

    Args:
        p_values: any shape; NaN is undefined and stays NaN.
        family: tests that were registered beforehand, looked at or not; all defined ones if None.

    Returns:
        Adjusted p-values, float64, of the same shape, in [0, 1].

    Raises:
        DataError: a value outside [0, 1].
        ShapeError: a family smaller than the number of defined p-values.

    Source: Benjamini and Hochberg 1995; computed by `scipy.stats.false_discovery_control`.
    """
    return _adjusted(p_values, family, stats.false_discovery_control)


def bonferroni_z(n_tests: int, level: float = 0.05) -> float:
    """How many standard deviations one of `n_tests` two-sided tests must reach to be rejected.

    `z = Phi^-1(1 - level / (2 n))`: 1.96 for one test, 4.75 for one of 24,576 latents.

    Args:
        n_tests: tests of the family, at least 1.
        level: probability of one or more false rejections.

    Returns:
        The threshold of `|z|`, positive.

    Raises:
        DataError: no tests, or a level outside (0, 1).

    Source: Dunn 1961.
    """
    if n_tests < 1 or not 0 < level < 1:
        raise DataError(
            f"n_tests={n_tests}, level={level}: expected at least 1 test and a level in (0, 1)"
        )
    return float(stats.norm.isf(level / (2 * n_tests)))


def _step_down(p: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, raised)
    return adjusted


def _adjusted(
    p_values: Tensor,
    family: int | None,
    adjust: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Tensor:
    """The defined p-values after `adjust`, as if the rest of the family had given p = 1."""
    adjusted = p_values.detach().to(torch.float64, copy=True)
    refuse_infinite(adjusted, "p_values")
    defined = ~torch.isnan(adjusted)
    tests = adjusted[defined].cpu().numpy()
    if ((tests < 0) | (tests > 1)).any():
        raise DataError(f"p_values from {tests.min()} to {tests.max()}: expected [0, 1]")
    n_unseen = 0 if family is None else family - len(tests)
    if n_unseen < 0:
        raise ShapeError(
            f"family={family} for {len(tests)} p-values: expected all tests that were registered"
        )
    if len(tests):
        everything = adjust(np.concatenate([tests, np.ones(n_unseen)]))
        adjusted[defined] = torch.from_numpy(everything[: len(tests)]).to(adjusted.device)
    return adjusted
