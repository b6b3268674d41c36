"""Runs the fused CPU kernel on a stack, members spread over threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

from toysae.saes.trainable import TrainableFamily
from toysae.training.member import Member
from toysae.training.objectives import Local, Objective
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

#: Above this many weights a member, torch's matrix products win over the kernel's plain loops.
LARGEST_FUSED = 256


class FusedKernel:
    """One member at a time through `toysae.training.kernels.fused_loops.train_chunk`."""

    name = "fused CPU kernel (Numba)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, threads: int) -> None:
        self.family = family
        self.trainer = trainer
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    @staticmethod
    def refusal(member: Member, objective: Objective) -> str:
        """Why this kernel cannot train a stack like `member`; empty if it can."""
        family, trainer = member.sae, member.trainer
        form = family.fast_form
        if member.stream.device.type != "cpu":
            return "the fused kernel runs on the CPU"
        if form is None or form.activation != "relu" or form.penalty != "l1":
            return f"no fused kernel for {family.name}"
        if member.stream.space.d_hidden * family.n_latents > LARGEST_FUSED:
            return f"more than {LARGEST_FUSED} weights"
        if (
            family.subtract_decoder_bias
            or form.penalty_by_decoder_norm
            or family.has_orthogonality
            or family.has_frequency
            or not isinstance(objective, Local)
            or trainer.dead_latents == "auxiliary"
            or trainer.gradient_clip is not None
            or trainer.target_l0 is not None
            or trainer.finetune_fraction > 0
        ):
            return "not in the fused kernel"
        return ""

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        # Compiling costs seconds: only when used.
        from toysae.training.kernels.fused_loops import train_chunk

        x, weight = self._samples_innermost(chunk)
        members = len(state.frozen_at)
        error = np.full((members, chunk.n_steps), np.nan, np.float32)
        penalty = np.full((members, chunk.n_steps), np.nan, np.float32)
        l0 = np.full((members, chunk.n_steps), np.nan, np.float32)
        ghost = self.trainer.dead_latents == "ghost"
        arguments = (
            x,
            weight,
            chunk.stream_of.numpy(),
            *_numpy(state.params),
            *_numpy(state.first_moment),
            *_numpy(state.second_moment),
            state.silent_steps.numpy(),
            state.cooldown.numpy(),
            state.frozen_at.numpy(),
            chunk.lr.numpy(),
            chunk.coefficient.float().numpy(),
            chunk.beta1.numpy(),
            chunk.beta2.numpy(),
            state.step,
            self.family.unit_norm_decoder,
            self.trainer.dead_window if ghost else -1,
            self.trainer.ghost_cooldown if ghost else 0,
            np.float32(self.trainer.fire_threshold),
            error,
            penalty,
            l0,
        )
        edges = np.linspace(0, members, self.threads + 1).astype(int).tolist()
        parts = [(a, b) for a, b in pairwise(edges) if a < b]
        list(self._pool.map(lambda part: train_chunk(*part, *arguments), parts))
        state.step += chunk.n_steps
        return ChunkLoss(*(torch.from_numpy(part) for part in (error, penalty, l0)))

    def _samples_innermost(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Data `[streams, steps, d, batch]` and error weights `[streams, steps, batch]`."""
        streams, steps, batch, d = chunk.x.shape
        x = np.empty((streams, steps, d, batch), np.float32)
        weight = np.empty((streams, steps, batch), np.float32)

        def prepare(stream: int) -> None:
            np.copyto(x[stream], chunk.x[stream].numpy().transpose(0, 2, 1))
            np.copyto(weight[stream], self.family.error_weight(chunk.x[stream]).numpy())

        list(self._pool.map(prepare, range(streams)))
        return x, weight


def _numpy(params: dict[str, torch.Tensor]) -> tuple[np.ndarray, ...]:
    """Views of the parameters in the order of the kernel's arguments."""
    return tuple(params[name].numpy() for name in ("W_enc", "b_enc", "W_dec", "b_dec"))
