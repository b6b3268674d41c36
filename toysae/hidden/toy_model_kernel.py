"""Training steps of one small toy model, compiled by Numba.

Forward pass, closed-form gradient and AdamW of many batches run without leaving the cache. Samples
are taken in tiles and lie in the innermost axis, so that inner loops run over SIMD lanes; what is
summed over samples is summed lane by lane and folded at the end of a step. The order of every sum
is written here and strict floating point keeps to it: the same bits from every compilation, alone
or in company.

`toy_model_training.mean_error` is the definition; tests hold this file equal to its gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from toysae.compiled import njit

_JIT: Any = {"cache": True, "nogil": True, "error_model": "numpy"}

_TILE = 64
_ZERO = np.float32(0)
_ONE = np.float32(1)


@njit(**_JIT)
def _fold(lanes: Any) -> Any:
    """Sum over lanes, by halves."""
    half = _TILE // 2
    while half:
        for s in range(half):
            lanes[s] += lanes[half + s]
        half //= 2
    return lanes[0]


@njit(**_JIT)
def _read_tile(x: Any, first: int, last: int, tile: Any, live: Any) -> None:
    """Samples `first` to `last` as `tile [n_features, _TILE]`; lanes without a sample are not live.

    Args:
        x: `[samples, n_features]`.
        first, last: rows of `x`, at most `_TILE` of them.
        tile: output.
        live: output, 1 for lanes that hold a sample and 0 for others.
    """
    for s in range(_TILE):
        live[s] = _ONE if first + s < last else _ZERO
        row = x[min(first + s, last - 1)]
        for i in range(tile.shape[0]):
            tile[i, s] = row[i]


@njit(**_JIT)
def _add_gradient(
    tile: Any,
    live: Any,
    encoder: Any,
    decoder: Any,
    bias: Any,
    importance: Any,
    hidden: Any,
    back: Any,
    along: Any,
    loss: Any,
    of_encoder: Any,
    of_decoder: Any,
    of_bias: Any,
) -> None:
    """Add one tile's squared error and half its gradient, lane by lane.

    Args:
        tile, live: as `_read_tile` leaves them.
        encoder, decoder: `[n_features, d]`; bias, importance: `[n_features]`.
        hidden, back: scratch `[d, _TILE]`; along: scratch `[_TILE]`.
        loss: `[_TILE]`; of_encoder, of_decoder: `[n_features, d, _TILE]`;
            of_bias: `[n_features, _TILE]`.
    """
    n_features, d = encoder.shape
    for k in range(d):
        h, g = hidden[k], back[k]
        for s in range(_TILE):
            h[s] = _ZERO
            g[s] = _ZERO
        for i in range(n_features):
            weight, values = encoder[i, k], tile[i]
            for s in range(_TILE):
                h[s] += weight * values[s]
    for i in range(n_features):
        values, total = tile[i], of_bias[i]
        for s in range(_TILE):
            along[s] = bias[i]
        for k in range(d):
            weight, h = decoder[i, k], hidden[k]
            for s in range(_TILE):
                along[s] += weight * h[s]
        scale = importance[i]
        for s in range(_TILE):
            fires = live[s] * np.float32(along[s] > _ZERO)
            error = fires * along[s] - live[s] * values[s]
            loss[s] += scale * error * error
            along[s] = fires * scale * error
            total[s] += along[s]
        for k in range(d):
            weight, h, g, product = decoder[i, k], hidden[k], back[k], of_decoder[i, k]
            for s in range(_TILE):
                product[s] += along[s] * h[s]
                g[s] += along[s] * weight
    for i in range(n_features):
        values = tile[i]
        for k in range(d):
            g, product = back[k], of_encoder[i, k]
            for s in range(_TILE):
                product[s] += values[s] * g[s]


@njit(**_JIT)
def _adamw(
    parameters: Any, gradient: Any, first: Any, second: Any, step: int, lr: float, decay: float
) -> None:
    """One update as of `torch.optim.AdamW` with its default betas and epsilon."""
    step_size = np.float32(lr / (1.0 - 0.9**step))
    root = np.float32(math.sqrt(1.0 - 0.999**step))
    kept = np.float32(1.0 - lr * decay)
    for i in range(parameters.shape[0]):
        g = gradient[i]
        first[i] += np.float32(0.1) * (g - first[i])
        second[i] = np.float32(0.999) * second[i] + np.float32(0.001) * g * g
        scale = np.float32(math.sqrt(second[i])) / root + np.float32(1e-8)
        parameters[i] = kept * parameters[i] - step_size * first[i] / scale


@njit(**_JIT)
def train_batches(
    x: Any,
    batch_size: int,
    parameters: Any,
    first: Any,
    second: Any,
    decoder_at: int,
    importance: Any,
    steps_done: int,
    lr: float,
    decay: float,
    loss: Any,
) -> None:
    """One AdamW step on each batch of `x`, in place.

    Args:
        x: batches one after another, `[steps * batch_size, n_features]`, float32.
        batch_size: samples a step.
        parameters: encoder `[n_features, d]`, then the decoder unless it is tied, then the bias,
            flat.
        first, second: AdamW's moments of the parameters.
        decoder_at: place of the decoder in `parameters`; 0 where it is the encoder.
        importance: weight of each feature's squared error, `[n_features]`.
        steps_done: steps before these.
        lr, decay: learning rate and decoupled weight decay.
        loss: output, mean weighted squared error of each batch before its step, `[steps]`.
    """
    n_features = x.shape[1]
    bias_at = parameters.shape[0] - n_features
    size = bias_at - decoder_at
    d = size // n_features
    encoder = parameters[:size].reshape(n_features, d)
    decoder = parameters[decoder_at:bias_at].reshape(n_features, d)
    bias = parameters[bias_at:]
    tile = np.empty((n_features, _TILE), np.float32)
    live = np.empty(_TILE, np.float32)
    along = np.empty(_TILE, np.float32)
    error = np.empty(_TILE, np.float32)
    hidden = np.empty((d, _TILE), np.float32)
    back = np.empty((d, _TILE), np.float32)
    of_encoder = np.empty((n_features, d, _TILE), np.float32)
    of_decoder = np.empty((n_features, d, _TILE), np.float32)
    of_bias = np.empty((n_features, _TILE), np.float32)
    gradient = np.empty_like(parameters)
    mean = _ONE / np.float32(batch_size * n_features)
    for step in range(loss.shape[0]):
        error[:] = _ZERO
        of_encoder[:] = _ZERO
        of_decoder[:] = _ZERO
        of_bias[:] = _ZERO
        start, stop = step * batch_size, (step + 1) * batch_size
        for at in range(start, stop, _TILE):
            _read_tile(x, at, min(at + _TILE, stop), tile, live)
            _add_gradient(tile, live, encoder, decoder, bias, importance, hidden, back, along,
                          error, of_encoder, of_decoder, of_bias)  # fmt: skip
        gradient[:] = _ZERO
        for i in range(n_features):
            gradient[bias_at + i] = np.float32(2) * mean * _fold(of_bias[i])
            for k in range(d):
                place = i * d + k
                gradient[place] += np.float32(2) * mean * _fold(of_encoder[i, k])
                gradient[decoder_at + place] += np.float32(2) * mean * _fold(of_decoder[i, k])
        loss[step] = mean * _fold(error)
        _adamw(parameters, gradient, first, second, steps_done + step + 1, lr, decay)
