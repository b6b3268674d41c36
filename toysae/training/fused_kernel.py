"""Runs the fused CPU kernel on a stack, members spread over threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

from toysae.saes.relu import ReLU
from toysae.saes.trainable import TrainableFamily
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

#: Above this many weights a member, torch's matrix products win over the kernel's plain loops.
LARGEST_FUSED = 256


class FusedKernel:
    """One member at a time through `toysae.training.fused.train_chunk`."""

    name = "fused CPU kernel (Numba)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, threads: int) -> None:
        self.family = family
        self.trainer = trainer
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    @staticmethod
    def runs(family: TrainableFamily, d_hidden: int, device: torch.device) -> bool:
        """Whether this kernel exists for the family, shape and device."""
        return (
            device.type == "cpu"
            and isinstance(family, ReLU)
            and not family.subtract_decoder_bias
            and d_hidden * family.n_latents <= LARGEST_FUSED
        )

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        from toysae.training.fused import train_chunk  # compiling costs seconds: only when used

        x, weight = self._samples_innermost(chunk)
        members = len(state.frozen_at)
        error = np.full((members, chunk.n_steps), np.nan, np.float32)
        penalty = np.full((members, chunk.n_steps), np.nan, np.float32)
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
        )
        edges = np.linspace(0, members, self.threads + 1).astype(int).tolist()
        parts = [(a, b) for a, b in pairwise(edges) if a < b]
        list(self._pool.map(lambda part: train_chunk(*part, *arguments), parts))
        state.step += chunk.n_steps
        return ChunkLoss(torch.from_numpy(error), torch.from_numpy(penalty))

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
