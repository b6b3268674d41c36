"""What SAEs have in common that keep the largest pre-activations and drop the others.

    z = x W_enc + b_enc,   f = ReLU(z) where z is kept, 0 elsewhere,   x_hat = f W_dec + b_dec
    loss = mean_n ||x_hat - x||^2

With `rescale_by_decoder_norm`, `z_j ||W_dec_j||` takes the place of `z_j` and decoding divides by
the norms again, so that they do not decide which latents are kept.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from toysae.saes.trainable import Forward, TrainableFamily

SMALLEST_NORM = 1e-8


@dataclass(frozen=True)
class Selecting(TrainableFamily):
    """An SAE without a penalty: how many latents fire is given; subclasses say which.

    Attributes:
        rescale_by_decoder_norm: compare and return `z_j ||W_dec_j||` and decode with unit rows
            (SAELens: `rescale_acts_by_decoder_norm`). The same where the decoder is held at unit
            norm.
    """

    rescale_by_decoder_norm: bool = False

    @property
    def norms_matter(self) -> bool:
        """Whether activations are measured in units of norms that differ from 1."""
        return self.rescale_by_decoder_norm and not self.unit_norm_decoder

    @property
    def encodes_with_decoder(self) -> bool:
        return self.rescale_by_decoder_norm

    @abstractmethod
    def select(self, pre_activations: Tensor) -> Tensor:
        """Latents `[M, n, m]` while training: pre-activations where kept and positive, else 0."""

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        pre = self.pre_activations(params, x)
        latents = self.select(pre)
        return Forward(pre, latents, self.decode(params, latents))

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the largest are taken of, `[M, n, m]`, for inputs `x [M or 1, n, d]`."""
        pre = super().pre_activations(params, x)
        return pre * _decoder_norms(params) if self.rescale_by_decoder_norm else pre

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` from latent activations `[M, n, m]`."""
        if self.rescale_by_decoder_norm:
            latents = latents / _decoder_norms(params)
        return super().decode(params, latents)


def _decoder_norms(params: Mapping[str, Tensor]) -> Tensor:
    """Norms of decoder rows `[M, 1, m]`, kept away from 0: a zero row is divided by as well."""
    return params["W_dec"].norm(dim=-1)[:, None, :].clamp_min(SMALLEST_NORM)
