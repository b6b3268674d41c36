"""TopK SAE: only the `k` largest pre-activations of a sample fire.

    z = x W_enc + b_enc,   f = ReLU(z) where z is among the k largest of its sample, 0 elsewhere
    x_hat = f W_dec + b_dec

Gao et al., "Scaling and evaluating sparse autoencoders" (2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.errors import ConfigError
from toysae.saes.base import SAEFamily

SMALLEST_NORM = 1e-8


@dataclass(frozen=True, kw_only=True)
class TopK(SAEFamily):
    """TopK SAE; a sample has at most `k` active latents (fewer where `z <= 0`).

    Attributes:
        k: number of latents kept per sample, from 1 to the number of latents.
        rescale_by_decoder_norm: compare and return `z_j ||W_dec_j||` and decode with unit rows, so
            that the norms of decoder rows do not decide which latents are kept (SAELens:
            `rescale_acts_by_decoder_norm`).

    Raises:
        ConfigError: `k` is below 1, or above the number of latents when encoding.
    """

    k: int
    rescale_by_decoder_norm: bool = False

    name: ClassVar[str] = "topk"

    def __post_init__(self) -> None:
        check_at_least("sae.k", self.k, 1)

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the `k` largest are taken of, `[M, n, m]`, for inputs `x [M or 1, n, d]`."""
        pre = super().pre_activations(params, x)
        return pre * _decoder_norms(params) if self.rescale_by_decoder_norm else pre

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]`; of equal pre-activations at the cut any may be kept."""
        pre = self.pre_activations(params, x)
        if self.k > pre.shape[-1]:
            raise ConfigError(f"sae.k = {self.k}: must be at most {pre.shape[-1]}, the latents")
        largest = torch.topk(pre, self.k, dim=-1, sorted=False)
        return torch.zeros_like(pre).scatter(-1, largest.indices, torch.relu(largest.values))

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` from latent activations `[M, n, m]`."""
        if self.rescale_by_decoder_norm:
            latents = latents / _decoder_norms(params)
        return super().decode(params, latents)


def _decoder_norms(params: Mapping[str, Tensor]) -> Tensor:
    """Norms of decoder rows `[M, 1, m]`, kept away from 0: a zero row is divided by as well."""
    return params["W_dec"].norm(dim=-1)[:, None, :].clamp_min(SMALLEST_NORM)
