"""What SAEs with a ReLU encoder and a penalty on every latent have in common.

    f = ReLU(x W_enc + b_enc),   x_hat = f W_dec + b_dec
    loss = mean_n [ w_n ||x_hat - x||^2 + coefficient sum_j phi(u_j) ],   u_j = f_j

With `penalty_by_decoder_norm`, `u_j = f_j ||W_dec_j||` ("Circuits Updates - April 2024",
Anthropic), which leaves the decoder free: growing rows do not make the penalty cheaper. With
`normalize_error`, `w_n = 1 / ||x_n||^2` (1 where the norm is 0) and the penalty is not divided, as
in Anders, Neo, Hoelscher-Obermaier and Howard, "Sparse autoencoders find composed features in small
toy models" (2024); without it `w_n = 1`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.saes.fast import FastForm
from toysae.saes.trainable import Forward, TrainableFamily


@dataclass(frozen=True)
class Rectified(TrainableFamily):
    """A ReLU encoder; subclasses say what `phi` is.

    Attributes:
        normalize_error: divide each sample's squared error by its squared norm.
        penalty_by_decoder_norm: penalise `f_j ||W_dec_j||` instead of `f_j`. The same where the
            decoder is held at unit norm.
    """

    normalize_error: bool = False
    penalty_by_decoder_norm: bool = False

    #: Name of `phi` in `FastForm`.
    penalty_name: ClassVar[str]

    @property
    def fast_form(self) -> FastForm | None:
        return FastForm(
            "relu",
            self.penalty_name,
            penalty_by_decoder_norm=self.penalty_by_decoder_norm and not self.unit_norm_decoder,
            normalize_error=self.normalize_error,
        )

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.relu(self.pre_activations(params, x))

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        pre = self.pre_activations(params, x)
        latents = torch.relu(pre)
        return Forward(pre, latents, self.decode(params, latents))

    def error_weight(self, x: Tensor) -> Tensor:
        if not self.normalize_error:
            return super().error_weight(x)
        squared_norm = x.square().sum(-1)
        return torch.where(squared_norm > 0, 1 / squared_norm, torch.ones_like(squared_norm))

    def penalty_parameter(self, progress: Tensor) -> Tensor:
        """The number that shapes `phi`, for each `progress`, of its shape; 0 where it has none."""
        return torch.zeros_like(progress)

    @abstractmethod
    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        """Penalty of every activation `>= 0`, before the coefficient; any shape. `phi(0) = 0`.

        Args:
            activations: `u`.
            parameter: as of `penalty_parameter`, 0-dimensional.
        """

    def penalty(
        self, params: Mapping[str, Tensor], forward: Forward, progress: Tensor, kept: Tensor
    ) -> Tensor:
        activations = forward.latents
        if self.penalty_by_decoder_norm:
            activations = activations * params["W_dec"].norm(dim=-1)[:, None, :]
        each = self.phi(activations, self.penalty_parameter(progress))
        return (each * kept[:, None, :]).sum(-1).mean(-1)


@dataclass(frozen=True)
class ConcavePenalty(Rectified):
    """A penalty that grows ever more slowly: it shrinks large activations less than L1 does.

    Attributes:
        sparsity: factor of the penalty, `>= 0`. May differ between members of a stack.
    """

    sparsity: float = 0.1

    member_fields: ClassVar[tuple[str, ...]] = (*Rectified.member_fields, "sparsity")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.sparsity", self.sparsity, 0)

    @property
    def coefficient(self) -> float:
        return self.sparsity
