"""Everything of a stack that changes while it trains, and what a stretch of training needs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from toysae.saes.base import Params


@dataclass
class StackState:
    """State of `M` SAEs of `m` latents in training.

    Attributes:
        params: parameters and buffers, each `[M, ...]`, contiguous.
        first_moment, second_moment: Adam's moments, as `params` without the buffers.
        silent_steps: steps since a latent last fired, `[M, m]`, int64.
        cooldown: ghost cooldown left, `[M, m]`, int64.
        control: logarithm of the factor that steers the coefficient to a target L0, `[M]`,
            float64; 0 at the start.
        frozen_at: step at which a member's loss stopped being finite, or -1, `[M]`, int64.
        step: optimiser steps done.
    """

    params: Params
    first_moment: Params
    second_moment: Params
    silent_steps: Tensor
    cooldown: Tensor
    control: Tensor
    frozen_at: Tensor
    step: int = 0

    @classmethod
    def start(cls, params: Params, buffers: tuple[str, ...] = ()) -> StackState:
        """The state before the first step, from initial parameters with a member axis."""
        members, latents, _ = params["W_dec"].shape
        device = params["W_dec"].device
        learned = {name: p for name, p in params.items() if name not in buffers}
        return cls(
            params=params,
            first_moment={name: torch.zeros_like(p) for name, p in learned.items()},
            second_moment={name: torch.zeros_like(p) for name, p in learned.items()},
            silent_steps=torch.zeros(members, latents, dtype=torch.int64, device=device),
            cooldown=torch.zeros(members, latents, dtype=torch.int64, device=device),
            control=torch.zeros(members, dtype=torch.float64, device=device),
            frozen_at=torch.full((members,), -1, dtype=torch.int64, device=device),
        )

    def members(self, rows: slice) -> StackState:
        """The state of some neighbours: views, so that what is done to it is done to this.

        Autograd takes a view that changes for a change of all. `.data` does not: these may be in
        work at the same time as their neighbours.
        """
        parts = _rows_of(self, rows, shared=("step",))
        for name, part in parts.items():
            named = isinstance(part, dict)
            parts[name] = {k: p.data for k, p in part.items()} if named else part.data
        return replace(self, **parts)


@dataclass(frozen=True)
class Chunk:
    """Data and schedules of a few consecutive steps.

    Attributes:
        x: `[streams, steps, batch, d]`; in memory samples are innermost, as the fused kernel reads.
        stream_of: stream of each member, `[M]`, int64.
        lr: learning rates `[M, steps]`, float64.
        encoder_share: share of `lr` that holds for all parameters but `W_dec` and `b_dec`: 1, or 0
            once only the decoder is trained, `[M, steps]`, float64.
        coefficient: penalty coefficients, before control, `[M, steps]`.
        step: number of steps done before each, `[steps]`, int64.
        progress: the same as a fraction of all steps, `[steps]`.
        beta1, beta2: Adam's decay rates, `[M]`, float64.
        gradient_clip: largest norm of a member's gradient, infinite for none, `[M]`.
        target_l0: L0 to steer to, NaN for no control, `[M]`, float64.
        orthogonality, frequency: coefficients of the terms of `toysae.saes.terms`, `[M]`.
    """

    x: Tensor
    stream_of: Tensor
    lr: Tensor
    encoder_share: Tensor
    coefficient: Tensor
    step: Tensor
    progress: Tensor
    beta1: Tensor
    beta2: Tensor
    gradient_clip: Tensor
    target_l0: Tensor
    orthogonality: Tensor
    frequency: Tensor

    @property
    def n_steps(self) -> int:
        """Number of steps in this chunk."""
        return self.x.shape[1]

    def members(self, rows: slice) -> Chunk:
        """What some neighbours need of it."""
        return replace(self, **_rows_of(self, rows, shared=("x", "step", "progress")))


@dataclass(frozen=True)
class ChunkLoss:
    """What each member's loss was over a chunk; NaN once it is frozen.

    Attributes:
        error: mean weighted error of each step, `[M, steps]`.
        penalty: coefficient (with its control) times penalty of each step, `[M, steps]`.
        l0: mean number of latents that fire on a sample, `[M, steps]`.
    """

    error: Tensor
    penalty: Tensor
    l0: Tensor


def _rows_of(whole: StackState | Chunk, rows: slice, shared: tuple[str, ...]) -> dict[str, Any]:
    """Fields with a member axis, cut along it."""
    cut: dict[str, Any] = {}
    for field in fields(whole):
        value = getattr(whole, field.name)
        if isinstance(value, dict):
            cut[field.name] = {name: tensor[rows] for name, tensor in value.items()}
        elif field.name not in shared:
            cut[field.name] = value[rows]
    return cut
