"""One latent after another: the gradients of an SAE over the samples in which a latent takes part.

What a latent does in a stretch of samples is listed, so that its own rows stay in registers while
those of the samples pass by.
"""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.rows import INLINE, peek, poke
from toysae.training.kernels.simd import (
    count,
    first_lanes,
    fma,
    lane_sum,
    load,
    maximum,
    select,
    splat,
    store,
)
from toysae.training.kernels.simd_bundles import dot, fma_each, load_each, store_each
from toysae.training.kernels.simd_types import INNER, LANES
from toysae.training.kernels.sparse_places import JUMPRELU, STRETCH
from toysae.training.kernels.vector_penalties import value_and_slope

_L1, _LP, _LOG = PENALTIES["l1"], PENALTIES["lp"], PENALTIES["log"]
_TANH, _L0 = PENALTIES["tanh"], PENALTIES["l0"]
_ZERO = np.float32(0)


@njit(**INNER)
def back_through_latents(memory, at, rules, lists, x, first, parameter):
    """Adds the gradients of a stretch's errors and penalties by all parameters of the latents.

    Args:
        memory, at, rules: see `Places` and `Rules`.
        lists: see `Lists`; what was listed for the stretch is forgotten.
        x, first: the stretch's samples begin at element `first` of `x`.
        parameter: of the penalty.

    Returns:
        The stretch's share of the penalty, and how many latents fired on its samples in sum.
    """
    penalty, firings = _ZERO, 0
    for j in range(rules.latents):
        n = lists.counts[j]
        if n == 0:
            continue
        lists.counts[j] = 0
        row, begin = j * rules.stride, j * STRETCH
        values = at.taken + begin
        _slopes_along(memory, at, rules, lists.samples, begin, n, at.decoder + row)
        if rules.activation == JUMPRELU:
            own, fired = _back_through_jumps(memory, at, rules, j, values, n)
        else:
            own, fired = _back_through_penalty(memory, at, rules, j, values, n, parameter)
        penalty += own
        firings += fired
        lists.fired[j] |= fired > 0
        _add_gradients(memory, at, rules, lists.samples, begin, n, values, x, first, row)
    return penalty, firings


@njit(**INLINE)
def _slopes_along(memory, at, rules, samples, begin, n, row):
    """Products of the samples' slopes with the decoder row, to `along`."""
    for e in range(0, n, LANES):
        store(memory, at.along + e, splat(_ZERO))
    column, stride = 0, rules.stride
    while stride - column >= 4 * LANES:
        _add_along((0, 0, 0, 0), memory, at, samples, begin, n, row, column)
        column += 4 * LANES
    while stride - column >= 2 * LANES:
        _add_along((0, 0), memory, at, samples, begin, n, row, column)
        column += 2 * LANES
    if column < stride:
        _add_along((0,), memory, at, samples, begin, n, row, column)


@njit(**INLINE)
def _add_along(columns, memory, at, samples, begin, n, row, column):
    decoder = load_each(columns, memory, row + column, LANES)
    for e in range(n):
        slope = load_each(columns, memory, at.slope + column + peek(samples, begin + e), LANES)
        along = lane_sum(dot(slope, decoder, splat(_ZERO)))
        poke(memory, at.along + e, peek(memory, at.along + e) + along)


@njit(**INLINE)
def _add_gradients(memory, at, rules, samples, begin, n, values, x, first, row):
    """Adds slopes by activations to the decoder's gradient, inputs by `along` to the encoder's."""
    column, stride = 0, rules.stride
    while stride - column >= 4 * LANES:
        _add_rows((0, 0, 0, 0), memory, at, samples, begin, n, values, x, first, row, column)
        column += 4 * LANES
    while stride - column >= 2 * LANES:
        _add_rows((0, 0), memory, at, samples, begin, n, values, x, first, row, column)
        column += 2 * LANES
    if column < stride:
        _add_rows((0,), memory, at, samples, begin, n, values, x, first, row, column)


@njit(**INLINE)
def _add_rows(columns, memory, at, samples, begin, n, values, x, first, row, column):
    to_decoder = at.gradients + at.decoder + row + column
    to_encoder = at.gradients + at.encoder + row + column
    decoder = load_each(columns, memory, to_decoder, LANES)
    encoder = load_each(columns, memory, to_encoder, LANES)
    for e in range(n):
        place = peek(samples, begin + e) + column
        slope = load_each(columns, memory, at.slope + place, LANES)
        decoder = fma_each(splat(peek(memory, values + e)), slope, decoder)
        sample = load_each(columns, x, first + place, LANES)
        encoder = fma_each(splat(peek(memory, at.along + e)), sample, encoder)
    store_each(memory, to_decoder, LANES, decoder)
    store_each(memory, to_encoder, LANES, encoder)


@njit(**INLINE)
def _penalty(kind, u, parameter):
    """Values and slopes of the penalty of a number."""
    if kind == _L1:
        return u, splat(1.0)
    if kind == _LP:
        return value_and_slope((0, 0), u, parameter)
    if kind == _LOG:
        return value_and_slope((0, 0, 0), u, parameter)
    if kind == _TANH:
        return value_and_slope((0, 0, 0, 0), u, parameter)
    if kind == _L0:
        return value_and_slope((0, 0, 0, 0, 0), u, parameter)
    return splat(0.0), splat(0.0)


@njit(**INLINE)
def _back_through_penalty(memory, at, rules, j, values, n, parameter):
    """Sum of penalties, and number of firings; adds gradients by activations to `along`.

    Those by the norm are added to `radial`, those by the bias to the bias's gradient.
    """
    zero, factor, norm = splat(_ZERO), splat(memory[at.penalty + j]), splat(memory[at.norms + j])
    penalties, radial, bias, firings = zero, zero, zero, 0
    for e in range(0, n, LANES):
        there = first_lanes(n - e)
        value = load(memory, values + e)
        penalty, slope = _penalty(rules.penalty, value * norm, parameter)
        along = fma(factor * slope, norm, load(memory, at.along + e))
        store(memory, at.along + e, along)
        penalties = penalties + select(there, penalty, zero)
        radial = radial + select(there, slope * value, zero)
        bias = bias + select(there, along, zero)
        firings += count(there & (value > splat(rules.fire_threshold)))
    memory[at.radial + j] += memory[at.penalty + j] * lane_sum(radial)
    memory[at.bias + at.gradients + j] += lane_sum(bias)
    return memory[at.penalty + j] * lane_sum(penalties), firings


@njit(**INLINE)
def _back_through_jumps(memory, at, rules, j, values, n):
    """As `_back_through_penalty` for JumpReLU's penalty, the number of active latents.

    Adds the straight-through estimators of `toysae.saes.jumprelu` to the threshold's gradient.
    Where the latent is silent, but near to firing, its value and `along` are set to 0.
    """
    zero, one, factor = splat(_ZERO), splat(1.0), splat(memory[at.penalty + j])
    threshold, half = splat(memory[at.threshold + j]), splat(rules.bandwidth * np.float32(0.5))
    active, jumps, bias, firings = zero, zero, zero, 0
    for e in range(0, n, LANES):
        there = first_lanes(n - e)
        z, along = load(memory, values + e), load(memory, at.along + e)
        near = there & (maximum(z - threshold, threshold - z) < half)
        jumps = jumps + select(near, fma(threshold, along, factor), zero)
        above = there & (z > threshold)
        along = select(above, along, zero)
        value = select(above, z, zero)
        store(memory, values + e, value)
        store(memory, at.along + e, along)
        active = active + select(above, one, zero)
        bias = bias + along
        firings += count(above & (value > splat(rules.fire_threshold)))
    memory[at.threshold + at.gradients + j] -= lane_sum(jumps) / rules.bandwidth
    memory[at.bias + at.gradients + j] += lane_sum(bias)
    return memory[at.penalty + j] * lane_sum(active), firings
