"""Runs the sparse CPU kernel on a stack, members spread over threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

from toysae.saes.fast import FastForm
from toysae.saes.trainable import TrainableFamily
from toysae.training.member import Member
from toysae.training.objectives import Local, Objective
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

#: Above this many weights a member no longer fits into the cache.
LARGEST_SPARSE = 256 * 1024

#: Parts of a stack for each thread: a core that also draws data is left fewer of them.
_PARTS = 8


class SparseKernel:
    """One member at a time through `toysae.training.kernels.sparse_loops.train_chunk`."""

    name = "sparse CPU kernel (Numba)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, threads: int) -> None:
        assert family.fast_form is not None
        self.family = family
        self.form: FastForm = family.fast_form
        self.trainer = trainer
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    @staticmethod
    def refusal(member: Member, objective: Objective) -> str:
        """Why this kernel cannot train a stack like `member`; empty if it can."""
        family = member.sae
        weights = member.stream.space.d_hidden * family.n_latents
        reasons = {
            "only on the CPU": member.stream.device.type != "cpu",
            f"not for {family.name} as it is configured": family.fast_form is None,
            f"up to {LARGEST_SPARSE} weights": weights > LARGEST_SPARSE,
            "without the orthogonality term": family.has_orthogonality,
            "without the frequency term": family.has_frequency,
            "with nothing frozen": member.trainer.frozen != "none",
            "only for the local objective": not isinstance(objective, Local),
        }
        return next((f"sparse kernel: {reason}" for reason, holds in reasons.items() if holds), "")

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        # Compiling costs seconds: only when used.
        from toysae.training.kernels import sparse_arguments as given
        from toysae.training.kernels.sparse_loops import train_chunk

        rules = given.rules_of(self.family, self.form, self.trainer, chunk)
        places = given.places_of(rules)
        weights = given.pack(state, rules, places)
        losses = np.full((len(weights), chunk.n_steps, 3), np.nan, np.float32)
        arguments = (
            rules,
            places,
            weights,
            *given.schedule(self.family, chunk),
            given.padded(chunk.x, rules, self._pool),
            given.error_weights(self.family, chunk.x),
            chunk.stream_of.numpy(),
            state.silent_steps.numpy(),
            state.cooldown.numpy(),
            state.control.numpy(),
            state.frozen_at.numpy(),
            state.step,
            losses,
        )
        edges = np.linspace(0, len(weights), _PARTS * self.threads + 1).astype(int).tolist()
        parts = [(a, b) for a, b in pairwise(edges) if a < b]
        list(self._pool.map(lambda part: train_chunk(*part, *arguments), parts))
        given.unpack(weights, state, rules, places)
        state.step += chunk.n_steps
        return ChunkLoss(*(torch.from_numpy(losses[..., part].copy()) for part in range(3)))
