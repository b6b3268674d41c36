"""Matching pursuit SAE: latents are chosen one after another, each for what the others left over.

    r_0 = x - b_dec
    j = argmax_i r_t . W_dec_i,   v = ReLU(r_t . W_dec_j),   f_j += v,   r_{t+1} = r_t - v W_dec_j
    loss = mean_n ||x_hat - x||^2,   x_hat = f W_dec + b_dec

Encoder and decoder share their weights. The gradient goes through the values `v` and what is left
over, not through the choice `j`. Costa, Fel, Lubana, Tolooshams and Ba, "From flat to hierarchical:
extracting sparse representations with matching pursuit" (2025, arXiv 2506.03093), with the rules of
when to stop of SAELens:

    a sample is done after `max_iterations` choices, or after a choice that leaves less than
    `residual_threshold`, or, with `stop_on_repetition`, after one that adds no new latent

At least one latent is chosen, and it stays silent if its value is not positive. All samples go
through all iterations, since to look who is done would stop a GPU: `max_iterations` is the cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import embedding

from toysae.checks import check_at_least
from toysae.saes.base import Shapes
from toysae.saes.trainable import Forward, TrainableFamily


@dataclass(frozen=True)
class MatchingPursuit(TrainableFamily):
    """Matching pursuit SAE; its parameters are `W_dec` and `b_dec`.

    Attributes:
        subtract_decoder_bias: without it `b_dec` has no part in reconstructions either, as in
            SAELens.
        max_iterations: largest number of choices, `>= 1`; null is `d_hidden`.
        residual_threshold: norm of what is left over below which a sample is done, `>= 0`.
        stop_on_repetition: whether a sample is done once no new latent is chosen.
    """

    subtract_decoder_bias: bool = True
    max_iterations: int | None = None
    residual_threshold: float = 0.01
    stop_on_repetition: bool = True

    name: ClassVar[str] = "matching_pursuit"
    foldable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_iterations is not None:
            check_at_least("sae.max_iterations", self.max_iterations, 1)
        check_at_least("sae.residual_threshold", self.residual_threshold, 0)

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        return {"W_dec": (n_latents, d_hidden), "b_dec": (d_hidden,)}

    def kept_per_sample(self, d_hidden: int) -> int:
        """Of every choice its row and what it leaves over, and a few numbers more."""
        return (self.max_iterations or d_hidden) * (2 * d_hidden + 8)

    def encoder(self, params: Mapping[str, Tensor]) -> Tensor:
        return params["W_dec"].transpose(1, 2)

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the first choice is made by, `[M, n, m]`."""
        return self.projections(params, x)

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        decoder = params["W_dec"]
        members, n_latents, d_hidden = decoder.shape
        residual = x - params["b_dec"][:, None, :] if self.subtract_decoder_bias else x
        residual = residual.expand(members, -1, -1)
        fired = residual.new_zeros((*residual.shape[:2], n_latents), dtype=torch.bool)
        active = torch.ones_like(residual[..., :1], dtype=torch.bool)
        choices, values = [], []
        for _ in range(self.max_iterations or d_hidden):
            with torch.no_grad():
                choice = torch.matmul(residual, self.encoder(params)).argmax(-1, keepdim=True)
            row = _rows(decoder, choice[..., 0])
            value = torch.relu((residual * row).sum(-1, keepdim=True)) * active
            residual = residual - value * row
            choices.append(choice)
            values.append(value)
            with torch.no_grad():
                active = active & ~self._done(residual, fired.gather(-1, choice), value)
                fired.scatter_(-1, choice, fired.gather(-1, choice) | (value > 0))
        silent = torch.zeros_like(fired, dtype=residual.dtype)
        return silent.scatter_add(-1, torch.cat(choices, -1), torch.cat(values, -1))

    def _done(self, residual: Tensor, fired_before: Tensor, value: Tensor) -> Tensor:
        """Samples that are done after a choice, `[M, n, 1]`."""
        done = residual.norm(dim=-1, keepdim=True) < self.residual_threshold
        return done | fired_before | (value == 0) if self.stop_on_repetition else done

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        latents = self.encode(params, x)
        return Forward(self.pre_activations(params, x), latents, self.decode(params, latents))

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        if self.subtract_decoder_bias:
            return super().decode(params, latents)
        return torch.matmul(latents, params["W_dec"])


def _rows(decoder: Tensor, index: Tensor) -> Tensor:
    """Rows `[M, n, d]` of each member's decoder `[M, m, d]` at `index [M, n]`.

    `embedding`, because the backward pass of `gather` adds in any order on a GPU.
    """
    members, n_latents, _ = decoder.shape
    first = n_latents * torch.arange(members, device=decoder.device)[:, None]
    return embedding(first + index, decoder.flatten(0, 1))
