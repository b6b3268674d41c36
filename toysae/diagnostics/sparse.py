"""Variance inflation of sparse latents that is regularised, or found block by block.

Of the Gram matrix that `toysae.diagnostics.large` takes; for questions that its exact numbers leave
open: which of them rest on the smallest eigenvalues alone, and which on latents that never meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from toysae.diagnostics._blocks import check_threshold
from toysae.diagnostics._inputs import ArrayLike, as_numbers_between, resolution
from toysae.diagnostics._large.cholesky import factorize, invert
from toysae.diagnostics._large.costs import stage_costs
from toysae.diagnostics._large.gram import ScaledGram, block_bounds, scaled_gram
from toysae.diagnostics._large.inflation import NOISE, frequent, inflation, restricted
from toysae.diagnostics._large.work import Work
from toysae.diagnostics.local import LocalInflation
from toysae.diagnostics.ridge import RidgeInflation
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes

#: Below this share a regularisation drowns in the rounding of the Gram matrix.
LOWEST_SHARE = 1e-9

_DOUBLE = torch.finfo(torch.float64).eps
_BLOCK = 960
# Rows that are looked at together: what is made of them is small beside the matrix.
_ROWS = 96


def sparse_regularized_vif(
    codes: SparseCodes, shares: ArrayLike, *, min_firings: int = 10, report: Report | None = None
) -> RidgeInflation:
    """VIF of the correlations of sparse latents, shrunk towards 0: `diag[((1 - λ) R + λ)⁻¹]`.

    As `ridge.regularized_vif`, from one Gram matrix and a factor for each share: `2/3 m³`
    floating-point operations a share, a little over `8 m²` bytes and about 25 bytes a firing beside
    the codes. Exact relations are finite, up to `1 / λ`: where the curve over `λ = 1e-6 ... 1e-3`
    moves, the VIF rests on the smallest eigenvalues alone.

    Args:
        codes: activations of `m` latents on `N` samples.
        shares: `[l]`, `λ` from 1e-9 to 1; at 0 it is `large.sparse_collinearity`.
        min_firings: latents with fewer firings are dropped, and silent ones always.
        report: called with thousandths of the work.

    Returns:
        The curve `[l, m]`; NaN for dropped and for constant latents. The degrees of freedom are
        those of the ridge penalty `λ / (1 - λ)`.

    Raises:
        ShapeError: `shares` is no vector.
        ConfigError: `min_firings` is negative, or a share outside 1e-9 to 1.
        DataError: no samples, or shares that are not finite.

    Source: Ledoit & Wolf (2004), J. Multivariate Analysis 88, shrinkage to the identity.
    """
    chosen = as_numbers_between(shares, "shares", LOWEST_SHARE, 1.0)
    used = frequent(codes, min_firings)
    rounds = {"gram": 1, "factor": len(chosen), "inverse": len(chosen)}
    work = Work(stage_costs(codes, int(used.sum())), report, rounds)
    gram = scaled_gram(restricted(codes, used), _BLOCK, work)
    spread = _spread_of(gram)
    values = torch.full((len(chosen), codes.n_latents), torch.nan, dtype=torch.float64)
    values = values.to(gram.buffer.device)
    for row, share in enumerate(chosen.tolist()):
        values[row, used] = torch.where(
            spread > 0, _shrunk_inverse_diagonal(gram, spread, share, work), torch.nan
        )
    # Σ l / (l + p) = tr R (R + p)⁻¹ = k - p tr (R + p)⁻¹, and R_λ = (1 - λ) (R + p).
    n_varying = int((spread > 0).sum())
    freedom = n_varying - chosen.to(values.device) * values.nansum(1)
    return RidgeInflation(chosen, values, freedom.clamp(min=0.0))


def sparse_block_local_vif(
    codes: SparseCodes,
    threshold: float = 0.05,
    *,
    min_firings: int = 10,
    report: Report | None = None,
) -> LocalInflation:
    """Bounds of the centred VIF from blocks of sparse latents that fire together.

    As `local.block_local_vif`: exact within a connected component of `|phi| > threshold`, and a
    bound for what the other components add. Takes two Gram matrices one after the other, `8 m²`
    bytes and about 30 a firing; and for each block of `k` latents up to `4/3 k³` floating-point
    operations and `8 k²` bytes more: a single block is no faster than `large.sparse_collinearity`,
    and takes twice its memory. Half of what is reported as done are the Gram matrices, however
    large the blocks turn out. What correlations by chance add up to is about `m / sqrt N`: from 1
    on, several blocks have no upper bound.

    Args:
        codes: activations of `m` latents on `N` samples.
        threshold: of the absolute correlation of firings (strict); a latent that always fires has
            none.
        min_firings: latents with fewer firings are dropped, and silent ones always.
        report: called with thousandths of the work.

    Returns:
        The bounds; NaN and block -1 for dropped latents, NaN for constant ones.

    Raises:
        ConfigError: `threshold` is outside [0, 1), or `min_firings` is negative.
        DataError: no samples.

    Source: Schur complement; Weyl's inequality.
    """
    check_threshold(threshold)
    used = frequent(codes, min_firings)
    # How large the blocks are is known only after both Gram matrices: half of the work, then.
    rounds = {"gram": 2, "factor": 1, "inverse": 1}
    work = Work(dict.fromkeys(rounds, 1.0), report, rounds)
    kept = restricted(codes, used)
    fires = replace(kept, values=torch.ones_like(kept.values, dtype=torch.float32))
    labels = _linked(scaled_gram(fires, _BLOCK, work), threshold)
    gram = scaled_gram(kept, _BLOCK, work)
    between = _norm_between(gram, labels)
    lowest, highest = torch.ones_like(gram.lengths), torch.empty_like(gram.lengths)
    highest.fill_(1 / (1 - between) if between < 1 else torch.inf)
    lowest[_spread_of(gram) == 0] = torch.nan
    sizes = labels.bincount()
    cubes = torch.where(sizes > 1, sizes.double(), 0.0) ** 3
    for block in (sizes > 1).nonzero().flatten().tolist():
        inside = (labels == block).nonzero().flatten()
        part = work.part(float(cubes[block] / cubes.sum()))
        lowest[inside], highest[inside] = _within(
            gram, inside, between, resolution(kept.values), part
        )
    if not bool(cubes.any()):
        work.add("factor", 1.0)
        work.add("inverse", 1.0)
    highest = torch.where(lowest.isnan(), torch.nan, torch.maximum(highest, lowest))

    def everywhere(values: Tensor, fill: float) -> Tensor:
        return values.new_full((codes.n_latents,), fill).masked_scatter_(used, values)

    return LocalInflation(
        lowest=everywhere(lowest, torch.nan),
        highest=everywhere(highest, torch.nan),
        blocks=everywhere(labels, -1),
        between=between,
    )


def _spread_of(gram: ScaledGram) -> Tensor:
    """`[k]`, length of each column of unit length less its mean; 0 for a constant one."""
    varying = 1 - gram.cosines.square()
    return torch.where(varying > NOISE, varying, 0.0).sqrt()


def _correlations(gram: ScaledGram, spread: Tensor, first: int, last: int) -> Tensor:
    """Rows of the correlation matrix from the diagonal on; 0 for constant columns."""
    means = gram.cosines
    found = torch.outer(means[first:last], means[first:]).neg_()
    found += gram.upper[first:last, first:-1]
    lengths = torch.where(spread > 0, spread, torch.inf)[first:]
    found /= lengths[: last - first, None]
    found /= lengths
    return found


def _shrunk_inverse_diagonal(gram: ScaledGram, spread: Tensor, share: float, work: Work) -> Tensor:
    """`diag[((1 - λ) R + λ)⁻¹]`; where the Gram matrix stands twice, the lower one is lost."""
    size = len(spread)
    lower = gram.lower[:-1, :-1]
    for first, last in block_bounds(size, gram.block):
        rows = (1 - share) * _correlations(gram, spread, first, last)
        square = rows[:, : last - first]
        square.copy_(square.triu(1) + square.triu(1).T)
        square.diagonal().fill_(1.0)
        lower[first:, first:last] = rows.T
    factorize(lower, gram.block, 0.0, work)
    invert(lower, gram.block, work)
    return _column_squares(lower, gram.block)


def _linked(gram: ScaledGram, threshold: float) -> Tensor:
    """Number of the connected component of each column, from 0, in the order of their columns."""
    spread, size = _spread_of(gram), len(gram.lengths)
    labels = np.arange(size)
    for first, last in block_bounds(size, _ROWS):
        near = (_correlations(gram, spread, first, last).abs_() > threshold).triu_(1)
        rows, columns = near.nonzero().cpu().numpy().T + first
        # What is linked so far goes along as an edge from each column to the number of its set.
        rows, columns = np.append(rows, np.arange(size)), np.append(columns, labels)
        graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
        _, parts = connected_components(graph, directed=False)
        firsts = np.unique(parts, return_index=True)[1]
        labels = firsts[parts]
    numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return torch.from_numpy(numbers).to(gram.lengths.device)


def _norm_between(gram: ScaledGram, labels: Tensor) -> float:
    """Bound of the spectral norm of the correlations between blocks."""
    spread = _spread_of(gram)
    squares, sums = spread.new_zeros(()), torch.zeros_like(spread)
    for first, last in block_bounds(len(labels), _ROWS):
        sizes = _correlations(gram, spread, first, last).abs_().triu_(1)
        sizes[labels[first:last, None] == labels[first:]] = 0.0
        squares += 2 * sizes.square().sum()
        sums[first:last] += sizes.sum(1)
        sums[first:] += sizes.sum(0)
    return min(float(squares.sqrt()), float(sums.max()) if len(sums) else 0.0)


def _within(
    gram: ScaledGram, inside: Tensor, between: float, eps: float, work: Work
) -> tuple[Tensor, Tensor]:
    """VIF of the columns `inside` among themselves, and what it can be among all."""
    shifted = 0 < between < 1
    step = work.part(1 / 2) if shifted else work
    places = torch.cat([inside, inside.new_tensor([len(gram.lengths)])])
    lower = gram.buffer.new_empty(len(places), len(places))
    for first, last, rows in _rows_among(gram, places):
        lower[first:, first:last] = rows.T
    part = ScaledGram(lower, gram.lengths[inside], gram.cosines[inside], gram.block)
    kept = factorize(part.lower, part.block, NOISE, step)
    invert(part.lower, part.block, step)
    lowest = inflation(part, kept, eps**0.5)[0].vif
    if not shifted:
        # Nothing is between the blocks; or `B - ε` is not positive, as the smallest eigenvalue of
        # correlations is at most 1.
        return lowest, lowest if between == 0 else torch.full_like(lowest, torch.inf)
    lower = lower[:-1, :-1]
    spread = _spread_of(part)
    for first, last, rows in _rows_among(gram, inside):
        rows -= torch.outer(part.cosines[first:last], part.cosines[first:])
        rows /= spread[first:last, None] * (1 - between)
        rows /= spread[first:]
        rows.diagonal().fill_(1.0)
        lower[first:, first:last] = rows.T
    kept = factorize(lower, part.block, max(NOISE, len(lower) * _DOUBLE), step)
    if not bool(kept.all()):
        step.add("inverse", 1.0)
        return lowest, torch.full_like(lowest, torch.inf)
    invert(lower, part.block, step)
    return lowest, _column_squares(lower, part.block) / (1 - between)


def _rows_among(gram: ScaledGram, places: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks of rows of the Gram matrix of some of its columns, ascending, from the diagonal on."""
    for first, last in block_bounds(len(places), gram.block):
        rows = gram.upper[places[first:last, None], places[first:]]
        square = rows[:, : last - first]
        square.copy_(square.triu() + square.triu(1).T)
        yield first, last, rows


def _column_squares(lower: Tensor, block: int) -> Tensor:
    """Squared lengths of the columns of a lower triangle, blocks above the diagonal unread."""
    found = lower.new_zeros(len(lower))
    for first, last in block_bounds(len(lower), block):
        found[:last] += lower[first:last, :last].square().sum(0)
    return found
