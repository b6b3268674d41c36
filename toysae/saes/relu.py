"""ReLU SAE with an L1 penalty on its latents.

    f = ReLU(x W_enc + b_enc),   x_hat = f W_dec + b_dec
    loss = mean_n [ w_n ||x_hat - x||^2 + l1 sum_j f_j ],   rows of W_dec of unit norm

With `normalize_error`, `w_n = 1 / ||x_n||^2` (1 where the norm is 0), the penalty is not divided;
this is the loss of Anders, Neo, Hoelscher-Obermaier and Howard, "Sparse autoencoders find composed
features in small toy models" (2024). Without it `w_n = 1`: plain squared error, summed over
dimensions and averaged over samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice
from toysae.draws import Draws
from toysae.saes.base import Params
from toysae.saes.trainable import Forward, TrainableFamily

INITIALISATIONS = ("tied", "independent")


@dataclass(frozen=True)
class ReLU(TrainableFamily):
    """ReLU SAE with L1 penalty.

    Attributes:
        l1: factor of the penalty, `>= 0`. May differ between members of a stack.
        normalize_error: divide each sample's squared error by its squared norm.
        initialisation: `tied` draws unit decoder rows uniformly on the sphere and sets
            `W_enc = W_dec^T`; `independent` draws `W_enc` and `W_dec` from
            `U(-b, b)`, `b = sqrt(6 / (d m))`, as in the published code (Kaiming's bound with the
            fan of a three-dimensional tensor). Biases start at 0 in both.
    """

    l1: float = 0.1
    normalize_error: bool = False
    initialisation: str = "tied"

    name: ClassVar[str] = "relu"
    member_fields: ClassVar[tuple[str, ...]] = ("l1",)

    def __post_init__(self) -> None:
        check_at_least("sae.n_latents", self.n_latents, 1)
        check_at_least("sae.l1", self.l1, 0)
        check_choice("sae.initialisation", self.initialisation, INITIALISATIONS)

    @property
    def coefficient(self) -> float:
        return self.l1

    def init(self, d_hidden: int, draws: Draws) -> Params:
        shape = (self.n_latents, d_hidden)
        if self.initialisation == "tied":
            directions = draws.normal("decoder", shape)
            decoder = directions / directions.norm(dim=1, keepdim=True)
            encoder = decoder.T.clone()
        else:
            bound = math.sqrt(6.0 / (d_hidden * self.n_latents))
            decoder = (2 * draws.uniform("decoder", shape) - 1) * bound
            encoder = (2 * draws.uniform("encoder", shape[::-1]) - 1) * bound
        return {
            "W_enc": encoder,
            "b_enc": torch.zeros(self.n_latents, device=draws.device),
            "W_dec": decoder,
            "b_dec": torch.zeros(d_hidden, device=draws.device),
        }

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.relu(self.pre_activations(params, x))

    def forward(self, params: Mapping[str, Tensor], x: Tensor) -> Forward:
        pre = self.pre_activations(params, x)
        latents = torch.relu(pre)
        return Forward(pre, latents, self.decode(params, latents))

    def error_weight(self, x: Tensor) -> Tensor:
        if not self.normalize_error:
            return torch.ones_like(x[..., 0])
        squared_norm = x.square().sum(-1)
        return torch.where(squared_norm > 0, 1 / squared_norm, torch.ones_like(squared_norm))

    def penalty(self, latents: Tensor) -> Tensor:
        return latents
