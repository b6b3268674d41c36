"""Forward and backward over a batch of the sparse kernel.

Stretches of samples pass through the SAE, one sample after another; then the gradients of the
stretch are taken, one latent after another.
"""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.products import TILE, encode_tile
from toysae.training.kernels.rows import INLINE, add_rows, weighted_sum
from toysae.training.kernels.selection import (
    cut_of,
    keep_from,
    keep_largest,
    list_above,
    write_keys,
)
from toysae.training.kernels.simd_types import INNER
from toysae.training.kernels.sparse_dead import auxiliary_sample, ghost_sample
from toysae.training.kernels.sparse_latents import back_through_latents
from toysae.training.kernels.sparse_places import BATCH_TOPK, JUMPRELU, STRETCH, TOPK
from toysae.training.kernels.sparse_sample import note_sample, sample_error

_ZERO = np.float32(0)


@njit(**INNER)
def pass_batch(memory, at, rules, lists, x, error_weight, parameter, n_dead):
    """Adds the gradients of a batch of samples `x`.

    `lists.dead[:n_dead]` are cared for; `parameter` is that of the penalty.

    Returns:
        Mean error, penalty, L0, and BatchTopK's smallest positive activation, infinite for none.
    """
    batch, stride, rows, keys = rules.batch, rules.stride, lists.rows, lists.keys
    whole = rules.activation == BATCH_TOPK
    error, penalty, firings = 0.0, 0.0, 0
    cut, ties, smallest = np.int32(0), 0, np.float32(np.inf)
    if whole:
        for s in range(0, batch, TILE):
            _encode(memory, at, rules, x, s, at.z + s * rules.columns)
        cut, ties = _batch_cut(memory, at, rules, lists)
    for s in range(batch):
        if s % TILE == 0 and not whole:
            _encode(memory, at, rules, x, s, at.z)
        first, in_stretch = s * stride, s % STRETCH
        slope = at.slope + in_stretch * stride
        z = at.z + (s if whole else s % TILE) * rules.columns
        n = list_above(memory, z, at.floor, rules.latents, rows, at.values)
        if rules.activation == TOPK:
            n = keep_largest(memory, rows, at.values, keys, n, rules.kept)
        elif rules.activation == JUMPRELU:
            _silence(memory, at, rows, n)
        elif whole:
            write_keys(memory, at.values, n, keys, 0)
            n, ties = keep_from(memory, rows, at.values, keys, n, cut, ties)
            for e in range(n):
                smallest = min(smallest, memory[at.values + e])
        note_sample(memory, at, lists, n, z, in_stretch * stride)
        weighted_sum(memory, n, rows, at.values, at.decoder_bias, at.decoder, stride, at.out)
        error += sample_error(memory, at, rules, x, first, error_weight[s], slope)
        if n_dead > 0 and rules.ghosts:
            ghost_sample(memory, at, rules, lists.dead, n_dead, z, x, first, error_weight[s], slope)
        if n_dead > 0 and rules.auxiliary:
            auxiliary_sample(memory, at, rules, lists, n_dead, z, x, first)
        if in_stretch + 1 == STRETCH or s + 1 == batch:
            add_rows(memory, at.slope, in_stretch + 1, stride, at.decoder_bias + at.gradients)
            own, fired = back_through_latents(
                memory, at, rules, lists, x, (s - in_stretch) * stride, parameter
            )
            penalty += own
            firings += fired
    return np.float32(error / batch), np.float32(penalty), np.float32(firings / batch), smallest


@njit(**INLINE)
def _encode(memory, at, rules, x, s, z):
    """Pre-activations of the tile that begins with sample `s`."""
    encode_tile(
        memory, at.weights, at.offset, x, s * rules.stride, z, rules.d, rules.stride, rules.columns
    )


@njit(**INLINE)
def _silence(memory, at, rows, n):
    """Sets activations to 0 where JumpReLU's threshold is not exceeded."""
    for e in range(n):
        if memory[at.values + e] <= memory[at.threshold + rows[e]]:
            memory[at.values + e] = _ZERO


@njit(**INNER)
def _batch_cut(memory, at, rules, lists):
    """What a pre-activation must reach to be kept, as an ordered key, and how many equal to it are.

    If no more than `rules.kept` of the batch are positive, all of them are.
    """
    n = 0
    for s in range(rules.batch):
        z = at.z + s * rules.columns
        found = list_above(memory, z, at.zero, rules.latents, lists.rows, at.values)
        write_keys(memory, at.values, found, lists.keys, n)
        n += found
    if n <= rules.kept:
        return np.int32(0), 0
    return cut_of(lists.keys, n, rules.kept)
