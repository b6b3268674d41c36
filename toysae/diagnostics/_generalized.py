"""Generalised variance inflation of a set of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from toysae.diagnostics._column_space import column_space
from toysae.diagnostics._inputs import ArrayLike, as_matrix, resolution
from toysae.errors import ShapeError


@dataclass(frozen=True)
class GeneralizedVIF:
    """Generalised variance inflation of a set of columns.

    Attributes:
        value: in [1, ∞]; infinite where a combination of the set is an exact combination of the
            others, NaN where all columns of the set are constant.
        dimension: number of linearly independent columns in the set, `r`.
    """

    value: float
    dimension: int

    @property
    def scaled(self) -> float:
        """`value^(1 / 2r)`, comparable between sets; for one column `sqrt(VIF)`."""
        return self.value ** (1 / (2 * self.dimension)) if self.dimension else float("nan")


def gvif(x: ArrayLike, subset: Sequence[int]) -> GeneralizedVIF:
    """Generalised VIF of a set `S`, `det R_SS det R_S̄S̄ / det R`.

    Computed as `Π 1 / sin²θ_i` with the principal angles between the centred spans of the set and
    of the other columns, which is the same number and also defined where the set or its complement
    is singular in itself, as a one-hot set with constant magnitude is.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.
        subset: the columns of the set, each named once.

    Returns:
        In [1, ∞]; NaN where all columns of the set are constant.

    Raises:
        ShapeError: `subset` is empty, repeats a column or names one that does not exist.
        DataError: NaN or infinite values.

    Source: Fox & Monette (1992), JASA 87.
    """
    matrix = as_matrix(x, "x")
    k = matrix.shape[1]
    if not subset or len(set(subset)) < len(subset) or not all(0 <= j < k for j in subset):
        raise ShapeError(f"subset={list(subset)}: expected different columns from 0 to {k - 1}")
    inside = torch.zeros(k, dtype=torch.bool)
    inside[list(subset)] = True
    eps = resolution(x)
    own = column_space(matrix[:, inside], centered=True, eps=eps)
    if own.rank == 0:
        return GeneralizedVIF(float("nan"), own.rank)
    if inside.all():
        return GeneralizedVIF(1.0, own.rank)
    others = column_space(matrix[:, ~inside], centered=True, eps=eps)
    if column_space(matrix, centered=True, eps=eps).rank < own.rank + others.rank:
        return GeneralizedVIF(float("inf"), own.rank)
    residual = own.left - others.left @ (others.left.T @ own.left)
    sines = torch.linalg.svdvals(residual).clamp(max=1.0)
    return GeneralizedVIF(float(sines.prod() ** -2), own.rank)
