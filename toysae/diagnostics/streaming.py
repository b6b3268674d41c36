"""Moments of a hidden space that comes in batches, and the PCA that they give."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.diagnostics._inputs import ArrayLike, as_matrix
from toysae.diagnostics._spectra import spectrum_of
from toysae.diagnostics.pca import effective_rank, participation_ratio, stable_rank
from toysae.errors import ShapeError


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of samples, in float64.

    Attributes:
        n_samples: `N`.
        mean: `[d]`.
        scatter: `[d, d]`, `Σ (x - mean)(x - mean)ᵀ`.
    """

    n_samples: int
    mean: Tensor
    scatter: Tensor

    def covariance(self) -> Tensor:
        """`[d, d]`, divisor `N - 1`; NaN for one sample."""
        return self.scatter / (self.n_samples - 1 or torch.nan)

    def second_moment(self) -> Tensor:
        """`[d, d]`, `E[x xᵀ]` about the origin."""
        return self.scatter / self.n_samples + torch.outer(self.mean, self.mean)


@dataclass(frozen=True)
class Components:
    """Principal components of samples that are gone.

    Attributes:
        n_samples: `N`.
        mean: `[d]`, what was subtracted; zero where the data were not centred.
        eigenvalues: `[d]`, descending; rounding noise is exactly 0.
        components: `[d, d]`, unit rows, one a component; the sign of a row is arbitrary.
        explained_variance_ratio: `[d]`, NaN for data without variance.
        participation_ratio: see `pca.participation_ratio`.
        effective_rank: see `pca.effective_rank`.
        stable_rank: see `pca.stable_rank`.
    """

    n_samples: int
    mean: Tensor
    eigenvalues: Tensor
    components: Tensor
    explained_variance_ratio: Tensor
    participation_ratio: float
    effective_rank: float
    stable_rank: float

    @property
    def cumulative_variance_ratio(self) -> Tensor:
        """`[d]`, share of the variance in the first 1, 2, ... components: ascending to 1."""
        return self.explained_variance_ratio.cumsum(0)


def batch_moments(x: ArrayLike) -> Moments:
    """Moments of one batch `[N, d]`, by two passes over it.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.
    """
    samples = as_matrix(x, "x")
    mean = samples.mean(0)
    deviations = samples - mean
    return Moments(len(samples), mean, deviations.T @ deviations)


def merge_moments(first: Moments, second: Moments) -> Moments:
    """Moments of both sets of samples, `S = S₁ + S₂ + (N₁N₂ / N) δδᵀ` with `δ = mean₂ - mean₁`.

    A mean that is large against the spread costs no digits, unlike sums of squares.

    Raises:
        ShapeError: the two live in spaces of different dimension.

    Source: Chan, Golub & LeVeque (1983), The American Statistician 37(3).
    """
    if first.mean.shape != second.mean.shape:
        raise ShapeError(
            f"moments in {len(first.mean)} and {len(second.mean)} dimensions: expected the same"
        )
    total = first.n_samples + second.n_samples
    shift = second.mean - first.mean
    weight = first.n_samples * second.n_samples / total
    return Moments(
        total,
        first.mean + shift * (second.n_samples / total),
        first.scatter + second.scatter + weight * torch.outer(shift, shift),
    )


def pca_of_moments(moments: Moments, *, centered: bool = True) -> Components:
    """Principal components from merged moments.

    Whether the components are determined takes fourth moments, so the samples: `pca.pca`.

    Args:
        moments: of all batches.
        centered: about the mean (divisor `N - 1`), otherwise about the origin (`N`).

    Returns:
        The components as `pca.pca` gives them, without the tests; NaN ratios and ranks for data
        without variance.

    Raises:
        ShapeError: fewer than two samples.

    Source: Chan, Golub & LeVeque 1983.
    """
    if moments.n_samples < 2:
        raise ShapeError(f"moments of {moments.n_samples} sample: PCA needs at least 2")
    matrix = moments.covariance() if centered else moments.second_moment()
    eigenvalues, components = spectrum_of(matrix, max(moments.n_samples, len(matrix)))
    return Components(
        n_samples=moments.n_samples,
        mean=moments.mean if centered else torch.zeros_like(moments.mean),
        eigenvalues=eigenvalues,
        components=components,
        explained_variance_ratio=eigenvalues / eigenvalues.sum(),
        participation_ratio=participation_ratio(eigenvalues),
        effective_rank=effective_rank(eigenvalues),
        stable_rank=stable_rank(eigenvalues),
    )
