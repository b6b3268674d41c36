"""Similarity tables `[n, m]` in which NaN is an undefined pair: best partners, optimal matching."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from toysae.metrics._directions import Partners

NEGLIGIBLE = 1e-6
"""Similarity up to which a pair counts as unmatched; above rounding, far below any agreement."""


@dataclass(frozen=True)
class Assignment:
    """A one-to-one matching of the rows and columns of a table with the largest total similarity.

    Pairs without similarity are no match and are left out.
    """

    rows: Tensor
    """Row of each matched pair, `[n_matched]`, ascending."""
    cols: Tensor
    """Column of each matched pair, `[n_matched]`."""
    similarity: Tensor
    """Similarity of each matched pair, `[n_matched]`, positive."""
    n_rows: int
    """Rows that take part: of a dictionary those that are alive and have a direction, whatever the
    other has; of any other table those with a defined entry."""
    n_cols: int
    """Columns that take part, likewise."""
    bound: float = field(default=torch.nan, kw_only=True)
    """Most by which the total of another matching could be larger: 0 where the whole table was
    solved, rounding where prices prove the optimum, NaN where nothing is known."""

    @property
    def n_matched(self) -> int:
        """Number of matched pairs, at most `min(n_rows, n_cols)`."""
        return len(self.rows)

    @property
    def total(self) -> float:
        """Sum of the similarities; NaN where there was nothing to match."""
        return self.similarity.sum().item() if self.n_rows and self.n_cols else torch.nan

    @property
    def mean_over_matched(self) -> float:
        """Mean similarity of the matched pairs; blind to what found no partner. NaN without any."""
        return self.total / self.n_matched if self.n_matched else torch.nan

    @property
    def mean_over_min(self) -> float:
        """`total / min(n_rows, n_cols)`; blind to what the larger side has in excess."""
        return self.total / max(min(self.n_rows, self.n_cols), 1)

    @property
    def mean_over_max(self) -> float:
        """`total / max(n_rows, n_cols)`; 1 only if the two sides are the same."""
        return self.total / max(self.n_rows, self.n_cols, 1)


def best_along_rows(table: Tensor) -> Partners:
    """For each row of `table [n, m]` its largest defined entry and the column it stands in."""
    n, m = table.shape
    if m == 0:
        index = torch.full((n,), -1, dtype=torch.long, device=table.device)
        return Partners(table.new_full((n,), torch.nan), index)
    value, index = table.nan_to_num(nan=-torch.inf).max(dim=1)
    undefined = value == -torch.inf
    return Partners(value.masked_fill(undefined, torch.nan), index.masked_fill(undefined, -1))


def assign(table: Tensor) -> Assignment:
    """Solves the assignment problem on `max(table, 0)`, NaN being no similarity.

    Clipping matters: on signed similarities the optimum gives up good pairs to avoid bad ones.
    """
    defined = ~torch.isnan(table)
    gain = table.nan_to_num(nan=0.0).clamp(min=0)
    rows, cols = (torch.from_numpy(x) for x in linear_sum_assignment(gain.cpu(), maximize=True))
    rows, cols = rows.to(table.device), cols.to(table.device)
    matched = gain[rows, cols] > NEGLIGIBLE
    rows, cols = rows[matched], cols[matched]
    n_rows, n_cols = int(defined.any(dim=1).sum()), int(defined.any(dim=0).sum())
    return Assignment(rows, cols, table[rows, cols], n_rows, n_cols, bound=0.0)
