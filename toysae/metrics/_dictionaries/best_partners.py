"""The best partner of each row of two dictionaries, in float64 at the price of float32.

Of large dictionaries a float32 product shows, for every row, which groups of columns can hold its
largest value, given how far float32 can be off; only those are computed in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from toysae.metrics._dictionaries.screening import Similarity, rounding, tiles
from toysae.metrics._directions import Directions, Partners
from toysae.metrics._progress import Report
from toysae.metrics._row_blocks import row_blocks

_GROUP = 256
"""Rows or columns that only float64 tells apart."""
_TILE = (2 * _GROUP, 8 * _GROUP)
_FEW_PAIRS = 2**22
"""Pairs up to which all is computed in float64."""


class Peaks(NamedTuple):
    """Largest values of a table by groups of columns, and by groups of rows."""

    of_rows: Tensor
    """`[groups of columns, n]`."""
    of_columns: Tensor
    """`[groups of rows, m]`."""
    error: float
    """Most by which each is off."""


def best_partners(
    a: Directions,
    b: Directions,
    *,
    block: int = 4096,
    similarity: Similarity,
    report: Report | None = None,
) -> tuple[Partners, Partners]:
    """Best partner in `b` of each row of `a`, and the reverse; never holds the table of cosines.

    Values are exact to rounding in float64, and so are partners: the lowest index among cosines
    that rounding in float64 cannot tell apart.

    Args:
        a: `n` rows, of which some are kept.
        b: `m` rows, of which some are kept.
        block: rows that are compared in float64 at once.
        similarity: applied to the cosines, elementwise.
        report: told how many tiles of a large table are done.
    """
    if len(a.unit) * len(b.unit) > _FEW_PAIRS:
        peaks = screen(a.unit, b.unit, similarity, report)
    else:
        peaks = unknown_peaks(a.unit, b.unit)
    return (
        refine(a, b, similarity, peaks.of_rows, peaks.error, block),
        refine(b, a, similarity, peaks.of_columns, peaks.error, block),
    )


def unknown_peaks(a: Tensor, b: Tensor) -> Peaks:
    """Every group can hold the largest value."""
    groups_a, groups_b = (-(-len(rows) // _GROUP) for rows in (a, b))
    of_rows = torch.zeros(groups_b, len(a), dtype=torch.float32, device=a.device)
    return Peaks(of_rows, of_rows.new_zeros(groups_a, len(b)), 0.0)


def screen(a: Tensor, b: Tensor, similarity: Similarity, report: Report | None = None) -> Peaks:
    """What a float32 product says of unit rows `a [n, d]` and `b [m, d]`."""
    peaks = unknown_peaks(a, b)._replace(error=rounding(a.shape[1]))
    for rows, columns, product in tiles(a, b, *_TILE, report):
        values = similarity(product)
        for k, group in enumerate(values.split(_GROUP, dim=1), columns.start // _GROUP):
            torch.amax(group, dim=1, out=peaks.of_rows[k, rows])
        for k, group in enumerate(values.split(_GROUP, dim=0), rows.start // _GROUP):
            torch.amax(group, dim=0, out=peaks.of_columns[k, columns])
    return peaks


def refine(
    a: Directions, b: Directions, similarity: Similarity, peaks: Tensor, error: float, block: int
) -> Partners:
    """Computes, in float64, the groups of rows of `b` that can hold the best partner of a row.

    Args:
        a: `n` kept rows, those that look for a partner.
        b: `m` kept rows.
        similarity: applied to the cosines, elementwise.
        peaks: largest value of each row of `a` in each group, `[groups, n]`.
        error: most by which each peak is off.
        block: rows of `a` that are compared at once.
    """
    blocks = list(row_blocks(len(a.unit), block))
    value = a.unit.new_full((len(a.unit),), -torch.inf)
    # Only a partner that is surely better takes the place of an earlier one.
    value_at_index = value.clone()
    index = a.index.new_full((len(a.unit),), -1)
    tie = _rounding_in_float64(a.unit.shape[1])
    for span in blocks if len(b.unit) else []:
        possible = peaks[:, span] >= peaks[:, span].amax(dim=0) - 2 * error
        for columns, here in zip(row_blocks(len(b.unit), _GROUP), possible):
            rows = span.start + torch.nonzero(here)[:, 0]
            table = similarity((a.unit[rows] @ b.unit[columns].T).clamp_(-1, 1))
            best = table.amax(dim=1)
            first = (table >= best[:, None] - tie).to(torch.uint8).argmax(dim=1)
            better = best > value_at_index[rows] + tie
            index[rows] = torch.where(better, b.index[columns][first], index[rows])
            value_at_index[rows] = torch.where(better, best, value_at_index[rows])
            value[rows] = torch.maximum(best, value[rows])
    value[index < 0] = torch.nan
    return Partners(a.spread(value, torch.nan), a.spread(index, -1))


def _rounding_in_float64(width: int) -> float:
    """Most by which two float64 products of the same unit rows `[width]` differ."""
    return (width + 4) * 2.0**-52
