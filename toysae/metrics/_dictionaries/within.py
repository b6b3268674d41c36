"""How close the rows of one dictionary are to each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._directions import unit_rows
from toysae.metrics._row_blocks import row_blocks


@dataclass(frozen=True)
class WithinDictionary:
    """How close the rows of one dictionary are to each other."""

    max_cosine: Tensor
    """Largest cosine of each row with another row, `[n]`; NaN without one."""
    index: Tensor
    """That other row, `[n]`; -1 where NaN."""
    mean_abs: Tensor
    """Mean absolute cosine of each row with all others, `[n]`; NaN without any."""
    n_zero: int
    """Zero rows, among the alive ones."""

    @property
    def mean_max_cosine(self) -> float:
        """Mean of `max_cosine` (SAEBench: average max decoder cosine similarity)."""
        return self.max_cosine.nanmean().item()

    @property
    def mean_abs_cosine(self) -> float:
        """Mean absolute cosine over all pairs (`c_dec` of "Sparse but Wrong")."""
        return self.mean_abs.nanmean().item()


def within_dictionary(
    a: Tensor, *, alive: Tensor | None = None, block: int = 4096
) -> WithinDictionary:
    """How close the rows of one dictionary are to the others of the same dictionary.

    Per row, `max_{j != i} cos(a_i, a_j)` in [-1, 1] and `mean_{j != i} |cos(a_i, a_j)|` in [0, 1].

    Args:
        a: dictionary `[n, d]`.
        alive: bool mask `[n]`; other rows are left out.
        block: rows compared at once.

    Returns:
        Both per row; NaN for zero and left-out rows, and for a row without another.

    Raises:
        ShapeError: not a matrix, or a mask of another length.
        DataError: NaN or infinity.

    Source: SAEBench (average max decoder cosine similarity); Chanin and Garriga-Alonso 2025,
    "Sparse but Wrong" (arXiv 2508.16560), `c_dec`.
    """
    kept = unit_rows(a, "a", alive)
    n = len(kept.unit)
    best, mean_abs = kept.unit.new_full((2, n), torch.nan)
    index = kept.index.new_full((n,), -1)
    if n > 1:
        for rows in row_blocks(n, block):
            table = (kept.unit[rows] @ kept.unit.T).clamp_(-1, 1)
            itself = (torch.arange(len(table)), torch.arange(n)[rows])
            table[itself] = 0
            mean_abs[rows] = table.abs().sum(dim=1) / (n - 1)
            table[itself] = -torch.inf
            best[rows], partner = table.max(dim=1)
            index[rows] = kept.index[partner]
    return WithinDictionary(
        kept.spread(best, torch.nan),
        kept.spread(index, -1),
        kept.spread(mean_abs, torch.nan),
        kept.n_zero,
    )
