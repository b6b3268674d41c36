"""Products of unit rows in float32, tile by tile, and how far they can be from exact.

Float32 is twice as fast as float64 and more on a GPU, and it is enough to say where a value in
float64 is worth its cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks

Similarity = Callable[[Tensor], Tensor]
"""Applied to cosines, elementwise; brings none further apart than they are."""

_INPUT_ROUNDING = {"highest": 0.0, "high": 2.0**-9, "medium": 2.0**-7}
"""What TF32 and bfloat16 inputs add, by `torch.get_float32_matmul_precision()`."""


class Tile(NamedTuple):
    """Part of a table of products."""

    rows: slice
    columns: slice
    product: Tensor
    """`[rows, columns]`, float32; overwritten by the next tile."""


def rounding(width: int) -> float:
    """Most by which a float32 product of unit rows `[width]` differs from the exact one.

    `sum |x_k y_k| <= 1` for unit vectors, so the usual bound of an inner product, in any order of
    summation, is `width` unit roundings; rounding the vectors themselves adds two. All doubled,
    because matrix units of GPUs truncate.
    """
    return (width + 4) * 2.0**-23 + _INPUT_ROUNDING[torch.get_float32_matmul_precision()]


def tiles(
    a: Tensor, b: Tensor, height: int, width: int, report: Report | None = None
) -> Iterator[Tile]:
    """Products of all rows of `a [n, d]` and `b [m, d]` in float32; `report` counts tiles."""
    a, b = a.float(), b.float()
    buffer = a.new_empty(height * width)
    both = [(r, c) for r in row_blocks(len(a), height) for c in row_blocks(len(b), width)]
    for rows, columns in reported(both, len(both), report):
        ours, theirs = a[rows], b[columns]
        product = buffer[: len(ours) * len(theirs)].view(len(ours), len(theirs))
        yield Tile(rows, columns, torch.mm(ours, theirs.T, out=product))
