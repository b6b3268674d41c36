"""Penalties of a single activation and their slopes, for kernels that Numba compiles.

The penalties are those of `toysae.saes.rectified` and its subclasses, and the count of firings of
`toysae.saes.jumprelu`; a kernel gets one by the number that `PENALTIES` gives its name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.saes.lp import SMALLEST
from toysae.training.kernels.simd_types import INNER

#: Numbers of the names in `toysae.saes.fast.FastForm.penalty`.
PENALTIES = {"none": 0, "l1": 1, "lp": 2, "log": 3, "tanh": 4, "l0": 5, "step": 6}

_L1, _LP, _LOG = PENALTIES["l1"], PENALTIES["lp"], PENALTIES["log"]
_TANH, _L0, _STEP = PENALTIES["tanh"], PENALTIES["l0"], PENALTIES["step"]
_ZERO = np.float32(0)
_ONE = np.float32(1)
_CHORD = np.float32(SMALLEST)


@njit(**INNER)
def value_and_slope(kind: Any, u: Any, parameter: Any) -> Any:
    """`phi(u)` and `phi'(u)` of an activation `u > 0`, both float32; the slope of a step is 0.

    Args:
        kind: number of the penalty.
        u: activation, float32.
        parameter: as of `Rectified.penalty_parameter`, float32.
    """
    if kind == _L1:
        return u, _ONE
    if kind == _LP:
        power = max(u, _CHORD) ** (parameter - _ONE)
        return u * power, power if u < _CHORD else parameter * power
    if kind == _LOG:
        return np.float32(math.log1p(u / parameter)), _ONE / (u + parameter)
    if kind == _TANH:
        height = np.float32(math.tanh(parameter * u))
        return height, parameter * (_ONE - height * height)
    if kind == _L0:
        share = _ONE / (u + parameter)
        return u * share, parameter * share * share
    return (_ONE if kind == _STEP else _ZERO), _ZERO
