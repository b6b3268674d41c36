"""Penalties of activations and their slopes, for kernels with samples in the lanes of vectors.

The same penalties as in `toysae.training.kernels.penalty_loops`, in vectors.
"""

from __future__ import annotations

from toysae.compiled import njit
from toysae.saes.lp import SMALLEST
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.simd import maximum, select, splat
from toysae.training.kernels.simd_functions import exp, log
from toysae.training.kernels.simd_types import INNER

_LP = PENALTIES["lp"]
_LOG = PENALTIES["log"]
_TANH = PENALTIES["tanh"]
_L0 = PENALTIES["l0"]


@njit(**INNER)
def value_and_slope(kind, u, parameter):
    """`phi(u)` and `phi'(u)` of activations `u >= 0`; the slope at 0 is that from the right.

    Args:
        kind: a tuple as long as the number of the penalty, which makes it a constant.
        u: vector of activations.
        parameter: as of `Rectified.penalty_parameter`, float32.
    """
    one, shape = splat(1.0), splat(parameter)
    if len(kind) == _LP:
        power = exp((shape - one) * log(maximum(u, splat(SMALLEST))))
        return u * power, select(u < splat(SMALLEST), power, shape * power)
    if len(kind) == _LOG:
        return log(one + u / shape), one / (u + shape)
    if len(kind) == _TANH:
        decay = exp(splat(-2.0) * shape * u)
        height = one / (one + decay)
        return (one - decay) * height, splat(4.0) * shape * decay * height * height
    if len(kind) == _L0:
        height = one / (u + shape)
        return u * height, shape * height * height
    return u, one
