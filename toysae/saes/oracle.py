"""The SAE that knows the truth: true directions, and true coefficients of the samples it was told.

    f = the coefficients of x, where it was told; else argmin_{f >= 0} ||x - b_dec - f W_dec||
    x_hat = f W_dec + b_dec

What it scores is the best that a measurement can give in a world. It is told because the samples
alone do not determine the coefficients once there are more features than dimensions: non-negative
least squares, which finds them where the features are linearly independent and without noise, then
finds one of many solutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from toysae.errors import ShapeError
from toysae.saes.base import SAE, SAEFamily


@dataclass(frozen=True)
class Oracle(SAEFamily):
    """The oracle; its parameters are `W_dec [M, m, d]`, `b_dec [M, d]` and what it was told.

    That is `told_inputs [M, k, d]` with their `told_latents [M, k, m]`. A sample is recognised bit
    by bit. Others cost a non-negative least squares problem each, some 20 microseconds for a
    handful of features and milliseconds for hundreds.
    """

    name: ClassVar[str] = "oracle"

    @property
    def encodes_with_decoder(self) -> bool:
        return True

    def encoder(self, params: Mapping[str, Tensor]) -> Tensor:
        """The linear encoding, `[M, d, m]`: the pseudo-inverse of the decoder."""
        return torch.linalg.pinv(params["W_dec"])

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        each = x.expand(len(params["W_dec"]), -1, -1)
        return torch.stack(
            [
                _encoded({name: p[i] for name, p in params.items()}, own)
                for i, own in enumerate(each)
            ]
        )


def oracle(features: Tensor, inputs: Tensor, coefficients: Tensor) -> SAE:
    """The oracle of a world, `M = 1`; one latent a feature.

    It is told that each feature alone has coefficient 1, too. The decoder bias is the mean of what
    the features leave of the inputs: the bias of the world, up to the mean of its noise.

    Args:
        features: true directions `[n_features, d]`.
        inputs: samples `[k, d]`; of equal ones the first is taken.
        coefficients: of the features on those samples, `[k, n_features]`, `>= 0`.

    Raises:
        ShapeError: shapes that do not fit each other.
    """
    n_features, d = features.shape
    if inputs.shape != (len(inputs), d) or coefficients.shape != (len(inputs), n_features):
        raise ShapeError(
            f"inputs {tuple(inputs.shape)} and coefficients {tuple(coefficients.shape)}: expected "
            f"[k, {d}] and [k, {n_features}], one row each for the same samples"
        )
    left = inputs - coefficients @ features
    bias = left.double().mean(0).to(features.dtype) if len(left) else features.new_zeros(d)
    params = {
        "W_dec": features,
        "b_dec": bias,
        "told_inputs": torch.cat([inputs, features]),
        "told_latents": torch.cat([coefficients, torch.eye(n_features).to(features)]),
    }
    return SAE(Oracle(), {name: value[None] for name, value in params.items()})


def _encoded(params: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Latents `[n, m]` of the inputs `x [n, d]` of one member."""
    places = {row: k for k, row in reversed(list(enumerate(_bytes_of(params["told_inputs"]))))}
    told = torch.tensor([places.get(row, -1) for row in _bytes_of(x)], dtype=torch.long)
    latents = params["told_latents"].new_zeros(len(x), len(params["W_dec"]))
    known = (told >= 0).to(x.device)
    latents[known] = params["told_latents"][told.to(x.device)[known]]
    latents[~known] = _least_squares(params, x[~known])
    return latents


def _bytes_of(rows: Tensor) -> list[bytes]:
    return [row.tobytes() for row in rows.detach().cpu().numpy()]


def _least_squares(params: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Non-negative coefficients `[n, m]` with the least error."""
    decoder = params["W_dec"].detach().cpu().double().numpy().T
    targets = (x - params["b_dec"]).detach().cpu().double().numpy()
    found = np.array([nnls(decoder, target)[0] for target in targets])
    return torch.from_numpy(found.reshape(len(x), decoder.shape[1])).to(params["W_dec"])
