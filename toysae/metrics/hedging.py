"""Latents that lean towards features which have no latent of their own.

An SAE with fewer latents than features lowers its error by mixing into each latent the features
that are correlated with it and that nothing else represents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._absorption.dual import dual_vectors
from toysae.metrics._absorption.firing_sets import Activations, columns
from toysae.metrics._directions import unit_rows, unit_rows_of_pair
from toysae.metrics._inputs import finite, require_axes

__all__ = ["Hedging", "OneLatentOptimum", "hedging", "one_latent_optimum"]

# Leaks of trained weights that are smaller are rounding, and have no sign.
_MIN_LEAK = 1e-3
# In standard errors of a correlation that is zero.
_MIN_CORRELATION = 3.0

# Two eigenvalues closer than this, relative to the first, have no eigenvectors of their own.
_MIN_GAP = 1e-9


@dataclass(frozen=True)
class Hedging:
    """What latents hold of features that are assigned to no latent."""

    leaks: Tensor
    """`h_jk = <d_j, f_k^dual>`, `[m, u]` for the unassigned features `k`; NaN for latents that
    are assigned to nothing."""
    unassigned: Tensor
    """The unassigned features, `[u]`, ascending."""
    correlation: Tensor
    """Of the coefficients of the assigned feature of each latent and of feature `k`, `[m, u]`;
    NaN where a feature never varies."""
    n_samples: int
    """Samples that the correlations are from."""

    @property
    def norm(self) -> Tensor:
        """Hedging of each latent, `sqrt(sum_k h_jk^2)`, `[m]`; NaN where it is not assigned."""
        return torch.linalg.vector_norm(self.leaks, dim=1)

    @property
    def mean_norm(self) -> float:
        """Mean over assigned latents; NaN without any."""
        return self.norm.nanmean().item()

    @property
    def is_tested(self) -> Tensor:
        """Where a leak has a sign to compare, bool `[m, u]`.

        `|h| > 0.001`, and a correlation of more than three standard errors, `3 / sqrt N`.
        """
        told = self.correlation.abs() * math.sqrt(self.n_samples) > _MIN_CORRELATION
        return (self.leaks.abs() > _MIN_LEAK) & told

    @property
    def agrees(self) -> Tensor:
        """Where a tested leak has the sign of the correlation, bool `[m, u]`."""
        return self.is_tested & (self.leaks.sign() == self.correlation.sign())

    @property
    def sign_agreement(self) -> float:
        """Share of the tested leaks that have the sign of the correlation; NaN without any."""
        n_tested = int(self.is_tested.sum())
        return int(self.agrees.sum()) / n_tested if n_tested else math.nan

    @property
    def sign_p_value(self) -> float:
        """Chance of so many agreements if signs were coin flips (one-sided); NaN without any.

        Leaks of one SAE are not independent: take it for a description, and seeds for a test.
        """
        n_tested = int(self.is_tested.sum())
        if not n_tested:
            return math.nan
        return float(binomtest(int(self.agrees.sum()), n_tested, alternative="greater").pvalue)


@dataclass(frozen=True)
class OneLatentOptimum:
    """The direction that a single linear latent of least squared error takes, by features."""

    without_bias: Tensor
    """Unit vector `[n]`, its largest entry positive; NaN where it is not unique."""
    with_bias: Tensor
    """The same if a decoder bias takes the mean."""


def hedging(
    decoder: Tensor, features: Tensor, assigned: Tensor, coefficients: Activations
) -> Hedging:
    """How much each latent holds of features that no latent is assigned to.

    `h_jk = <d_j / |d_j|, f_k^dual>` for unassigned `k`, with the dual vectors of the unit features
    (rows of `pinv(F)^T`), and the hedging of a latent `sqrt(sum_k h_jk^2)`, at least 0 and 0 at
    best. Real hedging has the sign of the correlation of the two features, `corr(c_i, c_k)`; a
    leak between uncorrelated features has another cause, such as a missing decoder bias.

    Args:
        decoder: learned `[m, d]`.
        features: truth `[n, d]`.
        assigned: feature of each latent, int64 `[m]`; -1 for none. From a matching such as
            `dictionary.hungarian`.
        coefficients: truth `[N, n]`, as a table or by what fires.

    Returns:
        The leaks, their norm a latent, and how their signs compare. The norm is 0 where all
        features are assigned, NaN for latents that are not assigned or zero.

    Raises:
        ShapeError: sizes that do not fit together, or a feature that is not there.
        DataError: NaN or infinity.

    Source: Chanin, Dulka and Garriga-Alonso 2025 (arXiv 2505.11756), for its cause; their score
    needs SAEs of two widths, this one needs the truth.
    """
    latents, _ = unit_rows_of_pair(decoder, features, names=("decoder", "features"))
    n = len(features)
    _require_features(assigned, len(decoder), n)
    assigned = assigned.to(latents.unit.device)
    taken = torch.zeros(n, dtype=torch.bool, device=assigned.device)
    taken[assigned[assigned >= 0]] = True
    unassigned = torch.nonzero(~taken).flatten()
    truth = unit_rows(features, "features")
    dual = dual_vectors(truth.spread(truth.unit, 0.0))
    leaks = latents.spread(latents.unit, torch.nan) @ dual[unassigned].T
    correlation, n_samples = _correlation(coefficients, n, assigned, unassigned)
    nobody = (assigned < 0)[:, None]
    return Hedging(
        leaks.masked_fill(nobody, torch.nan),
        unassigned,
        correlation.to(leaks).masked_fill(nobody, torch.nan),
        n_samples,
    )


def one_latent_optimum(second_moment: Tensor, mean: Tensor) -> OneLatentOptimum:
    """Direction of the best single linear latent for orthonormal features, in their coordinates.

    The first eigenvector of `E[c c^T]`, or of `Cov(c) = E[c c^T] - mu mu^T` where the SAE has a
    decoder bias. Without one it mixes even independent features, for their means add up: that is
    no hedging. Entries are in [-1, 1].

    Args:
        second_moment: `E[c c^T]`, symmetric `[n, n]`; of a firing pair of unit amplitude
            `[[p1, p11], [p11, p2]]`.
        mean: `E[c]`, `[n]`.

    Returns:
        Both directions; NaN where the first two eigenvalues are equal, and so no direction is
        better than others.

    Raises:
        ShapeError: not a square matrix of at least one feature and a vector of the same size.
        DataError: NaN or infinity, or a matrix that is not symmetric.

    Source: Chanin, Dulka and Garriga-Alonso 2025 (arXiv 2505.11756); Eckart and Young 1936.
    """
    require_axes(second_moment, "second_moment", "[features, features]")
    moment, mu = finite(second_moment, "second_moment"), finite(mean, "mean")
    n = len(moment)
    if n == 0 or tuple(moment.shape) != (n, n) or tuple(mu.shape) != (n,):
        raise ShapeError(
            f"second_moment has shape {tuple(moment.shape)} and mean {tuple(mu.shape)}: "
            "expected [n, n] and [n], n at least 1"
        )
    if not torch.allclose(moment, moment.T):
        off = (moment - moment.T).abs().max().item()
        raise DataError(f"second_moment is not symmetric, by up to {off}: expected E[c c^T]")
    return OneLatentOptimum(_top(moment), _top(moment - torch.outer(mu, mu)))


def _top(matrix: Tensor) -> Tensor:
    """First eigenvector of a symmetric matrix, its largest entry positive; NaN if not unique."""
    values, axes = torch.linalg.eigh(matrix)
    if len(values) > 1 and values[-1] - values[-2] <= _MIN_GAP * values.abs().max():
        return torch.full_like(values, torch.nan)
    axis = axes[:, -1]
    return axis * axis[axis.abs().argmax()].sign()


def _require_features(assigned: Tensor, m: int, n: int) -> None:
    if tuple(assigned.shape) != (m,) or assigned.dtype != torch.int64:
        raise ShapeError(
            f"assigned has shape {tuple(assigned.shape)} and dtype {assigned.dtype}: expected "
            f"[{m}] of int64, one feature a latent"
        )
    if m and not (int(assigned.min()) >= -1 and int(assigned.max()) < n):
        raise ShapeError(
            f"assigned from {int(assigned.min())} to {int(assigned.max())}: expected -1 to {n - 1}"
        )


def _correlation(
    coefficients: Activations, n: int, assigned: Tensor, unassigned: Tensor
) -> tuple[Tensor, int]:
    """Pearson correlation of assigned with unassigned features `[m, u]`, and the samples."""
    table = columns(coefficients, "coefficients")
    if table.shape[1] != n:
        raise ShapeError(f"coefficients has {table.shape[1]} columns: expected {n}, one a feature")
    n_samples = table.shape[0]
    if n == 0:
        return torch.zeros(len(assigned), 0, dtype=torch.float64), n_samples
    left, right = assigned.clamp(min=0).cpu().numpy(), unassigned.cpu().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = table.sum(axis=0) / n_samples
        variance = table.multiply(table).sum(axis=0) / n_samples - mean**2
        variance[variance <= 1e-12 * (mean**2 + variance)] = np.nan
        joint = (table[:, left].T @ table[:, right]).toarray() / n_samples
        covariance = joint - mean[left][:, None] * mean[right][None, :]
        correlation = covariance / np.sqrt(variance[left][:, None] * variance[right][None, :])
    return torch.from_numpy(correlation.clip(-1, 1)), n_samples
