"""Gradients and steps of Adam: ranges of latents of one large SAE, compiled."""

from __future__ import annotations

import math

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.simd_types import INNER, JIT
from toysae.training.kernels.wide_loops import Weights, add_rows, penalise, row_dot, threshold_slope

_ADAM_EPSILON = np.float32(1e-8)
_ZERO = np.float32(0)
_ONE = np.float32(1)


@njit(**JIT)
def start_rows(first, last, w_dec, norms, unit_norm, by_norm):
    """Bring decoder rows to norm 1 (zero rows stay), or note their norms where they matter."""
    d = w_dec.shape[1]
    for j in range(first, last):
        if unit_norm or by_norm:
            norm = np.float32(math.sqrt(row_dot(w_dec, j * d, w_dec, j * d, d)))
            if by_norm:
                norms[j] = norm
            elif norm > _ZERO:
                row = w_dec[j]
                for k in range(d):
                    row[k] /= norm


@njit(**INNER)
def _row_of_entries(j, row, by_latent, batch, now, penalty, fire_threshold, gradient, silent):
    """Gradient of latent `j`, its rows to row number `row` of `gradient`."""
    w_enc, w_dec = gradient.w_enc[row], gradient.w_dec[row]
    w_enc[:] = _ZERO
    w_dec[:] = _ZERO
    bias, of_threshold, along, fired = _ZERO, _ZERO, _ZERO, False
    for e in range(by_latent.start[j], by_latent.start[j + 1]):
        f, g = by_latent.value[e], by_latent.slope[e]
        fired |= f > fire_threshold
        of_threshold += _threshold_slope_of_entry(penalty, now.threshold[j], f, g)
        if f <= _ZERO:
            by_latent.slope[e] = _ZERO
        else:
            bias += g
            if penalty.by_norm:
                along += f * penalise(penalty, j, f)[1]
    first, last = by_latent.start[j], by_latent.start[j + 1]
    add_rows(w_dec, batch.error, by_latent.sample, by_latent.value, first, last)
    add_rows(w_enc, batch.x, by_latent.sample, by_latent.slope, first, last)
    gradient.b_enc[j] = bias
    gradient.threshold[j] = of_threshold
    silent[j] = 0 if fired else silent[j] + 1
    _add_norm_gradient(j, row, along, now.w_dec, penalty, gradient)


@njit(**INNER)
def _threshold_slope_of_entry(penalty, threshold, f, slope):
    """As `threshold_slope`: an entry of value 0 is there only because it is that near."""
    level = threshold if f <= _ZERO else f
    return threshold_slope(penalty, threshold, level, slope)


@njit(**INNER)
def _add_norm_gradient(j, row, along, w_dec, penalty, gradient):
    """What the penalty's unit contributes: the norm of a decoder row grows along it."""
    if penalty.by_norm and penalty.norms[j] > _ZERO:
        pull = along / (penalty.norms[j] * penalty.norms[j])
        _add_multiple(gradient.w_dec[row], pull, w_dec[j])


@njit(**INNER)
def _finish_row(j, row, now, unit_norm, gradient, pull):
    """No gradient along a row that is held at norm 1; and what `b_dec` gets through `x - b_dec`."""
    d = len(pull)
    if unit_norm:
        along = row_dot(now.w_dec, j * d, gradient.w_dec, row * d, d)
        _add_multiple(gradient.w_dec[row], -along, now.w_dec[j])
    _add_multiple(pull, gradient.b_enc[j], now.w_enc[j])


@njit(**INNER)
def _add_multiple(out, factor, row):
    """`out += factor * row`."""
    for k in range(len(out)):
        out[k] += factor * row[k]


@njit(**INNER)
def _squared_norm(j, gradient):
    """Of everything that belongs to latent `j`."""
    d = gradient.w_dec.shape[1]
    total = row_dot(gradient.w_enc, j * d, gradient.w_enc, j * d, d)
    total += row_dot(gradient.w_dec, j * d, gradient.w_dec, j * d, d)
    return total + gradient.b_enc[j] ** 2 + gradient.threshold[j] ** 2


@njit(**INNER)
def _step(p, m, v, g, size, adam):
    """Adam on some parameters."""
    inverse = _ONE / adam.root
    for i in range(len(p)):
        gradient = adam.factor * g[i]
        m[i] = adam.beta1 * m[i] + (_ONE - adam.beta1) * gradient
        v[i] = adam.beta2 * v[i] + (_ONE - adam.beta2) * gradient * gradient
        p[i] -= size * m[i] / (np.float32(math.sqrt(v[i])) * inverse + _ADAM_EPSILON)


@njit(**INNER)
def _step_row(j, row, now, moment, square, gradient, learns_threshold, adam):
    """Adam on everything that belongs to latent `j`."""
    size = adam.encoder_size
    _step(now.w_enc[j], moment.w_enc[j], square.w_enc[j], gradient.w_enc[row], size, adam)
    _step(
        now.w_dec[j], moment.w_dec[j], square.w_dec[j], gradient.w_dec[row],
        adam.decoder_size, adam,
    )  # fmt: skip
    i = slice(j, j + 1)
    _step(now.b_enc[i], moment.b_enc[i], square.b_enc[i], gradient.b_enc[i], size, adam)
    if learns_threshold:
        _step(
            now.threshold[i], moment.threshold[i], square.threshold[i], gradient.threshold[i],
            size, adam,
        )  # fmt: skip


@njit(**JIT)
def step_by_entries(
    first, last, by_latent, batch, now, moment, square, gradient, learns_threshold, unit_norm,
    penalty, fire_threshold, silent, pull, adam,
):  # fmt: skip
    """Gradient and step of latents `first` to `last`, one after the other, without clipping.

    Args:
        first, last: range of latents.
        by_latent: all entries.
        batch: what came of the samples.
        now, moment, square: parameters and Adam's moments.
        gradient: that of the biases and thresholds is written, that of the weights is not.
        learns_threshold: whether there are thresholds.
        unit_norm: whether decoder rows are held at norm 1.
        penalty: of the step.
        fire_threshold: a latent fires above it.
        silent: steps since each latent fired, `[m]`.
        pull: output, `[d]`: sum over latents of the gradient of the bias times the encoder row.
        adam: of the step.
    """
    d = now.w_dec.shape[1]
    rows = Weights(
        np.empty((1, d), np.float32), gradient.b_enc, np.empty((1, d), np.float32),
        gradient.b_dec, gradient.threshold,
    )  # fmt: skip
    pull[:] = _ZERO
    for j in range(first, last):
        _row_of_entries(j, 0, by_latent, batch, now, penalty, fire_threshold, rows, silent)
        _finish_row(j, 0, now, unit_norm, rows, pull)
        _step_row(j, 0, now, moment, square, rows, learns_threshold, adam)


@njit(**JIT)
def gradient_of_entries(
    first, last, by_latent, batch, now, gradient, unit_norm, penalty, fire_threshold, silent, pull
):
    """The gradient alone, all of it written; returns its squared norm."""
    pull[:] = _ZERO
    total = 0.0
    for j in range(first, last):
        _row_of_entries(j, j, by_latent, batch, now, penalty, fire_threshold, gradient, silent)
        _finish_row(j, j, now, unit_norm, gradient, pull)
        total += _squared_norm(j, gradient)
    return total


@njit(**JIT)
def complete_gradient(first, last, of_latents, now, gradient, unit_norm, penalty, silent, pull):
    """The same, where dense products have left `f^T error` and `slope^T x` in `gradient`."""
    pull[:] = _ZERO
    total = 0.0
    for j in range(first, last):
        gradient.b_enc[j] = of_latents.b_enc[:, j].sum()
        gradient.threshold[j] = of_latents.threshold[:, j].sum()
        silent[j] = 0 if of_latents.fired[:, j].any() else silent[j] + 1
        _add_norm_gradient(j, j, of_latents.along[:, j].sum(), now.w_dec, penalty, gradient)
        _finish_row(j, j, now, unit_norm, gradient, pull)
        total += _squared_norm(j, gradient)
    return total


@njit(**JIT)
def step_rows(first, last, now, moment, square, gradient, learns_threshold, adam):
    """Adam on all parameters of latents `first` to `last`."""
    for j in range(first, last):
        _step_row(j, j, now, moment, square, gradient, learns_threshold, adam)


@njit(**JIT)
def gradient_of_decoder_bias(sums, pulls, gradient):
    """From the sums over ranges, `pulls` `[ranges of latents or 0, d]`; returns its square."""
    gradient.b_dec[:] = _ZERO
    for row in sums.b_dec:
        for k in range(len(row)):
            gradient.b_dec[k] += row[k]
    for row in pulls:
        for k in range(len(row)):
            gradient.b_dec[k] -= row[k]
    return row_dot(gradient.b_dec, 0, gradient.b_dec, 0, len(gradient.b_dec))


@njit(**JIT)
def step_decoder_bias(now, moment, square, gradient, adam):
    """Adam on the decoder's bias."""
    _step(now.b_dec, moment.b_dec, square.b_dec, gradient.b_dec, adam.decoder_size, adam)
