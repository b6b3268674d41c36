"""TopK SAE: only the `k` largest pre-activations of a sample fire.

    z = x W_enc + b_enc,   f = ReLU(z) where z is among the k largest of its sample, 0 elsewhere
    loss = mean_n ||x_hat - x||^2,   x_hat = f W_dec + b_dec

Gao et al., "Scaling and evaluating sparse autoencoders" (2024). Their auxiliary loss for dead
latents is the trainer's `dead_latents: auxiliary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.errors import ConfigError
from toysae.saes.fast import FastForm
from toysae.saes.selecting import Selecting


@dataclass(frozen=True)
class TopK(Selecting):
    """TopK SAE; a sample has at most `k` active latents (fewer where `z <= 0`).

    Attributes:
        k: number of latents kept per sample, from 1 to `n_latents`.
    """

    k: int = 2

    name: ClassVar[str] = "topk"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.k", self.k, 1)
        if self.k > self.n_latents:
            raise ConfigError(f"sae.k = {self.k}: must be at most sae.n_latents = {self.n_latents}")

    @property
    def fast_form(self) -> FastForm | None:
        return None if self.norms_matter else FastForm("topk", k=self.k)

    def select(self, pre_activations: Tensor) -> Tensor:
        """The `k` largest of each sample; of equal ones at the cut any may be kept."""
        largest = torch.topk(pre_activations, self.k, dim=-1, sorted=False)
        kept = torch.relu(largest.values)
        return torch.zeros_like(pre_activations).scatter(-1, largest.indices, kept)

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return self.select(self.pre_activations(params, x))
