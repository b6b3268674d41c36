"""Sparse CPU kernel: one member at a time stays in the cache, and silent latents cost nothing.

All steps of a data chunk are done for one member before the next; what is done to a sample is in
`sparse_sample.py`. The autograd formulation in `reference.py` is the definition; tests hold this
file equal to it. A member's bits depend on neither its company nor the chunks nor the threads:
nothing is shared.
"""

from __future__ import annotations

import math

import numpy as np

from toysae.compiled import njit
from toysae.training.control import LARGEST_CONTROL
from toysae.training.kernels.rows import add_row, row_dot
from toysae.training.kernels.simd import load, splat, sqrt, store
from toysae.training.kernels.simd_types import INNER, JIT, LANES
from toysae.training.kernels.sparse_pass import pass_batch
from toysae.training.kernels.sparse_places import JUMPRELU, STRETCH, Lists

_ADAM_EPSILON = np.float32(1e-8)
_CLIP_EPSILON = np.float32(1e-6)
#: A bit over half: latents are listed by a test that rounds otherwise than the one that decides.
_HALF = np.float32(0.5001)
_ZERO = np.float32(0)
_ONE = np.float32(1)

#: Columns of `steps`: step sizes of encoder and decoder, the root of the correction of the second
#: moment, the coefficient before control, and the parameter of the penalty.
ENCODER_STEP, DECODER_STEP, ROOT, COEFFICIENT, PARAMETER = range(5)
#: Columns of `constants`.
BETA1, BETA2, GRADIENT_CLIP, TARGET_L0 = range(4)
#: Columns of `losses`.
ERROR, PENALTY, FIRINGS = range(3)


@njit(**JIT)
def train_chunk(
    first, last, rules, at, weights, steps, constants, x, error_weight, stream_of, silent_steps,
    cooldown, control, frozen_at, first_step, losses,
):  # fmt: skip
    """Train members `first <= i < last` on every batch of a chunk, in place.

    Args:
        first, last: range of members.
        rules, at: `Rules` and `Places` of the stack.
        weights: parameters and moments as in `Places`, without what lies between, `[M, 3 size]`.
        steps: schedules, `[M, steps, 5]`.
        constants: of members, `[M, 4]`.
        x: data `[streams, steps, samples * stride]`, samples padded with zeros to whole tiles.
        error_weight: of every sample, `[streams, steps, batch]`.
        stream_of, silent_steps, cooldown, control, frozen_at: see `toysae.training.state`.
        first_step: number of steps done before this chunk.
        losses: written, `[M, steps, 3]`: mean error, coefficient times penalty, and L0.
    """
    memory = np.zeros(at.end, np.float32)
    lists = Lists(
        rows=np.empty(rules.columns + LANES, np.int32),
        dead=np.empty(rules.columns, np.int32),
        keys=np.empty(rules.columns * rules.batch + LANES, np.int32),
        counts=np.zeros(rules.columns, np.int64),
        samples=np.empty(rules.columns * STRETCH, np.int32),
        fired=np.empty(rules.columns, np.bool_),
    )
    size = at.gradients
    for j in range(rules.columns):
        memory[at.norms + j] = _ONE
    for i in range(first, last):
        if frozen_at[i] >= 0:
            continue
        for e in range(size):
            memory[e] = weights[i, e]
        for e in range(size, 3 * size):
            memory[size + e] = weights[i, e]
        for t in range(x.shape[1]):
            stream = stream_of[i]
            coefficient = steps[i, t, COEFFICIENT] * np.float32(math.exp(control[i]))
            n_dead = _care_for_latents(rules, silent_steps[i], cooldown[i], lists.dead)
            _prepare(memory, at, rules, cooldown[i], coefficient)
            lists.fired[:] = False
            error, penalty, l0, smallest = pass_batch(
                memory, at, rules, lists, x[stream, t], error_weight[stream, t],
                steps[i, t, PARAMETER], n_dead,
            )  # fmt: skip
            losses[i, t, ERROR], losses[i, t, PENALTY], losses[i, t, FIRINGS] = error, penalty, l0
            for j in range(rules.latents):
                silent_steps[i, j] = 0 if lists.fired[j] else silent_steps[i, j] + 1
            if not math.isfinite(error + penalty):
                frozen_at[i] = first_step + t
                break
            if smallest < np.inf:
                lag = smallest - memory[at.threshold]
                memory[at.threshold] += rules.threshold_rate * lag
            _finish_gradients(memory, at, rules)
            _clip(memory, size, constants[i, GRADIENT_CLIP])
            _update(memory, at, steps[i, t], constants[i])
            target = constants[i, TARGET_L0]
            if target > 0:
                turn = rules.control_rate * min(max(l0 / target - 1.0, -1.0), 1.0)
                control[i] = min(max(control[i] + turn, -LARGEST_CONTROL), LARGEST_CONTROL)
        for e in range(size):
            weights[i, e] = memory[e]
        for e in range(size, 3 * size):
            weights[i, e] = memory[size + e]


@njit(**INNER)
def _care_for_latents(rules, silent_steps, cooldown, dead):
    """Counts the cooldown; lists dead latents, if they are cared for, and returns their number."""
    n_dead = 0
    for j in range(rules.latents):
        is_dead = silent_steps[j] > rules.dead_window
        if is_dead and (rules.ghosts or rules.auxiliary):
            dead[n_dead] = j
            n_dead += 1
        if rules.ghosts:
            cooldown[j] = rules.ghost_cooldown if is_dead else max(cooldown[j] - 1, 0)
    return n_dead


@njit(**INNER)
def _prepare(memory, at, rules, cooldown, coefficient):
    """Constraints, encoder as the product reads it, weights of penalties; gradients to 0."""
    for j in range(rules.latents):
        decoder, encoder = at.decoder + j * rules.stride, at.encoder + j * rules.stride
        norm = np.float32(math.sqrt(row_dot(memory, decoder, decoder, rules.stride)))
        if rules.unit_norm_decoder and norm > _ZERO:
            for k in range(0, rules.stride, LANES):
                store(memory, decoder + k, load(memory, decoder + k) / splat(norm))
        if rules.penalty_by_decoder_norm:
            memory[at.norms + j] = norm
        for k in range(rules.d):
            memory[at.weights + k * rules.columns + j] = memory[encoder + k]
        memory[at.offset + j] = memory[at.bias + j]
        if rules.subtract_decoder_bias:
            memory[at.offset + j] -= row_dot(memory, at.decoder_bias, encoder, rules.stride)
        if rules.activation == JUMPRELU:
            threshold = max(memory[at.threshold + j], _ZERO)
            memory[at.threshold + j] = threshold
            memory[at.floor + j] = threshold - rules.bandwidth * _HALF
        kept = _ONE
        if rules.ghost_cooldown > 0:
            kept -= np.float32(cooldown[j]) / np.float32(rules.ghost_cooldown)
        memory[at.penalty + j] = coefficient * kept / np.float32(rules.batch)
        memory[at.radial + j] = _ZERO
    for i in range(at.gradients, 2 * at.gradients):
        memory[i] = _ZERO


@njit(**INNER)
def _finish_gradients(memory, at, rules):
    """What no single sample adds, and the projection."""
    stride, to_gradient = rules.stride, at.gradients
    for j in range(rules.latents):
        decoder, encoder = at.decoder + j * stride, at.encoder + j * stride
        norm = memory[at.norms + j]
        if rules.penalty_by_decoder_norm and norm > _ZERO:
            radial = memory[at.radial + j] / norm
            add_row(memory, radial, decoder, decoder + to_gradient, stride)
        if rules.subtract_decoder_bias:
            slope = -memory[at.bias + to_gradient + j]
            add_row(memory, slope, at.decoder_bias, encoder + to_gradient, stride)
            add_row(memory, slope, encoder, at.decoder_bias + to_gradient, stride)
        if rules.unit_norm_decoder:
            along = row_dot(memory, decoder, decoder + to_gradient, stride)
            add_row(memory, -along, decoder, decoder + to_gradient, stride)


@njit(**INNER)
def _clip(memory, size, largest):
    if largest < np.inf:
        norm = np.float32(math.sqrt(row_dot(memory, size, size, size)))
        factor = min(np.float32(largest) / (norm + _CLIP_EPSILON), _ONE)
        for i in range(size, 2 * size, LANES):
            store(memory, i, splat(factor) * load(memory, i))


@njit(**INNER)
def _update(memory, at, step, constants):
    """Adam; the decoder's parameters are the last."""
    size = at.gradients
    beta1, beta2 = np.float32(constants[BETA1]), np.float32(constants[BETA2])
    for i in range(0, size, LANES):
        step_size = step[ENCODER_STEP] if i < at.decoder else step[DECODER_STEP]
        g = load(memory, size + i)
        m = splat(beta1) * load(memory, 2 * size + i) + splat(_ONE - beta1) * g
        v = splat(beta2) * load(memory, 3 * size + i) + splat(_ONE - beta2) * g * g
        store(memory, 2 * size + i, m)
        store(memory, 3 * size + i, v)
        change = splat(step_size) * m / (sqrt(v) / splat(step[ROOT]) + splat(_ADAM_EPSILON))
        store(memory, i, load(memory, i) - change)
