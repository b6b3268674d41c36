"""What random directions reach: the level that every dictionary similarity is read against.

All laws are for one fixed direction and `m` independent uniform directions in R^d. They hold for
any fixed first dictionary, so `expected_max_cosine` is exactly the expected mean max cosine from
that dictionary to a random one. In few dimensions that level is high: 0.92 for the absolute cosine
with four directions of the plane.

What has no closed form, such as the level of a matching, is simulated between two random
dictionaries. Real dictionaries are not isotropic: this is the first of several null models, and
`toysae.metrics.nulls` has the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.integrate import quad
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics import _sphere
from toysae.metrics._inputs import refuse_infinite
from toysae.metrics._simulation import (
    HungarianChance,
    Simulated,
    expected_hungarian,
    simulated_chance,
)
from toysae.metrics._sphere import check_sizes

__all__ = [
    "HungarianChance",
    "Simulated",
    "chance_corrected",
    "expected_hungarian",
    "expected_max_abs_cosine",
    "expected_max_cosine",
    "max_abs_cosine_quantile",
    "max_cosine_quantile",
    "prob_max_abs_cosine_above",
    "prob_max_cosine_above",
    "simulated_chance",
]

Value = TypeVar("Value", float, Tensor)

# The integrand falls from 1 to 0 in a window that is tiny for large d or m. Outside of the
# quantiles at this probability it is 1 or 0 to rounding, and quadrature would miss the window.
_NEVER = 1e-17


def _check_cosine(t: float) -> None:
    if not np.isfinite(t):
        raise DataError(f"t={t}: expected a finite cosine")


def _check_probability(p: float) -> None:
    if not 0 < p < 1:
        raise DataError(f"p={p}: expected a probability between 0 and 1, both excluded")


def _expected_maximum(
    tail: Callable[[float, int, int], ArrayLike], low: float, high: float, d: int, m: int
) -> float:
    """`E[max of m] = low + integral of P(max > t)`, where the maximum lies in `[low, high]`."""
    integral, _ = quad(tail, low, high, args=(d, m), epsabs=1e-13, epsrel=1e-10)
    return low + integral


def expected_max_cosine(d: int, m: int) -> float:
    """Expected largest cosine between a fixed direction and `m` random ones.

    `E = 1 - integral_{-1}^{1} F_d(t)^m dt` with `F_d` the law of one cosine, by quadrature. For
    `d = 1` it is `1 - 2 * 2^-m`, for `d = 3` it is `(m - 1) / (m + 1)`. Grows with `m`, falls with
    `d`; in [0, 1]. The usual `sqrt(2 ln m / d)` lies above it: by 11 to 19 % at 64 to 768
    dimensions, by more in fewer.

    Args:
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The expectation; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    if m == 0:
        return np.nan
    if d == 1:
        return 1 - 2 * 2.0**-m
    low = float(_sphere.cosine_quantile(_NEVER ** (1 / m), d))
    high = -float(_sphere.cosine_quantile(_NEVER / m, d))
    return _expected_maximum(_sphere.max_cosine_tail, low, high, d, m)


def expected_max_abs_cosine(d: int, m: int) -> float:
    """Expected largest absolute cosine between a fixed direction and `m` random ones.

    `E = 1 - integral_0^1 G_d(t)^m dt` with `G_d` the law of one absolute cosine, by quadrature; 1
    for `d = 1`. Grows with `m`, falls with `d`; in [0, 1].

    Args:
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The expectation; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    if m == 0:
        return np.nan
    if d == 1:
        return 1.0
    low = float(_sphere.abs_cosine_quantile(_NEVER ** (1 / m), d))
    high = float(_sphere.abs_cosine_upper_quantile(_NEVER / m, d))
    return _expected_maximum(_sphere.max_abs_cosine_tail, low, high, d, m)


def prob_max_cosine_above(t: float, d: int, m: int) -> float:
    """Probability that the best of `m` random directions has a cosine above `t`.

    `P = 1 - F_d(t)^m`, accurate down to the smallest floats. In [0, 1].

    Args:
        t: the cosine to beat.
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The probability; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.
        DataError: `t` is not finite.

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    _check_cosine(t)
    return float(_sphere.max_cosine_tail(t, d, m)) if m else np.nan


def prob_max_abs_cosine_above(t: float, d: int, m: int) -> float:
    """Probability that the best of `m` random directions has an absolute cosine above `t`.

    `P = 1 - G_d(t)^m`, accurate down to the smallest floats. In [0, 1].

    Args:
        t: the absolute cosine to beat.
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The probability; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.
        DataError: `t` is not finite.

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    _check_cosine(t)
    return float(_sphere.max_abs_cosine_tail(t, d, m)) if m else np.nan


def max_cosine_quantile(p: float, d: int, m: int) -> float:
    """The cosine that `m` random directions stay within, with probability `p`.

    The smallest `t` with `F_d(t)^m >= p`. `p = 0.95` is the 5 % level of the isotropic null. Grows
    with `p` and `m`; in [-1, 1].

    Args:
        p: the probability, in (0, 1).
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The cosine; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.
        DataError: `p` is not within (0, 1).

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    _check_probability(p)
    if m == 0:
        return np.nan
    if d == 1:
        return -1.0 if 0.5**m >= p else 1.0
    return -float(_sphere.cosine_quantile(_sphere.each_of(1 - p, m), d))


def max_abs_cosine_quantile(p: float, d: int, m: int) -> float:
    """The absolute cosine that `m` random directions stay within, with probability `p`.

    The smallest `t` with `G_d(t)^m >= p`; 1 for `d = 1`. Grows with `p` and `m`; in [0, 1].

    Args:
        p: the probability, in (0, 1).
        d: dimension of the space.
        m: number of random directions.

    Returns:
        The absolute cosine; NaN for `m = 0`.

    Raises:
        ShapeError: `d < 1` or `m < 0`.
        DataError: `p` is not within (0, 1).

    Source: the law of the cosine on the sphere, `(1 + t) / 2 ~ Beta((d - 1)/2, (d - 1)/2)`.
    """
    check_sizes(d, m)
    _check_probability(p)
    if m == 0:
        return np.nan
    return 1.0 if d == 1 else float(_sphere.abs_cosine_upper_quantile(_sphere.each_of(1 - p, m), d))


def chance_corrected(value: Value, chance: float) -> Value:
    """Agreement beyond chance, as in Cohen's kappa: `(value - chance) / (1 - chance)`.

    At most 1, perfect agreement; 0 is what chance reaches, and it is negative below chance.

    Args:
        value: an agreement with maximum 1, a number or a tensor of any shape; NaN is undefined and
            stays so.
        chance: the same agreement's chance level.

    Returns:
        The corrected agreement; NaN for `chance = 1`, where nothing can be told from chance.

    Raises:
        DataError: an infinite value, or a `chance` that is not finite or above 1.

    Source: Cohen 1960, kappa.
    """
    refuse_infinite(torch.as_tensor(value), "value")
    if not chance <= 1 or np.isinf(chance):
        raise DataError(f"chance={chance}: expected a finite level of at most 1")
    return (value - chance) / (1 - chance) if chance < 1 else value * np.nan
