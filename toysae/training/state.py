"""Everything of a stack that changes while it trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.saes.base import Params


@dataclass
class StackState:
    """State of `M` SAEs of `m` latents in training.

    Attributes:
        params: parameters, each `[M, ...]`, contiguous float32.
        first_moment, second_moment: Adam's moments, as `params`.
        silent_steps: steps since a latent last fired, `[M, m]`, int64.
        cooldown: ghost cooldown left, `[M, m]`, int64.
        frozen_at: step at which a member's loss stopped being finite, or -1, `[M]`, int64.
        step: optimiser steps done.
    """

    params: Params
    first_moment: Params
    second_moment: Params
    silent_steps: Tensor
    cooldown: Tensor
    frozen_at: Tensor
    step: int = 0

    @classmethod
    def start(cls, params: Params) -> StackState:
        """The state before the first step, from initial parameters with a member axis."""
        members, latents = params["b_enc"].shape
        device = params["b_enc"].device
        return cls(
            params=params,
            first_moment={name: torch.zeros_like(p) for name, p in params.items()},
            second_moment={name: torch.zeros_like(p) for name, p in params.items()},
            silent_steps=torch.zeros(members, latents, dtype=torch.int64, device=device),
            cooldown=torch.zeros(members, latents, dtype=torch.int64, device=device),
            frozen_at=torch.full((members,), -1, dtype=torch.int64, device=device),
        )


@dataclass(frozen=True)
class Chunk:
    """Data and schedules of a few consecutive steps.

    Attributes:
        x: `[streams, steps, batch, d]`; in memory samples are innermost, as the fused kernel reads.
        stream_of: stream of each member, `[M]`, int64.
        lr: learning rates `[M, steps]`.
        coefficient: penalty coefficients `[M, steps]`.
        beta1, beta2: Adam's decay rates, `[M]`.
    """

    x: Tensor
    stream_of: Tensor
    lr: Tensor
    coefficient: Tensor
    beta1: Tensor
    beta2: Tensor

    @property
    def n_steps(self) -> int:
        """Number of steps in this chunk."""
        return self.x.shape[1]


@dataclass(frozen=True)
class ChunkLoss:
    """What each member's loss was over a chunk.

    Attributes:
        error: mean weighted squared error of each step, `[M, steps]`; NaN once frozen.
        penalty: coefficient times penalty of each step, `[M, steps]`; NaN once frozen.
    """

    error: Tensor
    penalty: Tensor
