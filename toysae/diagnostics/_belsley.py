"""Condition indices and variance proportions of a design with its intercept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.diagnostics._column_space import ColumnSpace, column_space
from toysae.diagnostics._inputs import ArrayLike, as_matrix, resolution


@dataclass(frozen=True)
class Belsley:
    """Condition indices and variance proportions of a design with its intercept.

    Attributes:
        indices: `[k + 1]`, largest singular value over each one, ascending from 1; infinite for
            an exact relation.
        proportions: `[k + 1, k + 1]`, one row an index and one column a variable, the intercept
            first: share of the variance of that variable's coefficient that comes with that index.
            Columns sum to 1.
    """

    indices: Tensor
    proportions: Tensor


def condition_indices(x: ArrayLike) -> Belsley:
    """Condition indices `s_max / s_i` and variance proportions, columns scaled but not centred.

    An intercept is put before the columns of `x`, every column is scaled to unit length, and
    `π_ij = (v_ji² / s_i²) / Σ_i (v_ji² / s_i²)`. An index above 30 with two or more proportions
    above .5 marks a harmful relation. A variable in an exact relation has all of its variance at
    the infinite indices, a zero column included.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.

    Returns:
        `k + 1` indices, ascending from 1, and the proportions of each.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Belsley, Kuh & Welsch (1980), Regression Diagnostics, chapter 3.
    """
    matrix = as_matrix(x, "x")
    design = torch.cat([torch.ones_like(matrix[:, :1]), matrix], dim=1)
    return belsley(column_space(design, centered=False, eps=resolution(x)))


def belsley(space: ColumnSpace) -> Belsley:
    """Indices and proportions of the decomposed columns of a design."""
    finite = (space.right / space.singular_values).square()
    infinite = space.null.square()
    finite = torch.where(space.identifiable[:, None], finite, 0.0)
    infinite = torch.where(space.identifiable[:, None], 0.0, infinite)
    variances = torch.cat([finite, infinite], dim=1)
    singular = torch.cat([space.singular_values, finite.new_zeros(infinite.shape[1])])
    return Belsley(
        indices=singular[0] / singular,
        proportions=(variances / variances.sum(1, keepdim=True)).T,
    )
