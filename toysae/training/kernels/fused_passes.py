"""Passes of the fused CPU kernel over a tile of samples.

Samples lie in the lanes of vectors, all dimensions of a sample are a bundle in registers. One pass
runs over samples, for the latents and the errors, and one over latents, which sums the gradients of
each in registers.

The parameters of a member are one row of numbers, `p`, and so are their gradients: `W_dec [m, d]`,
`b_dec [d]`, `W_enc [d, m]`, `b_enc [m]`. `sums` holds, for every latent, vectors of the gradients
of its encoder (`d`), its decoder (`d`) and `OWN` more, then the squared error and the gradient of
`b_dec` (`d`). All are of half the loss, summed over samples.

Arguments of all passes: `dims`, a tuple of length `d`; `x`, where the tile of `n` samples begins at
`x_at` and each dimension lies `x_stride` after the one before; `weight` of the errors, from
`weight_at`, 0 in the padding; `bias [m]` of the encoder.
"""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.simd import (
    first_lanes,
    fma,
    lane_sum,
    load,
    maximum,
    select,
    splat,
    sqrt,
    store,
)
from toysae.training.kernels.simd_bundles import (
    dot,
    fma_each,
    load_each,
    splat_each,
    store_each,
    store_sums,
    zeros,
)
from toysae.training.kernels.simd_functions import exp
from toysae.training.kernels.simd_types import INNER, LANES  # fmt: skip
from toysae.training.kernels.vector_penalties import value_and_slope

#: So many samples go through all passes before the next: what a tile needs stays in the cache.
TILE = 512

#: Sums of a latent beside its weights' gradients: bias, firings, penalty, its slope times the
#: activations.
OWN = 4

_L1 = PENALTIES["l1"]
_GHOST_EPSILON = 1e-6
_ZERO = np.float32(0)


@njit(**INNER)
def add_errors(dims, x, x_at, x_stride, n, weight, weight_at, p, bias, latents, error, sums):
    """Fills `latents [m, TILE]`, 0 in the padding, and `error [blocks, d, LANES]`, weighted.

    Adds the squared error to `sums`, and the gradient of `b_dec`. A latent that is NaN makes the
    error NaN.
    """
    d, m = len(dims), bias.shape[0]
    w_enc, at = m * d + d, m * (2 * d + OWN) * LANES
    b_dec = splat_each(dims, p, m * d, 1)
    total, g_b_dec = load(sums, at), load_each(dims, sums, at + LANES, LANES)
    for s in range(0, n, LANES):
        inputs = load_each(dims, x, x_at + s, x_stride)
        difference = fma_each(inputs, splat(-1.0), b_dec)
        for j in range(m):
            pre = dot(splat_each(dims, p, w_enc + j, m), inputs, splat(bias[j]))
            latent = maximum(splat(0.0), pre)
            store(latents, j * TILE + s, latent)
            difference = fma_each(splat_each(dims, p, j * d, 1), latent, difference)
        weighted = fma_each(difference, load(weight, weight_at + s), zeros(dims))
        total = dot(weighted, difference, total)
        g_b_dec = fma_each(weighted, splat(1.0), g_b_dec)
        store_each(error, s * d, LANES, weighted)
    store(sums, at, total)
    store_each(sums, at + LANES, LANES, g_b_dec)
    for j in range(m):
        for s in range(n, n + (-n) % LANES):
            latents[j * TILE + s] = _ZERO


@njit(**INNER)
def add_gradients(
    dims, kind, x, x_at, x_stride, n, p, latents, error, price, row_norm, parameter, threshold, sums
):
    """Adds to `sums` what every latent contributes.

    Args:
        price: half the coefficient of each latent's penalty, `[m]`.
        row_norm: what its activations are multiplied by in the penalty, `[m]`.
    """
    d, m = len(dims), price.shape[0]
    zero, one, limit = splat(0.0), splat(1.0), splat(threshold)
    for j in range(m):
        at = j * (2 * d + OWN) * LANES
        own = at + 2 * d * LANES
        decoder = splat_each(dims, p, j * d, 1)
        norm, rise = splat(row_norm[j]), splat(price[j] * row_norm[j])
        g_encoder = load_each(dims, sums, at, LANES)
        g_decoder = load_each(dims, sums, at + d * LANES, LANES)
        g_bias, fired = load(sums, own), load(sums, own + LANES)
        value, along = load(sums, own + 2 * LANES), load(sums, own + 3 * LANES)
        for s in range(0, n, LANES):
            inputs = load_each(dims, x, x_at + s, x_stride)
            errors = load_each(dims, error, s * d, LANES)
            latent = load(latents, j * TILE + s)
            if len(kind) == _L1:
                value = value + latent
                slope = rise
            else:
                each, slope = value_and_slope(kind, latent * norm, parameter)
                value = value + each
                along = fma(slope, latent, along)
                slope = slope * rise
            g_pre = select(latent > zero, dot(decoder, errors, slope), zero)
            fired = fired + select(latent > limit, one, zero)
            g_bias = g_bias + g_pre
            g_encoder = fma_each(inputs, g_pre, g_encoder)
            g_decoder = fma_each(errors, latent, g_decoder)
        store_each(sums, at, LANES, g_encoder)
        store_each(sums, at + d * LANES, LANES, g_decoder)
        store(sums, own, g_bias)
        store(sums, own + LANES, fired)
        store(sums, own + 2 * LANES, value)
        store(sums, own + 3 * LANES, along)


@njit(**INNER)
def add_ghost_errors(
    dims, x, x_at, x_stride, n, weight, weight_at, p, bias, dead, ghosts, error, ghost_error, sums
):
    """What the dead latents leave of the residual: see `toysae.training.ghost`.

    Adds to `error` what flows into the alive part through the residual. Fills `ghosts [m, TILE]`,
    the dead latents' activations, 0 in the padding, and `ghost_error`, the gradient by their
    output.
    """
    d, m = len(dims), bias.shape[0]
    w_enc, at = m * d + d, m * (2 * d + OWN) * LANES + LANES
    zero, one, nothing, epsilon = splat(0.0), splat(1.0), zeros(dims), splat(_GHOST_EPSILON)
    g_b_dec = load_each(dims, sums, at, LANES)
    for s in range(0, n, LANES):
        inputs = load_each(dims, x, x_at + s, x_stride)
        errors = load_each(dims, error, s * d, LANES)
        there = first_lanes(n - s)
        output = nothing
        for j in range(m):
            if dead[j]:
                pre = dot(splat_each(dims, p, w_enc + j, m), inputs, splat(bias[j]))
                ghost = select(there, exp(pre), zero)
                store(ghosts, j * TILE + s, ghost)
                output = fma_each(splat_each(dims, p, j * d, 1), ghost, output)
        root = select(there, sqrt(load(weight, weight_at + s)), one)
        residual = fma_each(errors, -(one / root), nothing)
        square = dot(residual, residual, zero)
        scale = sqrt(square) / (epsilon + splat(2.0) * sqrt(dot(output, output, zero)))
        left = fma_each(output, -scale, residual)
        factor = square / (epsilon + dot(left, left, zero))
        g_b_dec = fma_each(left, -(factor * root), g_b_dec)
        store_each(error, s * d, LANES, fma_each(left, -(factor * root), errors))
        store_each(ghost_error, s * d, LANES, fma_each(left, -(factor * scale), nothing))
    store_each(sums, at, LANES, g_b_dec)


@njit(**INNER)
def add_ghost_gradients(dims, x, x_at, x_stride, n, p, dead, ghosts, ghost_error, sums):
    """Adds to `sums` what flows into the dead latents directly."""
    d = len(dims)
    for j in range(dead.shape[0]):
        if dead[j]:
            at = j * (2 * d + OWN) * LANES
            decoder = splat_each(dims, p, j * d, 1)
            g_encoder = load_each(dims, sums, at, LANES)
            g_decoder = load_each(dims, sums, at + d * LANES, LANES)
            g_bias = load(sums, at + 2 * d * LANES)
            for s in range(0, n, LANES):
                errors = load_each(dims, ghost_error, s * d, LANES)
                ghost = load(ghosts, j * TILE + s)
                g_pre = ghost * dot(decoder, errors, splat(0.0))
                g_bias = g_bias + g_pre
                g_encoder = fma_each(load_each(dims, x, x_at + s, x_stride), g_pre, g_encoder)
                g_decoder = fma_each(errors, ghost, g_decoder)
            store_each(sums, at, LANES, g_encoder)
            store_each(sums, at + d * LANES, LANES, g_decoder)
            store(sums, at + 2 * d * LANES, g_bias)


@njit(**INNER)
def collect(dims, kind, p, price, row_norm, by_norm, sums, g, firings):
    """The gradient from `sums` over lanes, and how often each latent fires.

    Returns:
        Summed error and summed penalty.
    """
    d, m = len(dims), price.shape[0]
    w_enc, b_enc = m * d + d, 2 * m * d + d
    penalty = _ZERO
    for j in range(m):
        at = j * (2 * d + OWN) * LANES
        own = at + 2 * d * LANES
        store_sums(g, w_enc + j, m, load_each(dims, sums, at, LANES))
        store_sums(g, j * d, 1, load_each(dims, sums, at + d * LANES, LANES))
        g[b_enc + j] = lane_sum(load(sums, own))
        firings[j] = np.int64(lane_sum(load(sums, own + LANES)))
        size, share = lane_sum(load(sums, own + 2 * LANES)), lane_sum(load(sums, own + 3 * LANES))
        if len(kind) == _L1:
            size, share = row_norm[j] * size, size
        penalty += price[j] * size
        if by_norm and row_norm[j] > _ZERO:
            for k in range(d):
                g[j * d + k] += price[j] * share * p[j * d + k] / row_norm[j]
    at = m * (2 * d + OWN) * LANES
    store_sums(g, m * d, 1, load_each(dims, sums, at + LANES, LANES))
    return lane_sum(load(sums, at)), np.float32(2) * penalty
