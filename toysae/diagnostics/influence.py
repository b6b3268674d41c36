"""What a regression rests on: leverage of samples, and how sure the sign of a coefficient is."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.diagnostics._column_space import column_space
from toysae.diagnostics._inputs import (
    ArrayLike,
    as_matrix,
    as_raw_vector,
    as_standard_errors,
    n_values,
    resolution,
)


def leverage(x: ArrayLike, *, intercept: bool = True) -> Tensor:
    """Leverage of each sample, `h = diag X (XᵀX)⁺ Xᵀ`.

    In [0, 1], and `Σh` is the rank, the intercept included. A sample with leverage 1 is fitted
    exactly whatever its target: so is the only sample on which a latent fires.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.
        intercept: whether the model has one; then `h` is at least `1 / N`.

    Returns:
        `[N]`; exact relations among the columns change nothing.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Hoaglin & Welsch (1978), The American Statistician 32(1).
    """
    matrix = as_matrix(x, "x")
    space = column_space(matrix, centered=intercept, eps=resolution(x))
    share = space.left.square().sum(1) + (1 / len(matrix) if intercept else 0.0)
    return share.clamp(max=1.0)


def sign_probability(beta: ArrayLike, standard_errors: ArrayLike) -> Tensor:
    """`P(sign) = Φ(|β| / se)`: the chance that an unbiased normal estimate has the sign of `β`.

    In [.5, 1]. Where the effect is small it is near .5 at a VIF of 1 already, so read it beside
    the VIF. It knows sampling only: a biased estimate can be sure of the wrong sign.

    Args:
        beta: `[k]` coefficients; NaN where undefined.
        standard_errors: `[k]`, `σ / sqrt(n_effective)`; NaN where undefined.

    Returns:
        `[k]`; NaN where either is undefined or both are 0.

    Raises:
        ShapeError: not one axis, or lengths that differ.
        DataError: an infinite coefficient, or a negative standard error.

    Source: textbook.
    """
    length = n_values(beta, "beta")
    estimate = as_raw_vector(beta, "beta", length)
    errors = as_standard_errors(standard_errors, length)
    return torch.special.ndtr(estimate.abs() / errors)
