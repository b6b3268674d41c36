"""Data and their reconstructions: the check of both, and the arithmetic of ratios."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import finite

#: Below this share of the second moment a variance is rounding of the mean.
MIN_RELATIVE_VARIANCE = 1e-24


def paired(x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, `x` with the members of `x_hat`.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.
    """
    fits = x.shape[-2:] == x_hat.shape[-2:] and x.ndim in (2, 3) and x_hat.ndim in (2, 3)
    shared = x.ndim == 2 or x.shape[0] in (1, x_hat.shape[0])
    if not (fits and shared and x.ndim <= x_hat.ndim):
        raise ShapeError(
            f"x has shape {tuple(x.shape)} and x_hat {tuple(x_hat.shape)}: expected [N, d] twice, "
            "or x_hat [M, N, d] with x [N, d], [1, N, d] or [M, N, d]"
        )
    return finite(x, "x").expand_as(x_hat), finite(x_hat, "x_hat")


def norm(x: Tensor) -> Tensor:
    """Length of each vector."""
    return torch.linalg.vector_norm(x, dim=-1)


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; NaN where the denominator is 0."""
    return torch.where(denominator == 0, torch.nan, numerator / denominator)
