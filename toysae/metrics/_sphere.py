"""The law of the cosine between a fixed and a uniformly random direction of R^d.

`(1 + cos) / 2` is Beta((d - 1)/2, (d - 1)/2), and `cos^2` is Beta(1/2, (d - 1)/2), for d >= 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betainccinv, betaincinv

Array = NDArray[np.float64]


def cosine_cdf(t: ArrayLike, d: int) -> Array:
    """`P(cos <= t)` for `d >= 2`."""
    half = (d - 1) / 2
    return np.asarray(betainc(half, half, np.clip((1 + np.asarray(t, dtype=float)) / 2, 0, 1)))


def cosine_quantile(p: ArrayLike, d: int) -> Array:
    """The `t` with `P(cos <= t) = p`; by symmetry `-t` has `P(cos > -t) = p`."""
    half = (d - 1) / 2
    return np.asarray(2 * betaincinv(half, half, p) - 1)


def abs_cosine_cdf(t: ArrayLike, d: int) -> Array:
    """`P(|cos| <= t)` for `t >= 0` and `d >= 2`."""
    return np.asarray(betainc(0.5, (d - 1) / 2, np.square(t)))


def abs_cosine_quantile(p: ArrayLike, d: int) -> Array:
    """The `t` with `P(|cos| <= t) = p`."""
    return np.sqrt(betaincinv(0.5, (d - 1) / 2, p))


def abs_cosine_upper_quantile(p: ArrayLike, d: int) -> Array:
    """The `t` with `P(|cos| > t) = p`."""
    return np.sqrt(betainccinv(0.5, (d - 1) / 2, p))


def max_cosine_tail(t: ArrayLike, d: int, m: ArrayLike) -> Array:
    """`P(max of m cosines > t)`, accurate where it is tiny; `d >= 1`, `m >= 1`."""
    t = np.asarray(t, dtype=float)
    if d == 1:
        tail = np.where(t < -1, 1.0, np.where(t < 1, 0.5, 0.0))
    else:
        tail = cosine_cdf(-t, d)  # by symmetry; 1 - cdf(t) would lose all digits of a small tail
    with np.errstate(divide="ignore"):
        return -np.expm1(np.asarray(m) * np.log1p(-tail))
