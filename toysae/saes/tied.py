"""ReLU SAE with an L1 penalty and one set of weights: the encoder is the decoder, transposed.

    f = ReLU(x W_dec^T + b_enc),   x_hat = f W_dec + b_dec

and the loss of `toysae.saes.relu`. Cunningham, Ewart, Riggs, Huben and Sharkey, "Sparse
autoencoders find highly interpretable features in language models" (2023). Huben's SAEs in
"Research report: sparse autoencoders find only 9/180 board state features in OthelloGPT" (2024) are
of this kind, with rows of unit norm.

A factor of the inputs cannot be moved into weights that are shared: encoder and decoder would have
to be scaled in opposite directions. `toysae.saes.folding.untied` makes two sets of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from toysae.saes.base import Shapes
from toysae.saes.fast import FastForm
from toysae.saes.relu import ReLU


@dataclass(frozen=True)
class Tied(ReLU):
    """ReLU SAE with L1 penalty and tied weights; it has no parameter `W_enc`."""

    name: ClassVar[str] = "tied"
    foldable: ClassVar[bool] = False

    @property
    def fast_form(self) -> FastForm | None:
        return None

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        shapes = dict(super().param_shapes(d_hidden, n_latents))
        del shapes["W_enc"]
        return shapes

    def encoder(self, params: Mapping[str, Tensor]) -> Tensor:
        return params["W_dec"].transpose(1, 2)
