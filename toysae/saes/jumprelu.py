"""JumpReLU SAE: a latent fires where its pre-activation exceeds a threshold of its own.

    z = x W_enc + b_enc,   f = ReLU(z) 1[z > threshold],   x_hat = f W_dec + b_dec

Rajamanoharan et al., "Jumping ahead: improving reconstruction fidelity with JumpReLU sparse
autoencoders" (2024). BatchTopK SAEs take this form once they are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.saes.base import SAEFamily, Shapes


@dataclass(frozen=True)
class JumpReLU(SAEFamily):
    """JumpReLU SAE; parameters as of the ReLU SAE and `threshold [M, m]`.

    A threshold below 0 acts like 0. An activation is 0 or greater than its threshold.
    """

    name: ClassVar[str] = "jumprelu"

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Those of the ReLU SAE and `threshold [m]`."""
        return {**super().param_shapes(d_hidden, n_latents), "threshold": (n_latents,)}

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`."""
        pre = self.pre_activations(params, x)
        silent = pre <= params["threshold"][:, None, :]
        return torch.where(silent, torch.zeros_like(pre), torch.relu(pre))
