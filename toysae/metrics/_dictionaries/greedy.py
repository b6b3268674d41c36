"""Greedy one-to-one matching of two dictionaries: the largest cosine that is left goes first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._dictionaries.matching import Matching
from toysae.metrics._directions import Directions, unit_rows_of_pair
from toysae.metrics._tables import NEGLIGIBLE


@dataclass(frozen=True)
class GreedyMatching(Matching):
    """What taking the largest remaining cosine first matches, and what it would force together."""

    forced: Tensor
    """Cosines, descending and not positive, of the pairs among rows left at the end."""

    @property
    def mean_with_forced(self) -> float:
        """Mean cosine where every row of the smaller side must take a partner; NaN without rows."""
        n_pairs = min(self.n_rows, self.n_cols)
        return (self.total + self.forced.sum().item()) / n_pairs if n_pairs else torch.nan


def greedy(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> GreedyMatching:
    """The one-to-one matching that takes the largest remaining cosine again and again.

    Pairs are taken until no positive cosine is left; ties go to the lower row of `a`, then of `b`.
    Its total lies between half of `hungarian`'s and all of it. Symmetric in its arguments where
    there are no ties. Holds the `n x m` matrix twice. In [0, 1], `mean_with_forced` in [-1, 1].

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.

    Returns:
        The matching, and apart from it the pairs that are left; its sums and means are NaN where
        either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Preis 1999 for the bound of one half, and for taking all locally best pairs at once.
    """
    kept = unit_rows_of_pair(a, b, alive_a, alive_b)
    return _taken(*kept, (kept[0].unit @ kept[1].unit.T).clamp_(-1, 1))


def greedy_abs(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> GreedyMatching:
    """As `greedy`, of `|cos|`: for vectors without a sign, such as principal components. In [0, 1].

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.

    Returns:
        The matching; its sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: as `greedy`.
    """
    kept = unit_rows_of_pair(a, b, alive_a, alive_b)
    return _taken(*kept, (kept[0].unit @ kept[1].unit.T).clamp_(-1, 1).abs_())


def _taken(a: Directions, b: Directions, table: Tensor) -> GreedyMatching:
    partner = _partners(table.clone())
    rows = torch.nonzero(partner >= 0)[:, 0]
    cols = partner[rows]
    similarity = table[rows, cols]
    matched = similarity > NEGLIGIBLE
    return GreedyMatching(
        a.index[rows[matched]],
        b.index[cols[matched]],
        similarity[matched],
        table.shape[0],
        table.shape[1],
        similarity[~matched].sort(descending=True).values,
    )


def _partners(left: Tensor) -> Tensor:
    """Column that each row of `left` takes, or -1; overwrites `left`.

    An entry that is the largest of its row and of its column stays so until it is taken, so all
    such entries are taken at once.
    """
    n, m = left.shape
    partner = torch.full((n,), -1, dtype=torch.long, device=left.device)
    if n == 0 or m == 0:
        return partner
    itself = torch.arange(n, device=left.device)
    best_col, best_row = left.argmax(dim=1), left.argmax(dim=0)
    for _ in range(min(n, m)):
        rows = torch.nonzero((best_row[best_col] == itself) & (partner < 0))[:, 0]
        cols = best_col[rows]
        partner[rows] = cols
        left[rows], left[:, cols] = -torch.inf, -torch.inf
        n_taken = int((partner >= 0).sum())
        if n_taken == min(n, m):
            break
        # Only who wanted something that is gone has to look again.
        stale_rows = torch.isin(best_col, cols)
        stale_cols = torch.isin(best_row, rows)
        best_col[stale_rows] = left[stale_rows].argmax(dim=1)
        best_row[stale_cols] = left[:, stale_cols].argmax(dim=0)
    return partner
