"""How numbers are written, everywhere in a report."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from torch import Tensor

UNDEFINED = "undefined"
MISSING = "–"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_number(value: object, digits: int = 4) -> str:
    """A value as readers should see it.

    Integers get thousands separators. Other numbers get `digits` significant digits, with trailing
    zeros only where digits were rounded away (0.5 is `0.5`, 0.999999 is `1.000`), and a power of
    ten below 1e-4 and from 1e6 on. NaN is `undefined`, infinity is `∞`, None is a dash, a pair is
    an interval `[low, high]`. Anything else is written by `str`.

    Args:
        value: number, tensor of one element, pair, text or None.
        digits: significant digits of numbers that are not integers.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return _minus(f"{int(value):,}")
    if isinstance(value, Real):
        return _format_real(float(value), digits)
    if isinstance(value, tuple | list) and len(value) == 2:
        return f"[{', '.join(format_number(bound, digits) for bound in value)}]"
    return str(value)


def with_interval(value: float, low: float, high: float, decimals: int) -> str:
    """A value and its interval on one line, `0.42 [0.30, 0.55]`; NaN is `undefined`.

    So is an interval without bounds, as over a single seed: `0.42 [undefined]`.

    Args:
        value, low, high: the number and its bounds.
        decimals: digits after the point, of all three.
    """
    if math.isnan(value):
        return UNDEFINED
    written, *bounds = (_minus(f"{number:.{decimals}f}") for number in (value, low, high))
    if math.isnan(low) or math.isnan(high):
        bounds = [UNDEFINED]
    interval = ",\u00a0".join(bounds)
    return f"{written}\u00a0[{interval}]"


def is_number(value: object) -> bool:
    """Whether `value` is a number or a tensor of one element, to be aligned right in a column."""
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, Real) and not isinstance(value, bool)


def _format_real(value: float, digits: int) -> str:
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if value and not -4 <= power < 6:
        return f"{_minus(_trim(mantissa))} × 10{str(power).translate(_SUPERSCRIPTS)}"
    # Rounding first to significant digits keeps 12,345.6 from claiming more than its four digits.
    rounded = float(f"{value:.{digits - 1}e}")
    text = f"{rounded:,.{max(0, digits - 1 - power)}f}"
    return _minus(_trim(text) if rounded == value else text)


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _minus(text: str) -> str:
    return "0" if text == "-0" else text.replace("-", "−")
