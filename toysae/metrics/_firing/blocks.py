"""What is made of a block of joint firing counts: best partners, and pairs above a threshold."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from toysae.metrics._firing.association import Cofiring, cofiring
from toysae.metrics._firing.cofiring_kernel import best_in_block, pairs_above
from toysae.metrics._tables import best_along_rows
from toysae.metrics.codes import SparseCodes


class Joint(NamedTuple):
    """A partner for each latent of one side, -1 for none, and how often both fire."""

    partner: Tensor
    n11: Tensor


class Block:
    """What is made of a block of counts: compiled on the CPU, by tables elsewhere."""

    def __init__(self, kind: int, a: SparseCodes, b: SparseCodes, minimum: int) -> None:
        self.kind = kind
        self.n1, self.n2 = a.firings.double(), b.firings.double()
        self.n_samples = a.n_samples
        self.minimum = minimum

    def best(self, rows: slice, counts: Tensor, with_itself: bool) -> tuple[Joint, Joint]:
        """Best partner of each row of the block, and of each column within it."""
        find = self.best_by_table if counts.is_cuda else self.best_compiled
        by_row, by_column = find(rows, counts, with_itself)
        row = torch.arange(len(by_row), device=counts.device)
        column = torch.arange(len(by_column), device=counts.device)
        return (
            Joint(by_row, counts[row, by_row] if len(column) else by_row.int()),
            Joint(by_column, counts[(by_column - rows.start).clamp(min=0), column]),
        )

    def best_compiled(
        self, rows: slice, counts: Tensor, with_itself: bool
    ) -> tuple[Tensor, Tensor]:
        """Partner of each row and of each column, -1 for none; on the CPU."""
        by_row, by_column = (torch.empty(n, dtype=torch.int64) for n in counts.shape)
        best_in_block(*self._compiled(rows, counts), with_itself, by_row.numpy(), by_column.numpy())
        return by_row, by_column

    def best_by_table(
        self, rows: slice, counts: Tensor, with_itself: bool
    ) -> tuple[Tensor, Tensor]:
        """As `best_compiled`, anywhere."""
        table = self.table(rows, counts)
        if with_itself:
            table.diagonal(rows.start).fill_(torch.nan)
        by_row, by_column = best_along_rows(table).partner, best_along_rows(table.T).partner
        return by_row, by_column.where(by_column < 0, by_column + rows.start)

    def pairs(self, rows: slice, counts: Tensor, above: float) -> tuple[Tensor, Tensor, Tensor]:
        """Row, column and joint firings of the pairs above a threshold."""
        find = self.pairs_by_table if counts.is_cuda else self.pairs_compiled
        row, column = find(rows, counts, above)
        return row, column, counts[row - rows.start, column]

    def pairs_compiled(self, rows: slice, counts: Tensor, above: float) -> tuple[Tensor, Tensor]:
        """Row and column of the pairs above a threshold; on the CPU."""

        def fill(row: Tensor, column: Tensor) -> int:
            return pairs_above(
                *self._compiled(rows, counts), float(above), row.numpy(), column.numpy()
            )

        none = torch.empty(0, dtype=torch.int64)
        row, column = torch.empty(2, fill(none, none), dtype=torch.int64)
        fill(row, column)
        return row, column

    def pairs_by_table(self, rows: slice, counts: Tensor, above: float) -> tuple[Tensor, Tensor]:
        """As `pairs_compiled`, anywhere."""
        row, column = (self.table(rows, counts) > above).nonzero().T
        return row + rows.start, column

    def _compiled(
        self, rows: slice, counts: Tensor
    ) -> tuple[int, int, Any, Any, Any, float, float]:
        """What compiled code must know of a block."""
        n1, n2 = self.n1.numpy(), self.n2.numpy()
        n_samples, minimum = float(self.n_samples), float(self.minimum)
        return self.kind, rows.start, counts.numpy(), n1, n2, n_samples, minimum

    def table(self, rows: slice, counts: Tensor) -> Tensor:
        """The coefficient `[rows, m]`; NaN where either side fires too rarely."""
        n1, n2 = self.n1[rows, None], self.n2[None, :]
        found = coefficient_of(self.kind, cofiring(counts, n1, n2, self.n_samples))
        return found.masked_fill((n1 < self.minimum) | (n2 < self.minimum), torch.nan)

    def values(self, rows: Tensor, columns: Tensor, n11: Tensor) -> Tensor:
        """The coefficient of some pairs."""
        found = cofiring(n11, self.n1[rows], self.n2[columns], self.n_samples)
        return coefficient_of(self.kind, found)


def coefficient_of(kind: int, found: Cofiring) -> Tensor:
    """The coefficient that `kind` stands for."""
    return (found.jaccard, found.dice, found.phi)[kind]
