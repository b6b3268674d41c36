"""Multicollinearity of tens of thousands of sparse latents on millions of samples.

The dense functions of `collinearity` decompose the samples. Here only second moments are kept: one
Gram matrix in float64, whose factor says everything about variance inflation and whose eigenvalues
are the condition indices. A Gram matrix has squared condition: a VIF above 1e12 is not told from
an exact relation, as with float32 samples there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from toysae.diagnostics._inputs import resolution
from toysae.diagnostics._large.cholesky import factorize, invert
from toysae.diagnostics._large.costs import stage_costs
from toysae.diagnostics._large.gram import scaled_gram
from toysae.diagnostics._large.inflation import NOISE, frequent, inflation, restricted
from toysae.diagnostics._large.spectrum import symmetric_eigenvalues
from toysae.diagnostics._large.work import Work
from toysae.diagnostics.collinearity import Collinearity, Reason
from toysae.errors import ConfigError
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes

# Sizes that keep products fast and a chase along the band in the cache.
_BLOCK, _BAND = 960, 96


@dataclass(frozen=True)
class SparseCollinearity:
    """Collinearity of sparse latents, in regressions with and without an intercept.

    Attributes:
        centered: as `collinearity.vif` gives it.
        uncentered: as `collinearity.vif_uncentered` gives it.
        condition_indices: `[r + 1]` of the `r` latents that were not dropped and an intercept, as
            `collinearity.condition_indices` gives them: ascending from 1, infinite once for each
            exact relation.
        identifiable: `[m]` mask of the latents whose coefficient is determined in a regression
            with an intercept.
        duplicate_of: `[m]` int64, the first latent that each is a multiple of, -1 for most.
        firings: `[m]` int64.
        n_samples: number of samples.
    """

    centered: Collinearity
    uncentered: Collinearity
    condition_indices: Tensor
    identifiable: Tensor
    duplicate_of: Tensor
    firings: Tensor
    n_samples: int

    def dense(self, density: float = 0.1) -> Tensor:
        """`[m]` mask of the latents that fire on more than a share of all samples.

        Raises:
            ConfigError: a density outside 0 to 1.
        """
        if not 0 <= density <= 1:
            raise ConfigError(f"density={density}: allowed are 0 to 1")
        return self.firings > density * self.n_samples


def sparse_collinearity(
    codes: SparseCodes, *, min_firings: int = 10, report: Report | None = None
) -> SparseCollinearity:
    """VIF, centred and not, and all condition indices of sparse latents.

    With `A` the Gram matrix of the latents' columns and an intercept, all at unit length, and
    `L Lᵀ = A` with the intercept last: `VIF_j = Σ_i (L⁻¹)_ij²` without an intercept, and with it
    that number plus the intercept's row, times the share of the column that is not constant.
    Condition indices are `sqrt(λ_max / λ_k)` of `A`. A latent that those before it explain is
    dropped from the factor; its coefficients on them say which latents the relation holds.

    `2/3 m³` floating-point operations for the VIFs and `4/3 m³` for the eigenvalues; a little over
    `8 m²` bytes and 12 bytes a firing beside the codes. On a GPU the eigenvalues are
    torch's, on a copy of the matrix.

    Args:
        codes: activations of `m` latents on `N` samples.
        min_firings: latents with fewer firings are dropped, and silent ones always.
        report: called with thousandths of the work.

    Returns:
        Collinearity of all latents; `NaN` with a reason for those that were dropped.

    Raises:
        ConfigError: `min_firings` is negative.
        DataError: no samples.

    Source: Marquardt 1970; Belsley, Kuh & Welsch 1980.
    """
    used, firings = frequent(codes, min_firings), codes.firings
    work = Work(stage_costs(codes, int(used.sum())), report)
    gram = scaled_gram(restricted(codes, used), _BLOCK, work)
    eigenvalues = symmetric_eigenvalues(gram.upper, _BLOCK, _BAND, work)
    kept = factorize(gram.lower, _BLOCK, NOISE, work)
    invert(gram.lower, _BLOCK, work)
    centered, uncentered, partners = inflation(gram, kept, resolution(codes.values) ** 0.5)
    reasons = tuple(
        Reason.ZERO if count == 0 else Reason.TOO_FEW for count in firings[~used].tolist()
    )
    places = used.nonzero().flatten()
    duplicate_of = torch.full_like(firings, -1)
    duplicate_of[places] = torch.where(partners < 0, partners, places[partners.clamp(min=0)])
    everything = _spread(centered, used, reasons)
    return SparseCollinearity(
        centered=everything,
        uncentered=_spread(uncentered, used, reasons),
        condition_indices=_indices(eigenvalues, int((~kept).sum())),
        identifiable=everything.vif.isfinite(),
        duplicate_of=duplicate_of,
        firings=firings,
        n_samples=codes.n_samples,
    )


def _spread(found: Collinearity, used: Tensor, dropped: tuple[Reason, ...]) -> Collinearity:
    """What was found for the latents in the mask, for all of them."""
    places = used.nonzero().flatten().tolist()
    reasons = np.empty(len(used), dtype=object)
    reasons[used.cpu().numpy()] = found.reasons
    reasons[~used.cpu().numpy()] = dropped
    columns = {}
    for name in ("vif", "n_effective"):
        column = getattr(found, name)
        columns[name] = column.new_full((len(used),), torch.nan).masked_scatter_(used, column)
    relations = tuple(tuple(places[j] for j in members) for members in found.relations)
    return replace(found, **columns, reasons=tuple(reasons), relations=relations)


def _indices(eigenvalues: Tensor, n_relations: int) -> Tensor:
    """Condition indices, the smallest eigenvalues taken for the 0 that exact relations make."""
    descending = eigenvalues.flip(0).clamp(min=0.0)
    descending[len(descending) - n_relations :] = 0.0
    return (descending[0] / descending).sqrt()
