"""Collinearity under regularisation: what becomes of coefficients and inflation with a penalty.

All of it in correlation units: columns centred and at unit length, so that `XᵀX` is their
correlation matrix `R`. Constant columns are undefined and take no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.diagnostics._column_space import scale_columns
from toysae.diagnostics._inputs import (
    ArrayLike,
    as_matrix,
    as_numbers_between,
    as_vector,
    center,
    resolution,
)


@dataclass(frozen=True)
class RidgeInflation:
    """Variance inflation of ridge regressions.

    Attributes:
        penalties: `[l]`; the shares where the correlations are shrunk.
        vif: `[l, k]`; NaN for constant columns and where there is no inverse.
        degrees_of_freedom: `[l]`, `Σ λ_i / (λ_i + penalty)` over the eigenvalues of `R`: from the
            rank at penalty 0 down to 0.
    """

    penalties: Tensor
    vif: Tensor
    degrees_of_freedom: Tensor


@dataclass(frozen=True)
class RidgeTrace:
    """Coefficients of ridge regressions.

    Attributes:
        penalties: `[l]`.
        beta: `[l, k]`, of the columns at unit length; NaN as in `RidgeInflation`.
        degrees_of_freedom: `[l]`, as in `RidgeInflation`.
    """

    penalties: Tensor
    beta: Tensor
    degrees_of_freedom: Tensor

    @property
    def sign_changes(self) -> Tensor:
        """`[k]` int64, how often a coefficient changes its sign along the penalties."""
        signs = self.beta.sign()
        return (signs[1:] * signs[:-1] < 0).sum(0)


def ridge_vif(x: ArrayLike, penalties: ArrayLike) -> RidgeInflation:
    """`diag[(R + λ)⁻¹ R (R + λ)⁻¹]` for each penalty `λ`; at 0 the centred VIF.

    Falls with `λ`. Exact relations leave it finite at any penalty above 0 and undefined at 0.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.
        penalties: `[l]`, each at least 0.

    Returns:
        The curve `[l, k]`; NaN for constant columns, and at penalty 0 with exact relations.

    Raises:
        ShapeError: `x` is not a matrix or `penalties` no vector.
        DataError: NaN or infinite values.
        ConfigError: a negative penalty.

    Source: Marquardt (1970), Technometrics 12(3).
    """
    spectrum = _Spectrum.of(x)
    chosen = as_numbers_between(penalties, "penalties", 0.0, float("inf"))
    eigenvalues, vectors = spectrum.eigenvalues, spectrum.vectors
    weights = eigenvalues / (eigenvalues + chosen[:, None]).square()
    return RidgeInflation(
        chosen, spectrum.defined(weights @ vectors.square().T), spectrum.freedom(chosen)
    )


def ridge_trace(x: ArrayLike, y: ArrayLike, penalties: ArrayLike) -> RidgeTrace:
    """`(R + λ)⁻¹ Xᵀy` for each penalty, `X` and `y` centred and columns of `X` at unit length.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.
        y: `[N]` target.
        penalties: `[l]`, each at least 0.

    Returns:
        The trace `[l, k]`; NaN for constant columns, and at penalty 0 with exact relations.

    Raises:
        ShapeError: `x` is not a matrix, `y` has another length or `penalties` is no vector.
        DataError: NaN or infinite values.
        ConfigError: a negative penalty.

    Source: Hoerl & Kennard (1970), Technometrics 12(1).
    """
    spectrum = _Spectrum.of(x)
    chosen = as_numbers_between(penalties, "penalties", 0.0, float("inf"))
    target, _ = center(as_vector(y, "y", len(spectrum.columns)))
    products = (spectrum.columns @ spectrum.vectors).T @ target
    products = torch.where(spectrum.eigenvalues > 0, products, 0.0)
    scores = products / (spectrum.eigenvalues + chosen[:, None])
    return RidgeTrace(
        chosen, spectrum.defined(scores @ spectrum.vectors.T), spectrum.freedom(chosen)
    )


def regularized_vif(x: ArrayLike, shares: ArrayLike) -> RidgeInflation:
    """VIF of the correlations shrunk towards 0, `diag[R_λ⁻¹]` with `R_λ = (1 - λ) R + λ`.

    The curve over `λ = 1e-6 … 1e-3` says which VIFs rest on the smallest eigenvalues alone. In
    [1, 1 / λ].

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.
        shares: `[l]`, `λ` from 0 to 1.

    Returns:
        The curve; the degrees of freedom are those of the ridge penalty `λ / (1 - λ)`.

    Raises:
        ShapeError: `x` is not a matrix or `shares` no vector.
        DataError: NaN or infinite values.
        ConfigError: a share outside 0 to 1.

    Source: Ledoit & Wolf 2004, shrinkage to the identity.
    """
    spectrum = _Spectrum.of(x)
    chosen = as_numbers_between(shares, "shares", 0.0, 1.0)
    shrunk = (1 - chosen[:, None]) * spectrum.eigenvalues + chosen[:, None]
    values = (1 / shrunk) @ spectrum.vectors.square().T
    return RidgeInflation(chosen, spectrum.defined(values), spectrum.freedom(chosen / (1 - chosen)))


@dataclass(frozen=True)
class _Spectrum:
    """Eigenvalues of `R` and its vectors as columns, exact relations with eigenvalue 0."""

    columns: Tensor
    eigenvalues: Tensor
    vectors: Tensor
    constant: Tensor

    @classmethod
    def of(cls, x: ArrayLike) -> _Spectrum:
        matrix = as_matrix(x, "x")
        scaled = scale_columns(matrix, centered=True, eps=resolution(x))
        _, s, vh = torch.linalg.svd(torch.linalg.qr(scaled.columns, mode="r").R, full_matrices=True)
        singular = torch.cat([s, s.new_zeros(len(vh) - len(s))])
        noise = max(matrix.shape) * torch.finfo(torch.float64).eps * s[0]
        noise = noise + 4 * (vh * scaled.noise).norm(dim=1)
        eigenvalues = torch.where(singular > noise, singular, 0.0).square()
        return cls(scaled.columns, eigenvalues, vh.T, scaled.lengths == 0)

    def freedom(self, penalties: Tensor) -> Tensor:
        """Effective degrees of freedom, directions without variance left out."""
        real = self.eigenvalues[self.eigenvalues > 0]
        return (real / (real + penalties[:, None])).sum(1)

    def defined(self, values: Tensor) -> Tensor:
        """The values with NaN for constant columns and for what has no inverse."""
        return torch.where(self.constant | ~values.isfinite(), torch.nan, values)
