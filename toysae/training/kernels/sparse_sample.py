"""One sample after another through one SAE: only latents that take part are touched.

The encoder's product is dense (`products.py`); which of its outcomes take part is listed, and
decoding, errors and gradients run over these lists (`rows.py`). It is exact: all other terms are 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.penalty_loops import value_and_slope
from toysae.training.kernels.rows import (
    INLINE,
    add_to_rows,
    back_through_sum,
    row_dot,
    weighted_sum,
)
from toysae.training.kernels.selection import keep_largest
from toysae.training.kernels.simd import INNER, LANES, fma, lane_sum, load, splat, store

#: Names of `FastForm.activation`; kernels know them by their position.
ACTIVATIONS = ("relu", "topk", "batch_topk", "jumprelu")
RELU, TOPK, BATCH_TOPK, JUMPRELU = range(len(ACTIVATIONS))

_EPSILON = np.float32(1e-6)
_ZERO = np.float32(0)
_TWO = np.float32(2)


class Rules(NamedTuple):
    """What all members of a stack have in common; see `FastForm` and `Trainer`.

    Attributes:
        batch, d, latents: sizes.
        stride, columns: `d` and `latents` rounded up to multiples of `LANES`.
        activation: position in `ACTIVATIONS`; penalty: number in `penalty_loops.PENALTIES`.
        kept: number of latents that `topk` keeps of a sample and `batch_topk` of a batch.
    """

    batch: int
    d: int
    latents: int
    stride: int
    columns: int
    activation: int
    penalty: int
    kept: int
    bandwidth: np.float32
    threshold_rate: np.float32
    penalty_by_decoder_norm: bool
    subtract_decoder_bias: bool
    unit_norm_decoder: bool
    ghosts: bool
    auxiliary: bool
    dead_window: int
    ghost_cooldown: int
    auxiliary_coefficient: float
    fire_threshold: np.float32
    control_rate: float


class Places(NamedTuple):
    """Where things begin in the memory of a member.

    Attributes:
        encoder, bias, threshold, decoder, decoder_bias: parameters: rows of a latent are `stride`
            long; of those parts that have none, a place of their own all the same.
        gradients: distance from a parameter to its gradient; the moments follow after as much each.
        weights, offset: encoder `[d, columns]` and bias as the product reads them.
        z: pre-activations, `[samples, columns]`, of a tile or of a batch.
        floor: latents are listed where pre-activations exceed it.
        penalty: factor of each latent's penalty.
        norms: of decoder rows, or 1.
        radial: gradients of the penalty by them.
        values: activations of the listed latents.
        along: gradients by them.
        others: values of listed dead latents.
        out, slope, ghost: what is decoded, the gradient by it, and what dead latents decode to.
        zero: zeros.
        end: size of it all.
    """

    encoder: int
    bias: int
    threshold: int
    decoder: int
    decoder_bias: int
    gradients: int
    weights: int
    offset: int
    z: int
    floor: int
    penalty: int
    norms: int
    radial: int
    values: int
    along: int
    others: int
    out: int
    slope: int
    ghost: int
    zero: int
    end: int


@njit(**INLINE)
def sample_error(memory, at, rules, x, first, weight):
    """Weighted squared error of a sample; its gradient, of the mean over the batch, to `slope`."""
    total = splat(0)
    scale = splat(_TWO * weight / np.float32(rules.batch))
    for c in range(0, rules.stride, LANES):
        difference = load(memory, at.out + c) - load(x, first + c)
        total = fma(difference, difference, total)
        store(memory, at.slope + c, scale * difference)
    return weight * lane_sum(total)


@njit(**INLINE)
def back_through_sample(memory, at, rules, rows, n, z, x, first, parameter):
    """Adds the gradients of a sample's error and penalty by all parameters.

    Returns:
        The sample's share of the penalty.
    """
    back_through_sum(
        memory, n, rows, at.values, at.slope, at.decoder, rules.stride, at.decoder + at.gradients,
        at.along,
    )  # fmt: skip
    if rules.activation == JUMPRELU:
        penalty = _back_through_jumps(memory, at, rules, rows, n, z)
    else:
        penalty = _back_through_penalty(memory, at, rules, rows, n, parameter)
    _back_to_encoder(memory, at, rules, rows, n, x, first)
    bias = at.decoder_bias + at.gradients
    for c in range(0, rules.stride, LANES):
        store(memory, bias + c, load(memory, bias + c) + load(memory, at.slope + c))
    return penalty


@njit(**INLINE)
def _back_through_penalty(memory, at, rules, rows, n, parameter):
    """Sum of penalties; adds their gradients by activations to `along`, by norms to `radial`."""
    total = _ZERO
    for e in range(n):
        j = rows[e]
        factor, norm, value = (
            memory[at.penalty + j],
            memory[at.norms + j],
            memory[at.values + e],
        )
        penalty, slope = value_and_slope(rules.penalty, value * norm, parameter)
        total += factor * penalty
        memory[at.along + e] += factor * slope * norm
        memory[at.radial + j] += factor * slope * value
    return total


@njit(**INLINE)
def _back_through_jumps(memory, at, rules, rows, n, z):
    """The penalty `step`; adds the straight-through estimators to the gradients of thresholds.

    As in `toysae.saes.jumprelu`. Latents that are silent pass nothing on: `along` is set to 0.
    """
    total = _ZERO
    for e in range(n):
        j = rows[e]
        threshold, factor = memory[at.threshold + j], memory[at.penalty + j]
        if abs(memory[z + j] - threshold) < rules.bandwidth / _TWO:
            slope = threshold * memory[at.along + e] + factor
            memory[at.threshold + at.gradients + j] -= slope / rules.bandwidth
        if memory[at.values + e] > _ZERO:
            total += factor
        else:
            memory[at.along + e] = _ZERO
    return total


@njit(**INLINE)
def _back_to_encoder(memory, at, rules, rows, n, x, first):
    """Adds what `along` says of pre-activations to the gradients of encoder rows and biases."""
    for e in range(n):
        memory[at.bias + at.gradients + rows[e]] += memory[at.along + e]
    add_to_rows(memory, n, rows, at.along, x, first, rules.stride, at.encoder + at.gradients)


@njit(**INNER)
def auxiliary_sample(memory, at, rules, rows, n_dead, keys, z, x, first):
    """Adds the gradients of `toysae.training.auxiliary`, whose residual `out - x` is a constant.

    `rows[:n_dead]` are the dead latents; they come out in another selection.
    """
    k = max(rules.d // 2, 1)
    for e in range(n_dead):
        memory[at.others + e] = memory[z + rows[e]]
    n = keep_largest(memory, rows, at.others, keys, n_dead, k)
    for c in range(0, rules.stride, LANES):
        store(memory, at.out + c, load(memory, at.out + c) - load(x, first + c))
    weighted_sum(memory, n, rows, at.others, at.out, at.decoder, rules.stride, at.out)
    share = min(n_dead / k, 1.0) * rules.auxiliary_coefficient
    scale = splat(np.float32(2.0 * share / rules.batch))
    for c in range(0, rules.stride, LANES):
        store(memory, at.out + c, scale * load(memory, at.out + c))
    back_through_sum(
        memory, n, rows, at.others, at.out, at.decoder, rules.stride, at.decoder + at.gradients,
        at.along,
    )  # fmt: skip
    _back_to_encoder(memory, at, rules, rows, n, x, first)


@njit(**INNER)
def ghost_sample(memory, at, rules, rows, n_dead, z, x, first, weight):
    """Adds the gradients of `toysae.training.ghost`.

    Those of the dead latents `rows[:n_dead]`, and to `slope` what flows into the others through the
    residual `x - out`.
    """
    root = np.float32(math.sqrt(weight))
    stride = rules.stride
    for e in range(n_dead):
        memory[at.others + e] = np.float32(math.exp(memory[z + rows[e]]))
    for c in range(0, stride, LANES):
        store(memory, at.out + c, splat(root) * (load(x, first + c) - load(memory, at.out + c)))
    size = row_dot(memory, at.out, at.out, stride)
    weighted_sum(memory, n_dead, rows, at.others, at.zero, at.decoder, stride, at.ghost)
    norm = np.float32(math.sqrt(row_dot(memory, at.ghost, at.ghost, stride)))
    scale = np.float32(math.sqrt(size)) / (_EPSILON + _TWO * norm)
    for c in range(0, stride, LANES):
        left = load(memory, at.out + c) - splat(scale) * load(memory, at.ghost + c)
        store(memory, at.out + c, left)
    missing = row_dot(memory, at.out, at.out, stride)
    factor = _TWO * size / (_EPSILON + missing) / np.float32(rules.batch)
    for c in range(0, stride, LANES):
        left, slope = load(memory, at.out + c), load(memory, at.slope + c)
        store(memory, at.slope + c, slope - splat(factor * root) * left)
        store(memory, at.out + c, splat(-factor * scale) * left)
    back_through_sum(
        memory, n_dead, rows, at.others, at.out, at.decoder, stride, at.decoder + at.gradients,
        at.along,
    )  # fmt: skip
    for e in range(n_dead):
        memory[at.along + e] *= memory[at.others + e]
    _back_to_encoder(memory, at, rules, rows, n_dead, x, first)
