"""Exponential and logarithm of vectors, from products and sums alone.

The same bits on every machine, unlike those of a C library. Both reduce the argument by powers of
two and evaluate the polynomials of S. Moshier's Cephes library (`expf`, `logf`); errors stay below
2 units in the last place.
"""

from __future__ import annotations

from toysae.compiled import njit
from toysae.training.kernels.simd import exponent, fma, maximum, power_of_two, select, splat
from toysae.training.kernels.simd_types import INNER

_LOG2_E = 1.44269504088896341
#: ln 2 in two parts; products of the first with whole numbers up to 2^9 are exact.
_LN2_HIGH = 0.693359375
_LN2_LOW = -2.12194440e-4
#: Adding and subtracting it rounds to a whole number.
_ROUNDING = 12582912.0
_SQRT2 = 1.41421356237309505
#: The exponential is 0 below the first and infinite above the second.
_LOWEST = -104.0
_HIGHEST = 89.0


@njit(**INNER)
def _rounded(value):
    return (value + splat(_ROUNDING)) - splat(_ROUNDING)


@njit(**INNER)
def exp(value):
    """`e^value` in every lane; NaN of NaN."""
    bounded = -maximum(splat(-_HIGHEST), -maximum(splat(_LOWEST), value))
    n = _rounded(bounded * splat(_LOG2_E))
    r = fma(n, splat(-_LN2_LOW), fma(n, splat(-_LN2_HIGH), bounded))
    series = splat(1.9875691500e-4)
    series = fma(series, r, splat(1.3981999507e-3))
    series = fma(series, r, splat(8.3334519073e-3))
    series = fma(series, r, splat(4.1665795894e-2))
    series = fma(series, r, splat(1.6666665459e-1))
    series = fma(series, r, splat(5.0000001201e-1))
    mantissa = fma(series * r, r, r) + splat(1.0)
    half = _rounded(n * splat(0.5))  # 2^n alone may be too large, or too small, for a normal number
    power = mantissa * power_of_two(half) * power_of_two(n - half)
    return select(value == value, power, value)


@njit(**INNER)
def log(value):
    """Natural logarithm of positive normal numbers in every lane."""
    n = exponent(value)
    mantissa = value * power_of_two(-n)
    large = mantissa > splat(_SQRT2)
    mantissa = select(large, mantissa * splat(0.5), mantissa)
    n = select(large, n + splat(1.0), n)
    r = mantissa - splat(1.0)
    series = splat(7.0376836292e-2)
    series = fma(series, r, splat(-1.1514610310e-1))
    series = fma(series, r, splat(1.1676998740e-1))
    series = fma(series, r, splat(-1.2420140846e-1))
    series = fma(series, r, splat(1.4249322787e-1))
    series = fma(series, r, splat(-1.6668057665e-1))
    series = fma(series, r, splat(2.0000714765e-1))
    series = fma(series, r, splat(-2.4999993993e-1))
    series = fma(series, r, splat(3.3333331174e-1))
    square = r * r
    low = fma(n, splat(_LN2_LOW), series * square * r) - splat(0.5) * square
    return fma(n, splat(_LN2_HIGH), r + low)
