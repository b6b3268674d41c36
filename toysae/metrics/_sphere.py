"""The law of the cosine between a fixed and a uniformly random direction of R^d.

`(1 + cos) / 2` is Beta((d - 1)/2, (d - 1)/2), and `cos^2` is Beta(1/2, (d - 1)/2), for d >= 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, betainccinv, betaincinv

from toysae.errors import ShapeError

Array = NDArray[np.float64]


def check_sizes(d: int, m: int) -> None:
    """Raises `ShapeError` where there is no space, or a negative number of directions in it."""
    if d < 1 or m < 0:
        raise ShapeError(f"d={d}, m={m}: expected at least one dimension and no negative count")


def cosine_cdf(t: ArrayLike, d: int) -> Array:
    """`P(cos <= t)` for `d >= 2`."""
    half = (d - 1) / 2
    return np.asarray(betainc(half, half, np.clip((1 + np.asarray(t, dtype=float)) / 2, 0, 1)))


def cosine_quantile(p: ArrayLike, d: int) -> Array:
    """The `t` with `P(cos <= t) = p`; by symmetry `-t` has `P(cos > -t) = p`."""
    half = (d - 1) / 2
    return np.asarray(2 * betaincinv(half, half, p) - 1)


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
    return any_of(tail, m)


def max_abs_cosine_tail(t: ArrayLike, d: int, m: ArrayLike) -> Array:
    """`P(max of m absolute cosines > t)`, accurate where it is tiny; `d >= 1`, `m >= 1`."""
    within = np.clip(np.asarray(t, dtype=float), 0, 1)
    if d == 1:
        return any_of(np.where(within < 1, 1.0, 0.0), m)
    return any_of(betaincc(0.5, (d - 1) / 2, np.square(within)), m)


def any_of(p: ArrayLike, m: ArrayLike) -> Array:
    """Probability that one of `m` independent events of probability `p` comes true."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.asarray(m) * np.log1p(-np.asarray(p))))


def each_of(p: ArrayLike, m: ArrayLike) -> Array:
    """The probability of an event, `m` independent ones of which come true at all with `p`."""
    return np.asarray(-np.expm1(np.log1p(-np.asarray(p)) / np.asarray(m)))
