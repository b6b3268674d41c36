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
from toysae.diagnostics._large.gram import ScaledGram, block_bounds, scaled_gram
from toysae.diagnostics._large.spectrum import symmetric_eigenvalues
from toysae.diagnostics._large.work import Work
from toysae.diagnostics._relations import relations_of
from toysae.diagnostics.collinearity import Collinearity, Reason
from toysae.errors import ConfigError, DataError
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes

#: A column with no more than this share of its square left by the others is one of a relation.
NOISE = 1e-12

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
    `8 m²` bytes and 8 bytes a firing beside the codes. On a GPU the eigenvalues are
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
    """
    if min_firings < 0:
        raise ConfigError(f"min_firings={min_firings}: allowed are 0 and above")
    if codes.n_samples == 0:
        raise DataError("codes hold no samples: collinearity needs at least one")
    firings = codes.firings
    used = firings >= max(min_firings, 1)
    size = int(used.sum())
    work = Work(_costs(codes, size), report)
    gram = scaled_gram(_restricted(codes, used), _BLOCK, work)
    eigenvalues = symmetric_eigenvalues(gram.upper, _BLOCK, _BAND, work)
    kept = factorize(gram.lower, _BLOCK, NOISE, work)
    invert(gram.lower, _BLOCK, work)
    centered, uncentered, partners = _inflation(gram, kept, resolution(codes.values) ** 0.5)
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


def _costs(codes: SparseCodes, size: int) -> dict[str, float]:
    """Seconds that each stage takes, up to a common factor."""
    cube, pairs = float(size) ** 3, len(codes.values) ** 2 / codes.n_samples
    return {
        "gram": 5 * pairs + 1,
        "band": 2 * cube,
        "chase": 10 * _BAND * float(size) ** 2,
        "factor": cube / 3,
        "inverse": cube / 3,
    }


def _restricted(codes: SparseCodes, used: Tensor) -> SparseCodes:
    """The codes of the latents in the mask, numbered anew."""
    if used.all():
        return codes
    numbers = (used.cumsum(0) - 1).int()
    remains = used[codes.latents.long()]
    before = torch.cat([remains.new_zeros(1, dtype=torch.int64), remains.cumsum(0)])
    return replace(
        codes,
        offsets=before[codes.offsets],
        latents=numbers[codes.latents[remains].long()],
        values=codes.values[remains],
        n_latents=int(used.sum()),
    )


def _inflation(
    gram: ScaledGram, kept: Tensor, support: float
) -> tuple[Collinearity, Collinearity, Tensor]:
    """Both variance inflations out of the inverse factor, and whom each latent is a multiple of."""
    size = len(kept) - 1
    about_origin = gram.buffer.new_zeros(size)
    for first, last in block_bounds(size, gram.block):
        rows = gram.lower[first:last, :last]
        about_origin[:last] += rows[kept[first:last]].square().sum(0)
    last_row = gram.lower[-1, :-1]
    about_mean = about_origin + (last_row.square() if kept[-1] else 0.0)

    varying = 1 - gram.cosines.square()
    constant = varying <= NOISE
    relations = relations_of(gram.lower, kept, support)
    lengths = gram.lengths
    uncentered = _collinearity(
        about_origin, lengths.square(), relations.groups(), torch.zeros_like(constant), kept[:-1]
    )
    centered = _collinearity(
        about_mean * varying,
        lengths.square() * varying,
        relations.with_intercept().groups(),
        constant,
        kept,
    )
    return replace(centered, rank=centered.rank - 1), uncentered, relations.partners()


def _collinearity(
    inflation: Tensor,
    squares: Tensor,
    groups: list[tuple[list[int], bool]],
    constant: Tensor,
    kept: Tensor,
) -> Collinearity:
    values = inflation.clamp(min=1.0)
    reasons = [Reason.NONE] * len(values)
    relations = []
    for everyone, parallel in groups:
        members = [j for j in everyone if not constant[j]]
        if not members:
            continue
        values[members] = torch.inf
        relations.append(tuple(members))
        for j in members:
            reasons[j] = Reason.DUPLICATE if parallel else Reason.COLLINEAR
    values[constant] = torch.nan
    for j in constant.nonzero().flatten().tolist():
        reasons[j] = Reason.CONSTANT
    return Collinearity(
        vif=values,
        n_effective=squares / values,
        reasons=tuple(reasons),
        relations=tuple(relations),
        rank=int(kept.sum()),
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
