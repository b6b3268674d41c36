"""Gated SAE: one bias decides whether a latent fires, another how strongly.

    gate = x W_enc + b_gate,   magnitude = x (W_enc exp(r_mag)) + b_mag
    f = 1[gate > 0] ReLU(magnitude),   x_hat = f W_dec + b_dec

Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders" (2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.saes.base import SAEFamily, Shapes


@dataclass(frozen=True)
class Gated(SAEFamily):
    """Gated SAE; `b_gate`, `b_mag` and `r_mag`, each `[M, m]`, take the place of `b_enc`."""

    name: ClassVar[str] = "gated"

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
        # Both paths share W_enc up to a factor per latent: one product with it serves them.
        projections = self.projections(params, x)
        gate = projections + params["b_gate"][:, None, :]
        magnitude = projections * params["r_mag"].exp()[:, None, :] + params["b_mag"][:, None, :]
        return torch.where(gate <= 0, torch.zeros_like(magnitude), torch.relu(magnitude))
