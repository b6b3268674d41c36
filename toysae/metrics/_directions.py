"""Unit vectors of a dictionary, and the cosines between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.metrics._inputs import require_bool, require_same_width, vectors


@dataclass(frozen=True)
class Directions:
    """Unit rows of a dictionary, without its zero rows and those that a mask leaves out."""

    unit: Tensor
    """Unit vectors `[kept, d]`, float64."""
    index: Tensor
    """Row of the dictionary that each came from, `[kept]`."""
    n_rows: int
    """Rows of the dictionary."""
    n_zero: int
    """Zero rows among those that the mask keeps."""

    def spread(self, values: Tensor, fill: float) -> Tensor:
        """One entry a row of the dictionary: `values [kept, ...]`, and `fill` for the others."""
        out = values.new_full((self.n_rows, *values.shape[1:]), fill)
        out[self.index] = values
        return out


def unit_rows(dictionary: Tensor, name: str, alive: Tensor | None = None) -> Directions:
    """Normalises the rows of `dictionary [n, d]` that have a direction and are `alive [n]`."""
    rows = vectors(dictionary, name)
    # Dividing by the largest entry first keeps the squares of tiny and huge rows in range.
    peak = torch.linalg.vector_norm(rows, torch.inf, dim=1, keepdim=True)
    is_zero = peak[:, 0] == 0
    if alive is None:
        alive = torch.ones_like(is_zero)
    require_bool(alive, f"alive mask of {name}", tuple(is_zero.shape))
    alive = alive.to(is_zero.device)
    index = torch.nonzero(alive & ~is_zero)[:, 0]
    unit = rows[index].div_(peak[index])
    unit.div_(torch.linalg.vector_norm(unit, dim=1, keepdim=True))
    return Directions(unit, index, rows.shape[0], int((alive & is_zero).sum()))


def unit_rows_of_pair(
    a: Tensor,
    b: Tensor,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    names: tuple[str, str] = ("a", "b"),
) -> tuple[Directions, Directions]:
    """`unit_rows` of two dictionaries `[n, d]` and `[m, d]` in the same space."""
    kept = unit_rows(a, names[0], alive_a), unit_rows(b, names[1], alive_b)
    require_same_width(a, b, names)
    return kept


def cosines(a: Directions, b: Directions) -> Tensor:
    """Cosine of all pairs of rows `[n, m]`; NaN in the rows and columns that are not kept."""
    table = (a.unit @ b.unit.T).clamp_(-1, 1)
    return a.spread(b.spread(table.T, torch.nan).T, torch.nan)


class Partners(NamedTuple):
    """The best partner of each item, and how similar it is."""

    similarity: Tensor
    """Similarity to the best partner, `[n]`; NaN where there is none."""
    partner: Tensor
    """The best partner, `[n]`, the lowest index among ties; -1 where there is none."""
