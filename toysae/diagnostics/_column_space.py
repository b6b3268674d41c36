"""One decomposition behind collinearity and regression: columns at unit length, then an SVD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.diagnostics._inputs import center

_DOUBLE = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class ColumnSpace:
    """SVD of `N` rows and `k` columns scaled to unit length, split into range and null space.

    A relation among columns counts as exact when it holds to the rounding error of the type that
    the data came in; a column takes part in it when its weight is above the root of that error.

    Attributes:
        left: `[N, r]`, orthonormal basis of the span of the columns.
        singular_values: `[r]`, descending and above rounding error.
        right: `[k, r]`, right singular vectors as columns.
        null: `[k, k - r]`, orthonormal basis of the exact linear relations among scaled columns.
        lengths: `[k]`, Euclidean length of each column; 0 for a column without variation.
        means: `[k]`, what was subtracted from each column.
        support_threshold: weight above which a column takes part in a relation.
    """

    left: Tensor
    singular_values: Tensor
    right: Tensor
    null: Tensor
    lengths: Tensor
    means: Tensor
    support_threshold: float

    @property
    def rank(self) -> int:
        """Number of linearly independent columns, `r`."""
        return len(self.singular_values)

    @property
    def empty(self) -> Tensor:
        """`[k]` mask of columns without variation (zero columns where nothing was subtracted)."""
        return self.lengths == 0

    @property
    def identifiable(self) -> Tensor:
        """`[k]` mask of columns that take part in no exact linear relation."""
        return self.null.norm(dim=1) <= self.support_threshold

    @property
    def units(self) -> Tensor:
        """`[k]` lengths with 1 for empty columns: coefficients of scaled columns over raw ones."""
        return torch.where(self.empty, 1.0, self.lengths)

    def inverse_gram_diagonal(self) -> Tensor:
        """`[k]` diagonal of the pseudo-inverse of the Gram matrix of the scaled columns."""
        return (self.right / self.singular_values).square().sum(1)


class ScaledColumns(NamedTuple):
    """Columns at unit length.

    Attributes:
        columns: `[N, k]`; zero for a column without variation.
        lengths: `[k]` what each column was divided by; 0 for a column without variation.
        means: `[k]` what was subtracted from it before.
        noise: `[k]` rounding error of the scaled column that comes from how the data are stored.
    """

    columns: Tensor
    lengths: Tensor
    means: Tensor
    noise: Tensor


def scale_columns(x: Tensor, *, centered: bool, eps: float) -> ScaledColumns:
    """Columns of `x [N, k]` at unit length, about their means or about the origin."""
    deviations, means = center(x) if centered else (x, x.new_zeros(x.shape[1]))
    raw_lengths, lengths = x.norm(dim=0), deviations.norm(dim=0)
    varies = lengths > 4 * eps * raw_lengths
    return ScaledColumns(
        columns=torch.where(varies, deviations / lengths, 0.0),
        lengths=torch.where(varies, lengths, 0.0),
        means=means,
        noise=torch.where(varies, eps * raw_lengths / lengths, 0.0),
    )


def column_space(x: Tensor, *, centered: bool, eps: float) -> ColumnSpace:
    """Decompose the columns of `x [N, k]`, whose entries have the relative rounding error `eps`."""
    scaled = scale_columns(x, centered=centered, eps=eps)
    q, r = torch.linalg.qr(scaled.columns)
    return decompose(scaled._replace(columns=r), q, len(x), eps)


def decompose(triangle: ScaledColumns, q: Tensor, n_samples: int, eps: float) -> ColumnSpace:
    """Decompose `n_samples` rows of scaled columns, given as a basis `q` times a small matrix."""
    u, s, vh = torch.linalg.svd(triangle.columns, full_matrices=True)
    singular = torch.cat([s, s.new_zeros(len(vh) - len(s))])
    rounding = max(n_samples, len(vh)) * _DOUBLE * s[0]
    real = singular > rounding + 4 * (vh * triangle.noise).norm(dim=1)
    return ColumnSpace(
        left=q @ u[:, : len(s)][:, real[: len(s)]],
        singular_values=singular[real],
        right=vh[real].T,
        null=vh[~real].T,
        lengths=triangle.lengths,
        means=triangle.means,
        support_threshold=eps**0.5,
    )
