"""Exact linear relations among columns, read from an inverse factor with dropped columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack
from scipy.sparse.csgraph import connected_components
from torch import Tensor


@dataclass(frozen=True)
class Relations:
    """A basis of the null space of some columns, and what the intercept adds to it.

    Attributes:
        rows: `[q, k]`, coefficients of relations among the columns.
        intercept: `[p, k]`, `p` 0 or 1: coefficients of the columns that add up to a constant.
        support: absolute value above which a column takes part in a relation.
    """

    rows: csr_array
    intercept: csr_array
    support: float

    def with_intercept(self) -> Relations:
        """Relations among the columns about their means, to which a constant is nothing.

        The column that weighs most in the intercept's relation is taken out of the others, so that
        two sets that are tied by the constant only are not one set.
        """
        if self.intercept.nnz == 0:
            return self
        pivot = self.intercept.indices[np.abs(self.intercept.data).argmax()]
        weights = self.rows[:, [pivot]] / self.intercept[0, pivot]
        rows = vstack([self.rows - weights @ self.intercept, self.intercept], format="csr")
        return Relations(_above(rows, self.support), self.intercept[:0], self.support)

    def groups(self) -> list[tuple[list[int], bool]]:
        """Columns that relations tie together, ascending, and whether all are parallel."""
        n_columns, tied = self.rows.shape[1], self.rows.indices
        firsts = tied[self.rows.indptr[:-1]]
        links = (np.ones(len(tied)), (firsts.repeat(np.diff(self.rows.indptr)), tied))
        graph = coo_array(links, shape=(n_columns, n_columns))
        _, labels = connected_components(graph, directed=False)
        n_relations = np.bincount(labels[firsts], minlength=n_columns)
        members: dict[int, list[int]] = {}
        for column in np.unique(tied).tolist():
            members.setdefault(int(labels[column]), []).append(column)
        return [
            (columns, bool(n_relations[label] == len(columns) - 1))
            for label, columns in members.items()
        ]

    def partners(self) -> Tensor:
        """`[k]` int64, the first column that each is a multiple of; -1 where it is of none."""
        found = np.full(self.rows.shape[1], -1, dtype=np.int64)
        for row in np.flatnonzero(np.diff(self.rows.indptr) == 2):
            first, second = sorted(self.rows.indices[self.rows.indptr[row] :][:2])
            found[second] = first
        return torch.from_numpy(found)


def relations_of(lower: Tensor, kept: Tensor, support: float) -> Relations:
    """The relations in the rows of dropped columns, the intercept's in the last row."""
    n_columns = len(kept) - 1
    dropped = (~kept[:-1]).nonzero().flatten().tolist()
    rows = [_sparse_row(lower[j, : j + 1], n_columns, support) for j in dropped]
    last = [] if kept[-1] else [_sparse_row(lower[-1, :-1], n_columns, support)]
    return Relations(_stacked(rows, n_columns), _stacked(last, n_columns), support)


def _sparse_row(values: Tensor, n_columns: int, support: float) -> csr_array:
    above = (values.abs() > support).nonzero().flatten()
    weights: NDArray[np.float64] = values[above].cpu().numpy()
    return csr_array((weights, above.cpu().numpy(), [0, len(above)]), shape=(1, n_columns))


def _stacked(rows: list[csr_array], n_columns: int) -> csr_array:
    return vstack(rows, format="csr") if rows else csr_array((0, n_columns))


def _above(rows: csr_array, support: float) -> csr_array:
    rows.data[np.abs(rows.data) <= support] = 0.0
    rows.eliminate_zeros()
    return rows
