"""What the sparse kernel is called with: where it keeps a member, and data and schedules for it."""

from __future__ import annotations

from concurrent.futures import Executor
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from toysae.saes.fast import FastForm
from toysae.saes.rectified import Rectified
from toysae.saes.trainable import TrainableFamily
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.products import TILE
from toysae.training.kernels.rows import copy_to_rows
from toysae.training.kernels.simd_types import LANES
from toysae.training.kernels.sparse_places import (
    ACTIVATIONS,
    BATCH_TOPK,
    STRETCH,
    Places,
    Rules,
)
from toysae.training.state import Chunk, StackState
from toysae.training.trainer import Trainer


def rounded_up(n: int, unit: int) -> int:
    """The least multiple of `unit` that is at least `n`."""
    return -(-n // unit) * unit


def rules_of(family: TrainableFamily, form: FastForm, trainer: Trainer, chunk: Chunk) -> Rules:
    """What holds for all members of the stack."""
    _, _, batch, d = chunk.x.shape
    latents = family.n_latents
    ghosts = trainer.dead_latents == "ghost"
    return Rules(
        batch=batch,
        d=d,
        latents=latents,
        stride=rounded_up(d, LANES),
        columns=rounded_up(latents, LANES),
        activation=ACTIVATIONS.index(form.activation),
        penalty=PENALTIES[form.penalty],
        kept=int(form.k * batch if form.activation == "batch_topk" else form.k),
        bandwidth=np.float32(form.bandwidth),
        threshold_rate=np.float32(form.threshold_rate),
        penalty_by_decoder_norm=form.penalty_by_decoder_norm,
        subtract_decoder_bias=family.subtract_decoder_bias,
        unit_norm_decoder=family.unit_norm_decoder,
        ghosts=ghosts,
        auxiliary=trainer.dead_latents == "auxiliary",
        dead_window=trainer.dead_after,
        ghost_cooldown=trainer.ghost_cooldown if ghosts else 0,
        auxiliary_coefficient=float(trainer.auxiliary_coefficient),
        fire_threshold=np.float32(trainer.fire_threshold),
        control_rate=float(trainer.control_rate),
    )


def schedule(family: TrainableFamily, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """`steps` and `constants` of `train_chunk`."""
    step = (chunk.step + 1).double()
    size = chunk.lr / (1 - chunk.beta1[:, None] ** step)
    root = (1 - chunk.beta2[:, None] ** step).sqrt()
    parameter = torch.zeros_like(chunk.progress)
    if isinstance(family, Rectified):
        parameter = family.penalty_parameter(chunk.progress)
    columns = (
        size * chunk.encoder_share,
        size,
        root,
        chunk.coefficient,
        parameter.expand_as(size),
    )
    constants = (chunk.beta1, chunk.beta2, chunk.gradient_clip.double(), chunk.target_l0)
    return (
        as_numpy(torch.stack([column.float() for column in columns], dim=-1)),
        as_numpy(torch.stack(constants, dim=-1)),
    )


def padded(x: Tensor, rules: Rules, pool: Executor) -> np.ndarray:
    """Samples in rows, padded to whole tiles, `[streams, steps, samples * stride]`."""
    streams, steps, batch, _ = x.shape
    rows = np.zeros((streams, steps, rounded_up(batch, TILE), rules.stride), np.float32)
    each = [(x[stream].numpy(), rows[stream]) for stream in range(streams)]
    list(pool.map(lambda pair: copy_to_rows(*pair), each))
    return rows.reshape(streams, steps, -1)


def error_weights(family: TrainableFamily, x: Tensor) -> np.ndarray:
    """Weight of every sample's error, `[streams, steps, batch]`."""
    return np.stack([as_numpy(family.error_weight(samples)) for samples in x])


def places_of(rules: Rules) -> Places:
    """Where things begin in a member's memory; see `Places`."""
    table, row, column = rules.latents * rules.stride, rules.stride, rules.columns
    whole = rules.activation == BATCH_TOPK
    samples = rounded_up(rules.batch, TILE) if whole else TILE
    params = (table, column, column, table, row)
    encoder, bias, threshold, decoder, decoder_bias, size = accumulate(params, initial=0)
    scratch = (
        rules.d * column,  # weights
        column,  # offset
        samples * column,  # z
        *[column] * 4,  # floor, penalty, norms, radial
        column + LANES,  # values
        column * STRETCH + LANES,  # taken
        max(column, STRETCH) + LANES,  # along
        *[row] * 2,  # out, ghost
        STRETCH * row,  # slope
        max(row, column),  # zero
    )
    return Places(
        encoder, bias, threshold, decoder, decoder_bias, size,
        *accumulate(scratch, initial=4 * size),
    )  # fmt: skip


def pack(state: StackState, rules: Rules, places: Places) -> np.ndarray:
    """Parameters and both moments of a stack, `[M, 3 size]`, in the order of `Places`."""
    members = len(state.frozen_at)
    packed = np.zeros((members, 3, places.gradients), np.float32)
    for part, values in enumerate((state.params, state.first_moment, state.second_moment)):
        for name, view in _views(packed[:, part], rules, places).items():
            if name in values:
                value = values[name].numpy()
                view[tuple(slice(n) for n in value.shape)] = value
    return packed.reshape(members, -1)


def unpack(packed: np.ndarray, state: StackState, rules: Rules, places: Places) -> None:
    """The way back: write `packed` to the state."""
    parts = packed.reshape(len(packed), 3, places.gradients)
    for part, values in enumerate((state.params, state.first_moment, state.second_moment)):
        for name, view in _views(parts[:, part], rules, places).items():
            if name in values:
                value = values[name].numpy()
                value[...] = view[tuple(slice(n) for n in value.shape)]


def _views(packed: np.ndarray, rules: Rules, places: Places) -> dict[str, np.ndarray]:
    """The parts of `packed [M, size]` by name and with the axes of the parameters, padded."""
    rows = (len(packed), rules.latents, rules.stride)
    return {
        "W_enc": packed[:, places.encoder : places.bias].reshape(rows).transpose(0, 2, 1),
        "b_enc": packed[:, places.bias : places.threshold],
        "threshold": packed[:, places.threshold : places.decoder],
        "W_dec": packed[:, places.decoder : places.decoder_bias].reshape(rows),
        "b_dec": packed[:, places.decoder_bias :],
    }


def as_numpy(value: Tensor) -> np.ndarray:
    """A contiguous array, without a copy where `value` is contiguous."""
    return value.contiguous().numpy()
