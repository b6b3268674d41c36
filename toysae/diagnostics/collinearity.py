"""Multicollinearity: how far each column of a design can be told apart from the others.

Columns are features, latents or any other predictors; rows are samples. Everything is computed from
singular values of scaled columns, so that an exact relation among some columns makes exactly those
columns infinite and leaves the others finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from toysae.diagnostics._belsley import Belsley, belsley, condition_indices
from toysae.diagnostics._column_space import (
    ColumnSpace,
    column_space,
    decompose,
    scale_columns,
)
from toysae.diagnostics._generalized import GeneralizedVIF, gvif
from toysae.diagnostics._inputs import ArrayLike, as_matrix, resolution

__all__ = [
    "Belsley",
    "Collinearity",
    "Correlation",
    "Diagnosis",
    "GeneralizedVIF",
    "Reason",
    "condition_indices",
    "correlation",
    "diagnose",
    "gvif",
    "identifiable",
    "vif",
    "vif_uncentered",
]


class Reason(StrEnum):
    """Why a column has no finite variance inflation."""

    NONE = "none"
    CONSTANT = "constant"
    ZERO = "zero"
    DUPLICATE = "duplicate"
    COLLINEAR = "collinear"
    TOO_FEW = "too few firings"


@dataclass(frozen=True)
class Correlation:
    """Pearson correlations of the columns.

    Attributes:
        values: `[k, k]` in [-1, 1], symmetric, diagonal 1; NaN in the row and the column of a
            constant column.
        reasons: per column, `CONSTANT` or `NONE`.
        n_defined: number of columns that are not constant.
    """

    values: Tensor
    reasons: tuple[Reason, ...]
    n_defined: int


@dataclass(frozen=True)
class Collinearity:
    """Variance inflation of each column.

    Attributes:
        vif: `[k]` in [1, ∞]; infinite exactly for the columns that take part in an exact linear
            relation, NaN for a column without variation.
        n_effective: `[k]`, `N s_j² / VIF_j` with `s_j²` the mean square that the VIF is about
            (divisor `N`): the standard error of a coefficient is `σ / sqrt(n_effective)`. 0 for an
            infinite VIF, NaN where the VIF is.
        reasons: per column, why its VIF is not finite. `DUPLICATE`: each column of its relation
            is a multiple of each other one (after centring, if centred).
        relations: groups of columns tied by exact linear relations, each ascending; a column is in
            one group at most.
        rank: number of linearly independent columns.
    """

    vif: Tensor
    n_effective: Tensor
    reasons: tuple[Reason, ...]
    relations: tuple[tuple[int, ...], ...]
    rank: int

    @property
    def tolerance(self) -> Tensor:
        """`[k]`, `1 / VIF` in [0, 1]: the share of a column that the others do not explain."""
        return 1 / self.vif

    @property
    def n_defined(self) -> int:
        """Number of columns whose VIF is not NaN."""
        return int((~self.vif.isnan()).sum())


@dataclass(frozen=True)
class Diagnosis:
    """Variance inflation and conditioning of the same columns.

    Attributes:
        inflation: as `vif` gives it.
        condition: as `condition_indices` gives it.
    """

    inflation: Collinearity
    condition: Belsley


def correlation(x: ArrayLike) -> Correlation:
    """Pearson correlation of all pairs of columns.

    Args:
        x: `[N, k]` samples as rows.

    Returns:
        The table, in [-1, 1]; NaN in the row and column of a constant column.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: textbook.
    """
    scaled = scale_columns(as_matrix(x, "x"), centered=True, eps=resolution(x))
    constant = scaled.lengths == 0
    values = (scaled.columns.T @ scaled.columns).clamp(-1.0, 1.0).fill_diagonal_(1.0)
    values[constant] = torch.nan
    values[:, constant] = torch.nan
    return Correlation(
        values=values,
        reasons=_empty_reasons(constant, Reason.CONSTANT),
        n_defined=int((~constant).sum()),
    )


def vif(x: ArrayLike) -> Collinearity:
    """Centred variance inflation `1 / (1 - R_j²) = [corr⁻¹]_jj = TSS_j / RSS_j`.

    The one for regressions with an intercept.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept. A relation is exact when
            it holds to the rounding of the type that the data are stored in: bfloat16 cannot
            tell a VIF of a thousand from infinity, float32 one of 1e12.

    Returns:
        One VIF a column with its reason: NaN for constant columns, infinity in exact relations.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Marquardt (1970), Technometrics 12(3).
    """
    return _inflation(_space(x, centered=True), Reason.CONSTANT)


def vif_uncentered(x: ArrayLike) -> Collinearity:
    """Variance inflation about the origin, `[(XᵀX)⁻¹]_jj (XᵀX)_jj`.

    The one for regressions without an intercept; constant columns are columns like any other.

    Args:
        x: `[N, k]` samples as rows. Relations are exact as in `vif`.

    Returns:
        One VIF a column with its reason: NaN for zero columns, infinity in exact relations.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Marquardt 1970.
    """
    return _inflation(_space(x, centered=False), Reason.ZERO)


def identifiable(x: ArrayLike) -> Tensor:
    """Which columns have a coefficient that the data determine, for the columns as they are.

    Column j is identifiable when no exact linear relation of the columns involves it, that is when
    row j of the null space is zero. Nothing is centred: add a column of ones for an intercept.

    Args:
        x: `[N, k]` samples as rows.

    Returns:
        `[k]` bool mask; False for zero columns.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: textbook.
    """
    return _space(x, centered=False).identifiable


def diagnose(x: ArrayLike) -> Diagnosis:
    """`vif` and `condition_indices` of the same columns, at the cost of one of them.

    One QR decomposition of the centred columns serves both: with the means it also holds the
    columns as they are.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.

    Returns:
        What the two functions give, up to rounding.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Marquardt 1970; Belsley, Kuh & Welsch 1980.
    """
    matrix, eps = as_matrix(x, "x"), resolution(x)
    centered = scale_columns(matrix, centered=True, eps=eps)
    triangle = torch.linalg.qr(centered.columns, mode="r").R
    identity = torch.eye(len(triangle) + 1).to(matrix)
    about_mean = decompose(centered._replace(columns=triangle), identity[1:, 1:], len(matrix), eps)
    # In the basis of the intercept and of the centred columns, [1, X] is upper triangular.
    root = matrix.new_full((1,), len(matrix)).sqrt()
    heights = torch.cat([root, root * centered.means])
    rest = torch.nn.functional.pad(triangle * centered.lengths, (1, 0))
    design = scale_columns(torch.cat([heights[None], rest]), centered=False, eps=eps)
    return Diagnosis(
        inflation=_inflation(about_mean, Reason.CONSTANT),
        condition=belsley(decompose(design, identity, len(matrix), eps)),
    )


def _space(x: ArrayLike, *, centered: bool) -> ColumnSpace:
    return column_space(as_matrix(x, "x"), centered=centered, eps=resolution(x))


def _inflation(space: ColumnSpace, empty_reason: Reason) -> Collinearity:
    values = torch.where(space.identifiable, space.inverse_gram_diagonal().clamp(min=1), torch.inf)
    values = torch.where(space.empty, torch.nan, values)
    relations, reasons = _relations(space, empty_reason)
    return Collinearity(
        vif=values,
        n_effective=space.lengths.square() / values,
        reasons=reasons,
        relations=relations,
        rank=space.rank,
    )


def _relations(
    space: ColumnSpace, empty_reason: Reason
) -> tuple[tuple[tuple[int, ...], ...], tuple[Reason, ...]]:
    """Groups of columns that exact relations connect, and the reason each column gets from it."""
    projector = space.null @ space.null.T
    linked = projector.abs() > space.support_threshold
    _, labels = connected_components(linked.cpu().numpy(), directed=False)
    reasons = list(_empty_reasons(space.empty, empty_reason))
    tied = (~space.identifiable & ~space.empty).nonzero().flatten().tolist()
    groups: dict[int, list[int]] = {}
    for column in tied:
        groups.setdefault(int(labels[column]), []).append(column)
    for members in groups.values():
        # All columns are multiples of one another when the relations leave a single dimension.
        nullity = round(float(projector.diagonal()[members].sum()))
        parallel = nullity == len(members) - 1
        for column in members:
            reasons[column] = Reason.DUPLICATE if parallel else Reason.COLLINEAR
    return tuple(tuple(members) for members in groups.values()), tuple(reasons)


def _empty_reasons(empty: Tensor, reason: Reason) -> tuple[Reason, ...]:
    return tuple(reason if none_left else Reason.NONE for none_left in empty.tolist())
