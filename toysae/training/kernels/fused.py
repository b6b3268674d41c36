"""Runs the fused CPU kernel on a stack, members spread over threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from toysae.saes.base import Params
from toysae.saes.fast import FastForm
from toysae.saes.rectified import Rectified
from toysae.saes.trainable import TrainableFamily
from toysae.training.member import Member
from toysae.training.objectives import Local, Objective
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

#: Above this many weights a member, kernels that skip silent latents win.
LARGEST_FUSED = 256

#: All dimensions of a sample are held in registers.
LARGEST_DIMENSION = 8

#: Parts of a stack for each thread: a core that also draws data is left fewer of them.
_PARTS = 2

#: The kernel's order of a member's parameters.
_ORDER = ("W_dec", "b_dec", "W_enc", "b_enc")


class FusedKernel:
    """One member at a time through `toysae.training.kernels.fused_loops.train_chunk`."""

    name = "fused CPU kernel (Numba)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, threads: int) -> None:
        self.family = cast(Rectified, family)  # `refusal` made sure of it
        self._form = cast(FastForm, family.fast_form)
        self.trainer = trainer
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    @staticmethod
    def refusal(member: Member, objective: Objective) -> str:
        """Why this kernel cannot train a stack like `member`; empty if it can."""
        family, d = member.sae, member.stream.space.d_hidden
        form = family.fast_form
        is_relu = isinstance(family, Rectified) and form is not None and form.activation == "relu"
        reasons = {
            "only on the CPU": member.stream.device.type != "cpu",
            f"not for {family.name}": not is_relu,
            f"up to {LARGEST_DIMENSION} dimensions": d > LARGEST_DIMENSION,
            f"up to {LARGEST_FUSED} weights": d * family.n_latents > LARGEST_FUSED,
            "without the orthogonality term": family.has_orthogonality,
            "without the frequency term": family.has_frequency,
            "with nothing frozen": member.trainer.frozen != "none",
            "only for the local objective": not isinstance(objective, Local),
            "without the auxiliary loss": member.trainer.dead_latents == "auxiliary",
        }
        return next((f"fused kernel: {reason}" for reason, holds in reasons.items() if holds), "")

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        # Loading compiled code, or compiling it, takes a while: only when used.
        from toysae.training.kernels.fused_loops import train_chunk
        from toysae.training.kernels.penalty_loops import PENALTIES

        family, trainer, form = self.family, self.trainer, self._form
        members, steps, (batch, d) = len(state.frozen_at), chunk.n_steps, chunk.x.shape[2:]
        x, weight = self._samples_innermost(chunk)
        rows = [_packed(part) for part in (state.params, state.first_moment, state.second_moment)]
        losses = [np.full((members, steps), np.nan, np.float32) for _ in range(3)]
        ghost = trainer.dead_latents == "ghost"
        arguments = (
            (0,) * d,
            (0,) * PENALTIES[form.penalty],
            x.numpy(),
            batch,
            weight.numpy(),
            chunk.stream_of.numpy(),
            *rows,
            state.silent_steps.numpy(),
            state.cooldown.numpy(),
            state.control.numpy(),
            state.frozen_at.numpy(),
            chunk.lr.numpy(),
            chunk.encoder_share.contiguous().numpy(),
            chunk.coefficient.float().numpy(),
            family.penalty_parameter(chunk.progress).float().numpy(),
            chunk.beta1.numpy(),
            chunk.beta2.numpy(),
            chunk.gradient_clip.numpy(),
            chunk.target_l0.numpy(),
            state.step,
            family.unit_norm_decoder,
            form.penalty_by_decoder_norm,
            family.subtract_decoder_bias,
            trainer.dead_after if ghost else -1,
            trainer.ghost_cooldown,
            np.float32(trainer.fire_threshold),
            trainer.control_rate,
            *losses,
        )
        edges = np.linspace(0, members, _PARTS * self.threads + 1).astype(int).tolist()
        parts = [(a, b) for a, b in pairwise(edges) if a < b]
        list(self._pool.map(lambda part: train_chunk(*part, *arguments), parts))
        for part, row in zip((state.params, state.first_moment, state.second_moment), rows):
            _unpack(row, part)
        state.step += steps
        return ChunkLoss(*(torch.from_numpy(loss) for loss in losses))

    def _samples_innermost(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """Data `[streams, d, steps, padded]`, and error weights as the kernel takes them."""
        from toysae.training.kernels.simd_types import LANES

        padding = (0, -chunk.x.shape[2] % LANES)
        x = chunk.x.permute(0, 3, 1, 2)
        if padding[1] > 0:  # even without padding `pad` would copy
            x = pad(x, padding)
        x = x.contiguous()
        if self._form.normalize_error:
            weight = self.family.error_weight(chunk.x)
        else:
            weight = torch.ones(1, 1, chunk.x.shape[2])
        return x, pad(weight, padding).contiguous()


def _packed(params: Params) -> np.ndarray:
    """One row a member, `[M, n]`."""
    return torch.cat([params[name].flatten(1) for name in _ORDER], dim=1).numpy()


def _unpack(rows: np.ndarray, params: Params) -> None:
    """Write rows of `_packed` back."""
    sizes = [params[name][0].numel() for name in _ORDER]
    for name, part in zip(_ORDER, torch.from_numpy(rows).split(sizes, dim=1)):
        params[name].copy_(part.view_as(params[name]))
