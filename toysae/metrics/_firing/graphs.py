"""Graphs whose vertices are latents: that fire together, or that point the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._directions import unit_rows
from toysae.metrics._firing.association import cofiring
from toysae.metrics._firing.cofiring_kernel import surprising_pairs
from toysae.metrics._firing.count_blocks import over_count_blocks
from toysae.metrics._firing.firing import least_firings
from toysae.metrics._progress import Report
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics.codes import SparseCodes

_DICTIONARY_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Graph:
    """An undirected graph without loops; a vertex is a latent."""

    rows: Tensor
    """The lower latent of each edge, `[e]`, int64; edges are ordered by it."""
    columns: Tensor
    """The higher latent of each edge, `[e]`, int64."""
    weights: Tensor
    """Weight of each edge, `[e]`, float64, positive."""
    n_latents: int
    """Vertices."""
    n_pairs: int
    """Pairs that could have been an edge."""

    @property
    def share(self) -> float:
        """Share of the pairs that are edges, in [0, 1]; NaN for no pairs."""
        return len(self.rows) / self.n_pairs if self.n_pairs else torch.nan

    @property
    def degrees(self) -> Tensor:
        """Edges at each latent, `[m]`, int64."""
        return torch.bincount(torch.cat([self.rows, self.columns]), minlength=self.n_latents)

    def adjacency(self) -> sparse.csr_array:
        """Symmetric scipy matrix `[m, m]` of the weights."""
        rows, columns, weights = (x.cpu().numpy() for x in (self.rows, self.columns, self.weights))
        shape = (self.n_latents, self.n_latents)
        half = sparse.coo_array((weights, (rows, columns)), shape)
        return sparse.csr_array(half + half.T)


def cofiring_graph(
    codes: SparseCodes,
    level: float = 0.05,
    above: float = 0.0,
    minimum: int = 10,
    *,
    report: Report | None = None,
) -> Graph:
    """Latents that fire together more often than chance, with phi as the weight of an edge.

    An edge is a pair whose one-sided Fisher p-value is among those that the procedure of Benjamini
    and Hochberg rejects at `level`, out of all pairs that fire often enough; and whose phi is above
    `above`. Raw counts would join whatever fires often, and the normal approximation of phi
    whatever fires rarely. On a million tokens almost any phi is significant: ask for more, such as
    .1. Holds 24 bytes for each pair with a p-value up to `level`.

    Args:
        codes: of `m` latents.
        level: false discovery rate, in (0, 1).
        above: phi of an edge, strict, at least 0.
        minimum: firings that both sides need.
        report: called with the blocks that are done and all blocks.

    Returns:
        The graph.

    Raises:
        DataError: a level outside (0, 1), or a negative `above`.
        ShapeError: a negative minimum.

    Source: phi and communities as in Li et al. 2024, arXiv 2410.19750; Benjamini and Hochberg 1995.
    """
    enough = least_firings(minimum)
    if not 0 < level < 1:
        raise DataError(f"level={level}: expected a false discovery rate in (0, 1)")
    if not above >= 0:
        raise DataError(f"above={above}: expected a phi of at least 0")
    firings = codes.firings
    firings_array = firings.cpu().numpy()

    def surprising(rows: slice, counts: Tensor) -> tuple[NDArray[np.generic], ...]:
        joint = counts.cpu().numpy()
        room = int(np.count_nonzero(joint))
        row, column, tail = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        sizes = (codes.n_samples, enough, level)
        n = surprising_pairs(rows.start, joint, firings_array, *sizes, row, column, tail)
        # Copies, so that the room for all is given back.
        row, column, tail = row[:n].copy(), column[:n].copy(), tail[:n].copy()
        return row, column, tail, joint[row - rows.start, column]

    parts = list(over_count_blocks(codes, codes, surprising, report))
    n_compared = int((firings >= enough).sum())
    n_pairs = n_compared * (n_compared - 1) // 2
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int32))
    rows, columns, tails, n11 = (
        torch.from_numpy(np.concatenate(column)).to(firings.device) for column in zip(none, *parts)
    )
    phi = cofiring(n11, firings[rows], firings[columns], codes.n_samples).phi
    edge = (tails <= _largest_rejected(tails, n_pairs, level)) & (phi > above)
    return Graph(rows[edge], columns[edge], phi[edge], codes.n_latents, n_pairs)


def _largest_rejected(p_values: Tensor, n_tests: int, level: float) -> float:
    """Largest p-value that Benjamini and Hochberg reject; -1 for none.

    Args:
        p_values: those up to `level`; no others can be rejected.
        n_tests: all of them.
        level: false discovery rate.
    """
    ordered = p_values.sort().values
    rank = torch.arange(1, len(ordered) + 1, dtype=ordered.dtype, device=ordered.device)
    rejected = ordered[ordered <= rank * level / max(n_tests, 1)]
    return rejected[-1].item() if len(rejected) else -1.0


def cosine_graph(dictionary: Tensor, above: float, alive: Tensor | None = None) -> Graph:
    """Latents that point the same way, with their cosine as the weight of an edge.

    Args:
        dictionary: `[m, d]`, rows are vectors; zero rows have no edge.
        above: cosine of an edge, strict, at least 0.
        alive: latents to look at, bool `[m]`; all by default.

    Returns:
        The graph.

    Raises:
        ShapeError: not two axes, or a mask of another length.
        DataError: NaN or infinity, a mask that is not bool, or a negative `above`.

    Source: textbook.
    """
    if not above >= 0:
        raise DataError(f"above={above}: expected a cosine of at least 0")
    kept = unit_rows(dictionary, "dictionary", alive)
    edges, weights = [kept.index.new_zeros(0, 2)], [kept.unit.new_zeros(0)]
    for rows in row_blocks(len(kept.unit), _DICTIONARY_ROWS_AT_ONCE):
        table = (kept.unit[rows] @ kept.unit[rows.start :].T).clamp_(-1, 1).triu(1)
        near = (table > above).nonzero()
        edges.append(kept.index[near + rows.start])
        weights.append(table[near[:, 0], near[:, 1]])
    rows_, columns = torch.cat(edges).T
    n = len(kept.unit)
    return Graph(rows_, columns, torch.cat(weights), kept.n_rows, n * (n - 1) // 2)
