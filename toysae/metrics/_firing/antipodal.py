"""Pairs of latents that point in opposite directions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._directions import unit_rows
from toysae.metrics._inputs import require_bool
from toysae.metrics._row_blocks import row_blocks

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class AntipodalPairs:
    """Pairs of latents whose directions are nearly opposite."""

    pairs: Tensor
    """The two rows of each pair, the lower first, `[p, 2]`, int64."""
    cosine: Tensor
    """Cosine of each pair, `[p]`, ascending."""
    n_latents: int
    """Latents that were compared."""
    n_zero: int
    """Zero rows among those asked for, which have no direction and are not compared."""

    @property
    def share_of_latents(self) -> float:
        """Share of the compared latents that are in a pair; NaN for none."""
        in_pairs = len(self.pairs.unique())
        return in_pairs / self.n_latents if self.n_latents else math.nan


def antipodal_pairs(
    decoder: Tensor, among: Tensor | None = None, below: float = -0.9
) -> AntipodalPairs:
    """Pairs of latents with a cosine near -1: two halves of one signed direction.

    Args:
        decoder: `[m, d]`, rows are vectors; zero rows are left out and counted.
        among: latents to look at, bool `[m]`, such as `dense_latents(...).mask`; all by default.
        below: cosine below which a pair is antipodal, strictly; in [-1, 0].

    Returns:
        The pairs, the most opposite first.

    Raises:
        ShapeError: not two axes, or a mask of another length.
        DataError: NaN or infinity, a mask that is not bool, or `below` outside [-1, 0].

    Source: Sun et al. 2025, arXiv 2506.15679.
    """
    if not -1 <= below <= 0:
        raise DataError(f"below={below}: expected a cosine in [-1, 0]")
    if among is not None:
        require_bool(among, "among", (len(decoder),))
    kept = unit_rows(decoder, "decoder", among)
    pairs, cosines = [kept.index.new_zeros(0, 2)], [kept.unit.new_zeros(0)]
    for rows in row_blocks(len(kept.unit), _ROWS_AT_ONCE):
        table = (kept.unit[rows] @ kept.unit[rows.start :].T).clamp_(-1, 1).triu(1)
        opposite = (table < below).nonzero()
        pairs.append(kept.index[opposite + rows.start])
        cosines.append(table[opposite[:, 0], opposite[:, 1]])
    cosine, order = torch.cat(cosines).sort(stable=True)
    return AntipodalPairs(torch.cat(pairs)[order], cosine, len(kept.unit), kept.n_zero)
