"""How often the latent that fires most alike is one of several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._firing.best_cofiring import BestCofiring, BothWays, best_cofiring
from toysae.metrics._firing.blocks import Block
from toysae.metrics._firing.cofiring_kernel import JACCARD, PHI
from toysae.metrics._firing.count_blocks import over_count_blocks
from toysae.metrics._progress import Report
from toysae.metrics._ties import SAME, Ties
from toysae.metrics.codes import SparseCodes


@dataclass(frozen=True)
class BestCofiringTies:
    """Best partners, and how many others are as good."""

    best: BestCofiring
    """What `best_cofiring` gives: of those that tie, the first."""
    jaccard: Ties
    """By overlap of the firing sets."""
    phi: Ties
    """By correlation of the firing indicators."""

    @property
    def f1(self) -> Ties:
        """By F1; the same as by overlap, of which it is a function."""
        return self.jaccard


def best_cofiring_ties(
    a: SparseCodes, b: SparseCodes, minimum: int = 10, *, report: Report | None = None
) -> BestCofiringTies:
    """How many latents tie for the best partner that `best_cofiring` reports the first of.

    `#{j: |J_ij - max_j' J_ij'| < 1e-6} - 1` and likewise for phi, both ways. Latents that fire a
    few times tie by chance, and copies of a latent tie always; which partner is named then depends
    on the order of latents. Compares all pairs twice. Swapping the arguments swaps the sides.

    Args:
        a: codes of `n` latents.
        b: codes of `m` latents on the same samples.
        minimum: firings that both sides need.
        report: called with the blocks that are done and all blocks, of each comparison in turn.

    Returns:
        The best partners, and counts of others that are as good; 0 for latents without any partner.

    Raises:
        ShapeError: different samples, or a negative minimum.

    Source: toysae.
    """
    best = best_cofiring(a, b, minimum, report=report)
    counters = [
        _Counter(Block(kind, a, b, best.minimum), both)
        for kind, both in ((JACCARD, best.jaccard), (PHI, best.phi))
    ]

    def count(rows: slice, counts: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [counter.count(rows, counts) for counter in counters]

    parts = list(over_count_blocks(a, b, count, report))
    jaccard, phi = (
        counter.merged([part[i] for part in parts]) for i, counter in enumerate(counters)
    )
    return BestCofiringTies(best, jaccard, phi)


class _Counter:
    """Counts entries that reach the best of their row, and of their column."""

    def __init__(self, block: Block, best: BothWays) -> None:
        self._block = block
        self._of_row, self._of_column = best.a_to_b.similarity, best.b_to_a.similarity

    def count(self, rows: slice, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Partners of each row of a block, and of each column within it, that are the best."""
        table = self._block.table(rows, counts)
        in_row = (table > self._of_row[rows, None] - SAME).sum(dim=1)
        return in_row, (table > self._of_column - SAME).sum(dim=0)

    def merged(self, parts: list[tuple[Tensor, Tensor]]) -> Ties:
        """Others than the best partner, from all blocks."""
        none = torch.zeros_like(self._of_row[:0], dtype=torch.int64)
        in_row = torch.cat([none, *(row for row, _ in parts)])
        in_column = torch.zeros_like(self._of_column, dtype=torch.int64)
        for _, column in parts:
            in_column += column
        return Ties((in_row - 1).clamp(min=0), (in_column - 1).clamp(min=0))
