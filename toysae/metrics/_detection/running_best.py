"""Best partners both ways out of a table that is never held, only its blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.metrics._directions import Partners
from toysae.metrics._tables import best_along_rows


class RunningBest:
    """Collects blocks of rows of a table `[n, m]`, NaN being an undefined pair."""

    def __init__(self, n: int, m: int, device: torch.device) -> None:
        self.rows = _nobody(n, device)
        self.columns = _nobody(m, device)

    def add(self, rows: slice, table: Tensor) -> None:
        """Takes the block `table [rows, m]`; blocks must come in the order of their rows."""
        for kept, found in zip(self.rows, best_along_rows(table)):
            kept[rows] = found
        value, row = best_along_rows(table.T)
        # An earlier row keeps its place among ties.
        better = (row >= 0) & ~(self.columns.similarity >= value)
        self.columns.similarity[better] = value[better]
        self.columns.partner[better] = rows.start + row[better]


def _nobody(n: int, device: torch.device) -> Partners:
    return Partners(
        torch.full((n,), torch.nan, dtype=torch.float64, device=device),
        torch.full((n,), -1, dtype=torch.long, device=device),
    )
