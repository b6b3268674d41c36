"""How often the best partner of a row is one of several."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.metrics._dictionaries.best_partners import best_partners
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics._ties import SAME, Ties


def best_partner_ties(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    block: int = 4096,
) -> Ties:
    """How many rows tie for the best partner that `max_cosine` reports the first of.

    `#{j: |C_ij - max_j' C_ij'| < 1e-6} - 1`, both ways, at least 0. Where it is not 0, indices (and
    with them `multiplicity` and `mutual_nearest`) depend on the order of rows: duplicates tie, and
    latents of a toy model tie at initialisation. Compares the dictionaries twice. Swapping the
    arguments swaps the sides.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are left out on both sides.
        alive_b: bool mask `[m]`; other rows are left out on both sides.
        block: rows of `a` compared at once; `block x m` cosines are held.

    Returns:
        Counts of other partners; 0 for rows without any partner.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: toysae, a convention of this package.
    """
    ours, theirs = unit_rows_of_pair(a, b, alive_a, alive_b)
    forth, back = best_partners(ours, theirs, block=block, similarity=torch.positive)
    best_of_row, best_of_col = forth.similarity[ours.index], back.similarity[theirs.index]
    in_row, in_col = torch.zeros_like(ours.index), torch.zeros_like(theirs.index)
    for rows in row_blocks(len(ours.unit), block):
        table = (ours.unit[rows] @ theirs.unit.T).clamp_(-1, 1)
        in_row[rows] = (table > best_of_row[rows, None] - SAME).sum(dim=1)
        in_col += (table > best_of_col - SAME).sum(dim=0)
    others = ((count - 1).clamp_(min=0) for count in (in_row, in_col))
    return Ties(*(kept.spread(n, 0) for kept, n in zip((ours, theirs), others)))
