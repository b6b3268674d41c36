"""Fused CPU kernel for ReLU SAEs: one member at a time stays in the cache.

Forward pass, closed-form gradient, Adam and decoder normalisation of all steps of a data chunk are
done for one member before the next, in code that Numba compiles on first use (no compiler needed on
the machine). Samples lie in the innermost axis, so that every inner loop runs over SIMD lanes.

The autograd formulation in `reference.py` is the definition; tests hold this file equal to it.
A member's numbers do not depend on its company: nothing here is shared between members.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

# No "nnan"/"ninf": divergence is detected by non-finite values, which those flags would hide. Not
# cached on disk: code that Numba loads from there rounds differently from the same code fresh from
# its compiler, and the first process would differ from all later ones. Compiling takes 5 seconds.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
_JIT: Any = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}

_EPSILON = np.float32(1e-6)
_ADAM_EPSILON = 1e-8
_LARGEST = np.finfo(np.float32).max
_ZERO = np.float32(0)
_ONE = np.float32(1)
_TWO = np.float32(2)


@njit(**_JIT)
def _encode(x, w_enc, bias, latents):
    """latents[j] = relu(w_enc[:, j] . x + bias[j]) over all samples; x is [d, batch]."""
    d, batch = x.shape
    for j in range(latents.shape[0]):
        row = latents[j]
        b = bias[j]
        for s in range(batch):
            row[s] = b
        # Two input dimensions a pass halve the trips through memory; the plane (d = 2) needs one.
        for k in range(0, d - 1, 2):
            w0, w1 = w_enc[k, j], w_enc[k + 1, j]
            x0, x1 = x[k], x[k + 1]
            for s in range(batch):
                row[s] += w0 * x0[s] + w1 * x1[s]
        if d % 2:
            w0, x0 = w_enc[d - 1, j], x[d - 1]
            for s in range(batch):
                row[s] += w0 * x0[s]
        for s in range(batch):
            row[s] = row[s] if row[s] > _ZERO else _ZERO


@njit(**_JIT)
def _decode(latents, w_dec, b_dec, reconstruction):
    """reconstruction[k] = sum_j w_dec[j, k] latents[j] + b_dec[k]."""
    d, batch = reconstruction.shape
    for k in range(d):
        out = reconstruction[k]
        b = b_dec[k]
        for s in range(batch):
            out[s] = b
        for j in range(latents.shape[0]):
            w = w_dec[j, k]
            row = latents[j]
            for s in range(batch):
                out[s] += w * row[s]


@njit(**_JIT)
def _dot(a, b):
    total = _ZERO
    for s in range(a.shape[0]):
        total += a[s] * b[s]
    return total


@njit(**_JIT)
def _error_and_loss(x, reconstruction, weight, error):
    """Mean weighted squared error; writes its gradient by the reconstruction to `error`."""
    d, batch = x.shape
    scale = _TWO / np.float32(batch)
    loss = _ZERO
    for k in range(d):
        xk, rk, ek = x[k], reconstruction[k], error[k]
        part = _ZERO
        for s in range(batch):
            difference = rk[s] - xk[s]
            weighted = weight[s] * difference
            part += weighted * difference
            ek[s] = scale * weighted
        loss += part
    return loss / np.float32(batch)


@njit(**_JIT)
def _backward(x, latents, error, w_dec, penalty, scratch, g_w_enc, g_b_enc, g_w_dec):
    """Adds closed-form gradients; penalty[j] is the gradient of the penalty by an active latent."""
    d, batch = x.shape
    for j in range(latents.shape[0]):
        row = latents[j]
        p = penalty[j]
        for s in range(batch):
            scratch[s] = p
        for k in range(0, d - 1, 2):
            w0, w1 = w_dec[j, k], w_dec[j, k + 1]
            e0, e1 = error[k], error[k + 1]
            for s in range(batch):
                scratch[s] += w0 * e0[s] + w1 * e1[s]
        if d % 2:
            w0, e0 = w_dec[j, d - 1], error[d - 1]
            for s in range(batch):
                scratch[s] += w0 * e0[s]
        total = _ZERO
        for s in range(batch):
            scratch[s] = scratch[s] if row[s] > _ZERO else _ZERO
            total += scratch[s]
        g_b_enc[j] += total
        for k in range(d):
            xk, ek = x[k], error[k]
            along_x, along_error = _ZERO, _ZERO
            for s in range(batch):
                along_x += xk[s] * scratch[s]
                along_error += ek[s] * row[s]
            g_w_enc[k, j] += along_x
            g_w_dec[j, k] += along_error


@njit(**_JIT)
def _add_ghost_gradients(
    x, reconstruction, weight, dead, w_enc, bias, w_dec, error, ghost, g_w_enc, g_b_enc, g_w_dec
):
    """Gradients of the ghost loss: see `toysae.training.dead.ghost_loss` for the definition.

    Adds to `error` what flows into the alive part through the residual, and to the gradients of the
    dead latents what flows into them directly. Runs sample by sample: dead latents are few and the
    exponential dominates.
    """
    d, batch = x.shape
    n_latents = dead.shape[0]
    residual = np.empty(d, np.float32)
    output = np.empty(d, np.float32)
    for s in range(batch):
        root = np.float32(math.sqrt(weight[s]))
        residual_square = _ZERO
        for k in range(d):
            output[k] = _ZERO
            residual[k] = (x[k, s] - reconstruction[k, s]) * root
            residual_square += residual[k] * residual[k]
        for j in range(n_latents):
            if dead[j]:
                z = bias[j]
                for k in range(d):
                    z += w_enc[k, j] * x[k, s]
                ghost[j] = np.float32(math.exp(z))
                for k in range(d):
                    output[k] += ghost[j] * w_dec[j, k]
        output_square = _ZERO
        for k in range(d):
            output_square += output[k] * output[k]
        scale = np.float32(math.sqrt(residual_square)) / (
            _EPSILON + _TWO * np.float32(math.sqrt(output_square))
        )
        ghost_square = _ZERO
        for k in range(d):
            output[k] = residual[k] - scale * output[k]
            ghost_square += output[k] * output[k]
        factor = _TWO * residual_square / (_EPSILON + ghost_square) / np.float32(batch)
        for j in range(n_latents):
            if dead[j]:
                along = _ZERO
                for k in range(d):
                    along += output[k] * w_dec[j, k]
                    g_w_dec[j, k] -= factor * scale * ghost[j] * output[k]
                g_pre = -factor * scale * ghost[j] * along
                g_b_enc[j] += g_pre
                for k in range(d):
                    g_w_enc[k, j] += g_pre * x[k, s]
        for k in range(d):
            error[k, s] -= factor * root * output[k]


@njit(**_JIT)
def _adam(p, g, m, v, step_size, beta1, beta2, root_correction):
    for i in range(p.shape[0]):
        m[i] = beta1 * m[i] + (_ONE - beta1) * g[i]
        v[i] = beta2 * v[i] + (_ONE - beta2) * g[i] * g[i]
        p[i] -= (
            step_size
            * m[i]
            / (np.float32(math.sqrt(v[i])) / root_correction + np.float32(_ADAM_EPSILON))
        )


@njit(**_JIT)
def _remove_parallel(w_dec, g_w_dec):
    for j in range(w_dec.shape[0]):
        along = _dot(w_dec[j], g_w_dec[j])
        for k in range(w_dec.shape[1]):
            g_w_dec[j, k] -= along * w_dec[j, k]


@njit(**_JIT)
def _normalize_rows(w_dec):
    for j in range(w_dec.shape[0]):
        norm = np.float32(math.sqrt(_dot(w_dec[j], w_dec[j])))
        if norm > _ZERO:
            for k in range(w_dec.shape[1]):
                w_dec[j, k] /= norm


@njit(**_JIT)
def train_chunk(
    first, last, x, weight, stream_of,
    w_enc, b_enc, w_dec, b_dec,
    m_w_enc, m_b_enc, m_w_dec, m_b_dec,
    v_w_enc, v_b_enc, v_w_dec, v_b_dec,
    silent_steps, cooldown, frozen_at,
    lr, coefficient, beta1, beta2, first_step,
    unit_norm, ghost_window, ghost_cooldown, fire_threshold,
    error_out, penalty_out, l0_out,
):  # fmt: skip
    """Train members `first <= i < last` on every batch of a chunk, in place.

    Args:
        first, last: range of members.
        x: data `[streams, steps, d, batch]`; weight: error weights `[streams, steps, batch]`.
        stream_of: stream of each member, `[M]`.
        w_enc, b_enc, w_dec, b_dec: parameters `[M, d, m]`, `[M, m]`, `[M, m, d]`, `[M, d]`.
        m_..., v_...: Adam's first and second moments, shaped as the parameters.
        silent_steps, cooldown: per latent, steps since it fired and ghost cooldown left, `[M, m]`.
        frozen_at: step at which a member diverged, or -1, `[M]`.
        lr: per member and step, `[M, steps]`, float64; coefficient: likewise, float32.
        beta1, beta2: per member, `[M]`, float64.
        first_step: number of steps done before this chunk.
        unit_norm: hold decoder rows at norm 1.
        ghost_window: silent for more steps than this, a latent is dead; negative: no ghosts.
        ghost_cooldown: steps over which a revived latent's penalty returns.
        fire_threshold: a latent fires above this value.
        error_out, penalty_out, l0_out: mean error, coefficient times penalty, and L0, `[M, steps]`.
    """
    steps, d, batch = x.shape[1], x.shape[2], x.shape[3]
    n_latents = b_enc.shape[1]
    latents = np.empty((n_latents, batch), np.float32)
    reconstruction = np.empty((d, batch), np.float32)
    error = np.empty((d, batch), np.float32)
    scratch = np.empty(batch, np.float32)
    penalty = np.empty(n_latents, np.float32)
    ghost = np.empty(n_latents, np.float32)
    dead = np.zeros(n_latents, np.bool_)
    g_w_enc = np.empty((d, n_latents), np.float32)
    g_b_enc = np.empty(n_latents, np.float32)
    g_w_dec = np.empty((n_latents, d), np.float32)
    g_b_dec = np.empty(d, np.float32)
    for i in range(first, last):
        if frozen_at[i] >= 0:
            continue
        we, be, wd, bd = w_enc[i], b_enc[i], w_dec[i], b_dec[i]
        b1, b2 = np.float32(beta1[i]), np.float32(beta2[i])
        for t in range(steps):
            xt, wt = x[stream_of[i], t], weight[stream_of[i], t]
            if unit_norm:
                _normalize_rows(wd)
            any_dead = False
            for j in range(n_latents):
                dead[j] = ghost_window >= 0 and silent_steps[i, j] > ghost_window
                any_dead = any_dead or dead[j]
                cooldown[i, j] = ghost_cooldown if dead[j] else max(cooldown[i, j] - 1, 0)
                kept = _ONE
                if ghost_cooldown > 0:
                    kept = _ONE - np.float32(cooldown[i, j]) / np.float32(ghost_cooldown)
                penalty[j] = coefficient[i, t] * kept / np.float32(batch)
            _encode(xt, we, be, latents)
            _decode(latents, wd, bd, reconstruction)
            error_out[i, t] = _error_and_loss(xt, reconstruction, wt, error)
            total_penalty = _ZERO
            total_firings = np.int64(0)
            for j in range(n_latents):
                row, total, firings = latents[j], _ZERO, np.int32(0)
                for s in range(batch):
                    total += row[s]
                    firings += np.int32(row[s] > fire_threshold)
                total_penalty += penalty[j] * total
                total_firings += firings
                silent_steps[i, j] = 0 if firings > 0 else silent_steps[i, j] + 1
            penalty_out[i, t] = total_penalty
            l0_out[i, t] = np.float32(total_firings) / np.float32(batch)
            # Not `math.isfinite`: it subtracts the value from itself, which "reassoc" folds to 0.
            if not abs(error_out[i, t] + total_penalty) <= _LARGEST:
                frozen_at[i] = first_step + t
                break
            g_w_enc[:] = _ZERO
            g_b_enc[:] = _ZERO
            g_w_dec[:] = _ZERO
            if any_dead:
                # First, because the alive part must see the ghost loss through its residual.
                _add_ghost_gradients(
                    xt, reconstruction, wt, dead, we, be, wd, error, ghost,
                    g_w_enc, g_b_enc, g_w_dec,
                )  # fmt: skip
            _backward(xt, latents, error, wd, penalty, scratch, g_w_enc, g_b_enc, g_w_dec)
            for k in range(d):
                total = _ZERO
                ek = error[k]
                for s in range(batch):
                    total += ek[s]
                g_b_dec[k] = total
            if unit_norm:
                _remove_parallel(wd, g_w_dec)
            step = first_step + t + 1
            step_size = np.float32(lr[i, t] / (1.0 - beta1[i] ** step))
            root = np.float32(math.sqrt(1.0 - beta2[i] ** step))
            _adam(we.ravel(), g_w_enc.ravel(), m_w_enc[i].ravel(), v_w_enc[i].ravel(),
                  step_size, b1, b2, root)  # fmt: skip
            _adam(be, g_b_enc, m_b_enc[i], v_b_enc[i], step_size, b1, b2, root)
            _adam(wd.ravel(), g_w_dec.ravel(), m_w_dec[i].ravel(), v_w_dec[i].ravel(),
                  step_size, b1, b2, root)  # fmt: skip
            _adam(bd, g_b_dec, m_b_dec[i], v_b_dec[i], step_size, b1, b2, root)
