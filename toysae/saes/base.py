"""What an SAE family is, and an SAE that is ready to be applied.

A family is a frozen dataclass: its fields are hyper-parameters, its methods are pure functions of
parameters that live outside of it. Every parameter carries a leading member axis `M`; a single SAE
is `M = 1`. Shapes follow SAELens: `W_enc [M, d, m]`, `b_enc [M, m]`, `W_dec [M, m, d]`,
`b_dec [M, d]`, for `d` hidden dimensions and `m` latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.errors import ShapeError

Params = dict[str, Tensor]


@dataclass(frozen=True)
class SAEFamily(ABC):
    """One kind of SAE, as far as applying it goes.

    Attributes:
        subtract_decoder_bias: encode `x - b_dec` instead of `x` (SAELens: `apply_b_dec_to_input`).
    """

    subtract_decoder_bias: bool = False

    name: ClassVar[str]

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Linear part of the encoder, `[M, n, m]`, for inputs `x [M or 1, n, d]`."""
        if self.subtract_decoder_bias:
            x = x - params["b_dec"][:, None, :]
        return torch.matmul(x, params["W_enc"]) + params["b_enc"][:, None, :]

    @abstractmethod
    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`."""

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` from latent activations `[M, n, m]`."""
        return torch.matmul(latents, params["W_dec"]) + params["b_dec"][:, None, :]


@dataclass(frozen=True)
class SAE:
    """`M` SAEs of one family with their parameters, ready to be applied.

    Attributes:
        family: says how to encode and decode.
        params: tensors with a leading member axis.
    """

    family: SAEFamily
    params: Params

    @property
    def n_members(self) -> int:
        """Number of SAEs, `M`."""
        return self.params["W_dec"].shape[0]

    @property
    def n_latents(self) -> int:
        """Number of latents of each SAE, `m`."""
        return self.params["W_dec"].shape[1]

    @property
    def d_hidden(self) -> int:
        """Dimension of the activations that the SAEs read, `d`."""
        return self.params["W_dec"].shape[2]

    @property
    def decoder(self) -> Tensor:
        """Decoder rows `[M, m, d]`."""
        return self.params["W_dec"]

    @property
    def encoder_rows(self) -> Tensor:
        """Encoder directions with one row a latent, `[M, m, d]` (the transpose of `W_enc`)."""
        return self.params["W_enc"].transpose(1, 2)

    def members(self, index: Sequence[int] | slice) -> SAE:
        """The SAEs at `index` as a smaller stack."""
        return SAE(self.family, {name: value[index] for name, value in self.params.items()})

    def encode(self, x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of `x`, which is `[n, d]` (shared) or `[M, n, d]`."""
        return self.family.encode(self.params, self._stacked(x))

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` of latent activations `[M, n, m]`."""
        return self.family.decode(self.params, latents)

    def _stacked(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.d_hidden or x.ndim not in (2, 3):
            raise ShapeError(
                f"inputs of shape {tuple(x.shape)}: expected [n, {self.d_hidden}] or "
                f"[{self.n_members}, n, {self.d_hidden}]"
            )
        return x if x.ndim == 3 else x[None]
