"""The best non-negative fit by exactly `k` features, out of all subsets of `k`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, combinations, islice

import numpy as np
import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._composition.feature_pairs import MIN_INDEPENDENCE
from toysae.metrics._row_blocks import rows_within

MOST_SUBSETS = 5_000_000
"""Subsets that are tried at most; some minutes for a thousand latents."""

# Of one table that is held: subsets times features times latents.
_ENTRIES_AT_ONCE = 2**22


def require_few_subsets(n: int, k: int) -> None:
    """Raises `ShapeError` where `n` features have too many subsets of `k`, for `k > 2`."""
    if k > 2 and math.comb(n, k) > MOST_SUBSETS:
        raise ShapeError(
            f"{n} features have {math.comb(n, k):,} subsets of {k}: at most {MOST_SUBSETS:,} are "
            "tried one by one, use greedy_composition"
        )


def best_subsets(projections: Tensor, gram: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Best cosine of each latent with a positive sum of `k` features, the features, the weights.

    Args:
        projections: cosines `[m, n]` of latents with features.
        gram: cosines `[n, n]` of features.
        k: features of the sum; dependent ones are left out, fewer do as well.

    Returns:
        Cosines `[m]` (-inf where no subset has positive weights), features `[m, k]` ascending,
        and weights `[m, k]`.
    """
    m, n = projections.shape
    best = projections.new_full((m,), -torch.inf)
    atoms = torch.full((m, k), -1, dtype=torch.long, device=projections.device)
    weights = projections.new_zeros(m, k)
    for subsets in _subsets(n, k, rows_within(_ENTRIES_AT_ONCE, k * m)):
        chosen = torch.from_numpy(subsets).to(projections.device)
        squared, fitted = _fits(projections, gram, chosen)
        value, subset = squared.max(dim=0)
        better = value > best
        best[better] = value[better]
        atoms[better] = chosen[subset[better]]
        weights[better] = fitted[subset[better], :, better.nonzero().flatten()]
    return torch.where(best < 0, best, best.clamp(0, 1).sqrt()), atoms, weights


def _subsets(n: int, k: int, at_once: int) -> Iterator[np.ndarray]:
    """All subsets of `k` of `n` in lexical order, `[at most at_once, k]` a time."""
    everything = combinations(range(n), k)
    while some := list(islice(everything, at_once)):
        yield np.fromiter(chain.from_iterable(some), np.int64, k * len(some)).reshape(-1, k)


def _fits(projections: Tensor, gram: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Squared cosines `[subsets, m]`, -inf where one cannot be used, and weights `[.., k, m]`."""
    factor, failed = torch.linalg.cholesky_ex(gram[chosen[:, :, None], chosen[:, None, :]])
    pivots = factor.diagonal(dim1=1, dim2=2).square().amin(dim=1)
    independent = (failed == 0) & (pivots >= MIN_INDEPENDENCE)
    factor = torch.where(independent[:, None, None], factor, torch.eye(chosen.shape[1]).to(factor))
    targets = projections.T[chosen]
    weights = torch.cholesky_solve(targets, factor)
    squared = (targets * weights).sum(dim=1)
    usable = (weights >= 0).all(dim=1) & independent[:, None]
    return squared.masked_fill(~usable, -torch.inf), weights
