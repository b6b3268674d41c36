"""Fused CPU kernel for small ReLU SAEs: one member at a time stays in the cache.

Forward pass, closed-form gradient, Adam and decoder normalisation of all steps of a data chunk are
done for one member before the next, in code that Numba compiles on first use and keeps on disk (no
compiler needed on the machine). What is done to samples is in `fused_passes.py`, what is done to
parameters is here; that file says how the parameters of a member are one row of numbers.

The autograd formulation in `reference.py` is the definition; tests hold this file equal to it. A
member's numbers do not depend on its company: nothing here is shared between members.
"""

from __future__ import annotations

import math

import numpy as np

from toysae.compiled import njit
from toysae.training.control import LARGEST_CONTROL
from toysae.training.kernels.fused_passes import (
    OWN,
    TILE,
    add_errors,
    add_ghost_errors,
    add_ghost_gradients,
    add_gradients,
    collect,
)  # fmt: skip
from toysae.training.kernels.simd_types import INNER, JIT, LANES

_CLIP_EPSILON = np.float32(1e-6)
_ADAM_EPSILON = np.float32(1e-8)
_ZERO = np.float32(0)
_ONE = np.float32(1)


@njit(**INNER)
def _row_norm(p, j, d):
    total = _ZERO
    for k in range(d):
        total += p[j * d + k] * p[j * d + k]
    return np.float32(math.sqrt(total))


@njit(**INNER)
def _normalize_rows(p, m, d):
    for j in range(m):
        norm = _row_norm(p, j, d)
        if norm > _ZERO:
            for k in range(d):
                p[j * d + k] /= norm


@njit(**INNER)
def _remove_parallel(p, g, m, d):
    for j in range(m):
        along = _ZERO
        for k in range(j * d, j * d + d):
            along += p[k] * g[k]
        for k in range(j * d, j * d + d):
            g[k] -= along * p[k]


@njit(**INNER)
def _fold_decoder_bias(p, m, d, bias):
    """Encoder bias of an SAE that encodes `x - b_dec`, as one that encodes `x`."""
    for j in range(m):
        for k in range(d):
            bias[j] -= p[m * d + k] * p[m * d + d + k * m + j]


@njit(**INNER)
def _unfold_decoder_bias(p, g, m, d):
    """Gradients by the parameters from those of `x` and of the folded bias."""
    b_dec, w_enc, b_enc = m * d, m * d + d, 2 * m * d + d
    for k in range(d):
        for j in range(m):
            g[w_enc + k * m + j] -= p[b_dec + k] * g[b_enc + j]
            g[b_dec + k] -= p[w_enc + k * m + j] * g[b_enc + j]


@njit(**INNER)
def _clip(g, largest):
    """Scale the gradient down to a norm of `largest`, as `torch.nn.utils.clip_grad_norm_`."""
    total = _ZERO
    for i in range(g.shape[0]):
        total += g[i] * g[i]
    factor = largest / (np.float32(math.sqrt(total)) + _CLIP_EPSILON)
    # Not `factor < 1`: a norm that is NaN must make everything NaN.
    if not factor >= _ONE:
        for i in range(g.shape[0]):
            g[i] *= factor


@njit(**INNER)
def _adam(p, g, first, second, n_decoder, step, lr, encoder_share, beta1, beta2):
    """One step of Adam; the first `n_decoder` parameters have the whole learning rate."""
    size = lr / (1.0 - beta1**step)
    root = np.float32(math.sqrt(1.0 - beta2**step))
    b1, b2 = np.float32(beta1), np.float32(beta2)
    decoder_size, encoder_size = np.float32(size), np.float32(size * encoder_share)
    for i in range(p.shape[0]):
        first[i] = b1 * first[i] + (_ONE - b1) * g[i]
        second[i] = b2 * second[i] + (_ONE - b2) * g[i] * g[i]
        own = decoder_size if i < n_decoder else encoder_size
        p[i] -= own * first[i] / (np.float32(math.sqrt(second[i])) / root + _ADAM_EPSILON)


@njit(**INNER)
def _care_for_dead_latents(silent_steps, cooldown, window, ghost_cooldown, dead, kept):
    """Fills which latents are dead and what share of their penalty counts; whether any is dead."""
    kept[:] = _ONE
    if window < 0:
        return False
    any_dead = False
    for j in range(dead.shape[0]):
        dead[j] = silent_steps[j] > window
        any_dead = any_dead or dead[j]
        cooldown[j] = ghost_cooldown if dead[j] else max(cooldown[j] - 1, 0)
        if ghost_cooldown > 0:
            kept[j] -= np.float32(cooldown[j]) / np.float32(ghost_cooldown)
    return any_dead


@njit(**INNER)
def _record_firing(firings, silent_steps):
    """Number of all firings, float32; counts on for how long each latent is silent."""
    total = 0
    for j in range(firings.shape[0]):
        total += firings[j]
        silent_steps[j] = 0 if firings[j] > 0 else silent_steps[j] + 1
    return np.float32(total)


@njit(**INNER)
def _next_control(control, l0, target, rate):
    """As `toysae.training.control.next_control`."""
    excess = np.float64(l0) / target - 1.0
    if not math.isfinite(excess):
        return control
    turned = control + rate * min(max(excess, -1.0), 1.0)
    return min(max(turned, -LARGEST_CONTROL), LARGEST_CONTROL)


@njit(**JIT)
def train_chunk(
    first, last, dims, kind, x, batch, weight, stream_of,
    params, first_moment, second_moment, silent_steps, cooldown, control, frozen_at,
    lr, encoder_share, coefficient, parameter, beta1, beta2, gradient_clip, target_l0, first_step,
    unit_norm, by_norm, encode_centred, ghost_window, ghost_cooldown, fire_threshold, control_rate,
    error_out, penalty_out, l0_out,
):  # fmt: skip
    """Train members `first <= i < last` on every batch of a chunk, in place.

    Args:
        first, last: range of members.
        dims: a tuple of length `d`; kind: one as long as the number of the penalty. Numba compiles
            a version for each length, to which it is a constant.
        x: data `[streams, d, steps, padded]`, of which the first `batch` samples of a step count.
        weight: error weights `[streams, steps, padded]`, 0 in the padding; `[1, 1, padded]` where
            all steps have the same.
        stream_of: stream of each member, `[M]`.
        params, first_moment, second_moment: rows of parameters and of Adam's moments, `[M, n]`.
        silent_steps, cooldown: per latent, steps since it fired and ghost cooldown left, `[M, m]`.
        control: logarithm of the factor of the coefficient, `[M]`.
        frozen_at: step at which a member diverged, or -1, `[M]`.
        lr, encoder_share, coefficient, parameter, beta1, beta2, gradient_clip, target_l0: as in
            `toysae.training.state.Chunk`; parameter: of the penalty, `[steps]`.
        first_step: number of steps done before this chunk.
        unit_norm: hold decoder rows at norm 1.
        by_norm: the penalty is of activations times norms of decoder rows.
        encode_centred: encode `x - b_dec`.
        ghost_window: silent for more steps than this, a latent is dead; negative: no ghosts.
        ghost_cooldown: steps over which a revived latent's penalty returns.
        fire_threshold: a latent fires above this value.
        control_rate: largest change of `control` in a step.
        error_out, penalty_out, l0_out: mean error, coefficient times penalty, and L0, `[M, steps]`.
    """
    d, steps, padded = x.shape[1], x.shape[2], x.shape[3]
    m, n = silent_steps.shape[1], params.shape[1]
    latents, ghosts = np.zeros(m * TILE, np.float32), np.zeros(m * TILE, np.float32)
    error, ghost_error = np.empty(d * TILE, np.float32), np.empty(d * TILE, np.float32)
    sums = np.empty((m * (2 * d + OWN) + 1 + d) * LANES, np.float32)
    bias, price = np.empty(m, np.float32), np.empty(m, np.float32)
    row_norm, firings = np.ones(m, np.float32), np.empty(m, np.int64)
    dead = np.zeros(m, np.bool_)
    g = np.empty(n, np.float32)
    for i in range(first, last):
        if frozen_at[i] >= 0:
            continue
        p, stream = params[i], stream_of[i]
        for t in range(steps):
            x_begin = (stream * d * steps + t) * padded
            row = min(stream, weight.shape[0] - 1) * weight.shape[1] + min(t, weight.shape[1] - 1)
            if unit_norm:
                _normalize_rows(p, m, d)
            any_dead = _care_for_dead_latents(
                silent_steps[i], cooldown[i], ghost_window, ghost_cooldown, dead, price
            )
            factor = coefficient[i, t] * np.float32(math.exp(control[i]))
            for j in range(m):
                price[j] *= np.float32(0.5) * factor
                bias[j] = p[n - m + j]
                if by_norm:
                    row_norm[j] = _row_norm(p, j, d)
            if encode_centred:
                _fold_decoder_bias(p, m, d, bias)
            sums[:] = _ZERO
            for begin in range(0, batch, TILE):
                size = min(TILE, batch - begin)
                x_at, weight_at = x_begin + begin, row * padded + begin
                add_errors(
                    dims, x, x_at, steps * padded, size, weight, weight_at, p, bias,
                    latents, error, sums,
                )  # fmt: skip
                if any_dead:
                    # First, because the alive part must see the ghost loss through its residual.
                    add_ghost_errors(
                        dims, x, x_at, steps * padded, size, weight, weight_at, p, bias, dead,
                        ghosts, error, ghost_error, sums,
                    )  # fmt: skip
                    add_ghost_gradients(
                        dims, x, x_at, steps * padded, size, p, dead, ghosts, ghost_error, sums
                    )
                add_gradients(
                    dims, kind, x, x_at, steps * padded, size, p, latents, error, price, row_norm,
                    parameter[t], fire_threshold, sums,
                )  # fmt: skip
            total_error, total_penalty = collect(
                dims, kind, p, price, row_norm, by_norm, sums, g, firings
            )
            error_out[i, t] = total_error / np.float32(batch)
            penalty_out[i, t] = total_penalty / np.float32(batch)
            l0_out[i, t] = _record_firing(firings, silent_steps[i]) / np.float32(batch)
            if not math.isfinite(error_out[i, t] + penalty_out[i, t]):
                frozen_at[i] = first_step + t
                break
            if encode_centred:
                _unfold_decoder_bias(p, g, m, d)
            for c in range(n):
                g[c] *= np.float32(2) / np.float32(batch)
            if unit_norm:
                _remove_parallel(p, g, m, d)
            if gradient_clip[i] < np.inf:
                _clip(g, gradient_clip[i])
            _adam(
                p, g, first_moment[i], second_moment[i], m * d + d, first_step + t + 1,
                lr[i, t], encoder_share[i, t], beta1[i], beta2[i],
            )  # fmt: skip
            control[i] = _next_control(control[i], l0_out[i, t], target_l0[i], control_rate)
