"""Dead latents that a sample cares for: ghost gradients and the auxiliary loss."""

from __future__ import annotations

import math

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.rows import (
    INLINE,
    add_to_rows,
    back_through_sum,
    row_dot,
    weighted_sum,
)
from toysae.training.kernels.selection import keep_largest
from toysae.training.kernels.simd import load, splat, store
from toysae.training.kernels.simd_types import INNER, LANES

_EPSILON = np.float32(1e-6)
_TWO = np.float32(2)


@njit(**INLINE)
def _back_to_encoder(memory, at, rules, rows, n, x, first):
    """Adds what `along` says of pre-activations to the gradients of encoder rows and biases."""
    for e in range(n):
        memory[at.bias + at.gradients + rows[e]] += memory[at.along + e]
    add_to_rows(memory, n, rows, at.along, x, first, rules.stride, at.encoder + at.gradients)


@njit(**INNER)
def auxiliary_sample(memory, at, rules, lists, n_dead, z, x, first):
    """Adds the gradients of `toysae.training.auxiliary`, whose residual `out - x` is a constant.

    Of the dead latents `lists.dead[:n_dead]`, the strongest.
    """
    k, rows = max(rules.d // 2, 1), lists.rows
    for e in range(n_dead):
        rows[e] = lists.dead[e]
        memory[at.values + e] = memory[z + rows[e]]
    n = keep_largest(memory, rows, at.values, lists.keys, n_dead, k)
    for c in range(0, rules.stride, LANES):
        store(memory, at.out + c, load(memory, at.out + c) - load(x, first + c))
    weighted_sum(memory, n, rows, at.values, at.out, at.decoder, rules.stride, at.out)
    share = min(n_dead / k, 1.0) * rules.auxiliary_coefficient
    scale = splat(np.float32(2.0 * share / rules.batch))
    for c in range(0, rules.stride, LANES):
        store(memory, at.out + c, scale * load(memory, at.out + c))
    back_through_sum(
        memory, n, rows, at.values, at.out, at.decoder, rules.stride, at.decoder + at.gradients,
        at.along,
    )  # fmt: skip
    _back_to_encoder(memory, at, rules, rows, n, x, first)


@njit(**INNER)
def ghost_sample(memory, at, rules, rows, n_dead, z, x, first, weight, slope):
    """Adds the gradients of `toysae.training.ghost`.

    Those of the dead latents `rows[:n_dead]`, and to the row `slope` what flows into the others
    through the residual `x - out`.
    """
    root = np.float32(math.sqrt(weight))
    stride = rules.stride
    for e in range(n_dead):
        memory[at.values + e] = np.float32(math.exp(memory[z + rows[e]]))
    for c in range(0, stride, LANES):
        store(memory, at.out + c, splat(root) * (load(x, first + c) - load(memory, at.out + c)))
    size = row_dot(memory, at.out, at.out, stride)
    weighted_sum(memory, n_dead, rows, at.values, at.zero, at.decoder, stride, at.ghost)
    norm = np.float32(math.sqrt(row_dot(memory, at.ghost, at.ghost, stride)))
    scale = np.float32(math.sqrt(size)) / (_EPSILON + _TWO * norm)
    for c in range(0, stride, LANES):
        left = load(memory, at.out + c) - splat(scale) * load(memory, at.ghost + c)
        store(memory, at.out + c, left)
    missing = row_dot(memory, at.out, at.out, stride)
    factor = _TWO * size / (_EPSILON + missing) / np.float32(rules.batch)
    for c in range(0, stride, LANES):
        left = load(memory, at.out + c)
        store(memory, slope + c, load(memory, slope + c) - splat(factor * root) * left)
        store(memory, at.out + c, splat(-factor * scale) * left)
    back_through_sum(
        memory, n_dead, rows, at.values, at.out, at.decoder, stride, at.decoder + at.gradients,
        at.along,
    )  # fmt: skip
    for e in range(n_dead):
        memory[at.along + e] *= memory[at.values + e]
    _back_to_encoder(memory, at, rules, rows, n_dead, x, first)
