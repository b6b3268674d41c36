"""Gated SAE: one bias decides whether a latent fires, another how strongly.

    gate = x W_enc + b_gate,   magnitude = x (W_enc exp(r_mag)) + b_mag
    f = 1[gate > 0] ReLU(magnitude),   x_hat = f W_dec + b_dec
    loss = mean_n [ ||x_hat - x||^2 + l1 sum_j ReLU(gate_j) ||W_dec_j|| + ||x_gate - x||^2 ]
    x_gate = ReLU(gate) W_dec + b_dec

Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders" (2024). No
gradient passes the step; the gate learns from the other two terms. In `x_gate` the decoder is a
constant, so that it need not serve a reconstruction that the L1 shrinks. The paper holds decoder
rows at norm 1; the weights `||W_dec_j||` are SAELens's, for a decoder that is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.saes.base import Shapes
from toysae.saes.trainable import Forward, TrainableFamily


@dataclass(frozen=True)
class Gated(TrainableFamily):
    """Gated SAE; `b_gate`, `b_mag` and `r_mag`, each `[M, m]`, take the place of `b_enc`.

    Attributes:
        l1: factor of the penalty, `>= 0`. May differ between members of a stack.
        detach_auxiliary_decoder: the decoder is a constant in `x_gate`, as in the paper; SAELens
            trains it there too.
    """

    l1: float = 0.1
    detach_auxiliary_decoder: bool = True

    name: ClassVar[str] = "gated"
    member_fields: ClassVar[tuple[str, ...]] = (*TrainableFamily.member_fields, "l1")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.l1", self.l1, 0)

    @property
    def coefficient(self) -> float:
        return self.l1

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Those of the ReLU SAE with `b_gate [m]`, `b_mag [m]`, `r_mag [m]` instead of `b_enc`."""
        shapes = dict(super().param_shapes(d_hidden, n_latents))
        del shapes["b_enc"]
        return {**shapes, **dict.fromkeys(("b_gate", "b_mag", "r_mag"), (n_latents,))}

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """The gate `[M, n, m]`, for inputs `x [M or 1, n, d]`.

        A positive gate is necessary for a latent to fire; the magnitude must be positive too.
        """
        return self.projections(params, x) + params["b_gate"][:, None, :]

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`."""
        return self._gate_and_latents(params, x)[1]

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        gate, latents = self._gate_and_latents(params, x)
        return Forward(gate, latents, self.decode(params, latents))

    def penalty(
        self, params: Mapping[str, Tensor], forward: Forward, progress: Tensor, kept: Tensor
    ) -> Tensor:
        weight = kept * params["W_dec"].norm(dim=-1)
        return (torch.relu(forward.pre_activations) * weight[:, None, :]).sum(-1).mean(-1)

    def auxiliary(self, params: Mapping[str, Tensor], x: Tensor, forward: Forward) -> Tensor | None:
        """Error of the reconstruction through the gate, `[M]`, whatever the objective."""
        decoder = {name: params[name] for name in ("W_dec", "b_dec")}
        if self.detach_auxiliary_decoder:
            decoder = {name: value.detach() for name, value in decoder.items()}
        through_gate = self.decode(decoder, torch.relu(forward.pre_activations))
        return (through_gate - x).square().sum(-1).mean(-1)

    def _gate_and_latents(self, params: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """Gates and latent activations, `[M, n, m]` each."""
        # Both paths share W_enc up to a factor per latent: one product with it serves them.
        projections = self.projections(params, x)
        gate = projections + params["b_gate"][:, None, :]
        magnitude = projections * params["r_mag"].exp()[:, None, :] + params["b_mag"][:, None, :]
        return gate, torch.where(gate <= 0, torch.zeros_like(magnitude), torch.relu(magnitude))
