"""The heaviest matching of two large sets of vectors, exact, without their table of similarities.

Few pairs can be in it: those that are among the best of their row or column in some tile of the
table. The matching that is optimal among these comes with prices of rows and columns. Where every
pair of the table gains at most the prices of its row and column, it is optimal among all (linear
programming duality); pairs that gain more join, and it is solved again (column generation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toysae.metrics._dictionaries.augment_kernel import NOBODY, settle_rows
from toysae.metrics._dictionaries.screening import Similarity, rounding, tiles
from toysae.metrics._progress import Report
from toysae.metrics._row_blocks import row_blocks

_EDGE = 1024
"""Rows and columns of a tile."""
_PER_TILE = 2
"""Pairs of each row, and of each column, that a tile proposes at first."""
_FEASIBLE = 1e-12
"""How much more than its prices a pair may gain; above rounding in float64."""
_JITTER = 2.0**-18
"""Largest number that tells apart equal pairs of a tile: without, copies of a row would all
propose the same partners."""
_STEPS = (0.7548776662466927, 0.5698402909980532)
_PAIRS_A_CALL = 2**26
"""Pairs that compiled code looks at before it can be interrupted."""
_PAIRS_AT_ONCE = 4096
_COST_OF_A_PAIR = 64
"""A product of two rows alone takes as long as so many in a product of matrices."""
_ROUNDING_OF_PRICES = 2.0**-20
"""More than the rounding of a sum of prices to float32."""


class Optimum(NamedTuple):
    """A matching with the largest total gain."""

    rows: Tensor
    """Row of each pair, `[k]`, ascending."""
    columns: Tensor
    """Column of each pair, `[k]`."""
    gain: Tensor
    """Gain of each pair, `[k]`, positive, float64."""
    price: float
    """What no matching gains more than."""


class _Pairs(NamedTuple):
    """Pairs that a matching may use, by row and column."""

    row: Tensor
    column: Tensor
    gain: Tensor


class _Prices(NamedTuple):
    of_rows: Tensor
    of_columns: Tensor


class _Limits(NamedTuple):
    """Most that a pair can gain that its row, and its column, did not propose in a tile."""

    of_rows: Tensor
    """`[n, tiles across]`."""
    of_columns: Tensor
    """`[m, tiles down]`."""


class _Progress:
    """Tiles that are done, of the proposals and of as many in each look for dearer pairs."""

    def __init__(self, n: int, m: int, report: Report | None) -> None:
        self.n_tiles = -(-n // _EDGE) * -(-m // _EDGE)
        self.done, self.total = 0, 2 * self.n_tiles
        self.report = report

    def tell(self) -> None:
        if self.report is not None:
            self.report(self.done, self.total)

    def advance(self, *_: int) -> None:
        self.done += 1
        self.tell()


def heaviest_matching(
    a: Tensor, b: Tensor, similarity: Similarity, report: Report | None = None
) -> Optimum:
    """The one-to-one matching of rows with the largest total of `max(similarity(<a_i, b_j>), 0)`.

    Args:
        a: rows `[n, d]` no longer than 1, float64, `n` at least 1.
        b: rows `[m, d]` no longer than 1, float64, `m` at least 1.
        similarity: applied to the products, elementwise.
        report: told how many tiles of the table are done, of all that are known to come; those of
            one more look join where it turns out to be needed.
    """
    progress = _Progress(len(a), len(b), report)
    pairs, limits = _propose(a, b, similarity, progress)
    while True:
        column_of, prices = _solve(pairs, len(a), len(b), progress)
        missing, excess = _dearer_than_priced(a, b, similarity, prices, limits, progress)
        if not len(missing):
            return _optimum(pairs, column_of, prices, excess)
        progress.total += progress.n_tiles
        added = _measured(a, b, similarity, missing)
        pairs = _sorted(_Pairs(*(torch.cat(both) for both in zip(pairs, added))), len(b))


def _propose(
    a: Tensor, b: Tensor, similarity: Similarity, progress: _Progress
) -> tuple[_Pairs, _Limits]:
    """The best pairs of each row and column in each tile, and what the others cannot exceed."""
    n, m = len(a), len(b)
    across, down = -(-m // _EDGE), -(-n // _EDGE)
    limits = _Limits(
        torch.full((n, across), -torch.inf, device=a.device),
        torch.full((m, down), -torch.inf, device=a.device),
    )
    error = rounding(a.shape[1]) + _JITTER
    jitter = _jitter((_EDGE, _EDGE), a.new_empty(0, dtype=torch.float32))
    keys = []
    for rows, columns, product in tiles(a, b, _EDGE, _EDGE, progress.advance):
        values = similarity(product)
        values += jitter[: len(values), : values.shape[1]]
        for table, along_rows in ((values, True), (values.T.contiguous(), False)):
            k = min(_PER_TILE, table.shape[1])
            best, index = table.topk(k, dim=1)
            own = torch.arange(len(table), device=a.device)[:, None].expand_as(index)
            row, column = (own, index) if along_rows else (index, own)
            keys.append(((rows.start + row) * m + columns.start + column).flatten())
            if along_rows:
                limits.of_rows[rows, columns.start // _EDGE] = best[:, -1] + error
            else:
                limits.of_columns[columns, rows.start // _EDGE] = best[:, -1] + error
    return _measured(a, b, similarity, torch.cat(keys)), limits


def _measured(a: Tensor, b: Tensor, similarity: Similarity, keys: Tensor) -> _Pairs:
    """Exact gains of the pairs `row * m + column`, without those that gain nothing."""
    keys = keys.unique()
    row, column = keys // len(b), keys % len(b)
    gain = similarity(_products(a, b, row, column))
    gains = gain > 0
    return _Pairs(row[gains], column[gains], gain[gains])


def _sorted(pairs: _Pairs, m: int) -> _Pairs:
    order = (pairs.row * m + pairs.column).argsort()
    return _Pairs(*(values[order] for values in pairs))


def _solve(pairs: _Pairs, n: int, m: int, progress: _Progress) -> tuple[Tensor, _Prices]:
    """Column matched to each row or -1, and prices that prove it best among the pairs."""
    device = pairs.row.device
    row_price = torch.zeros(n, dtype=torch.float64, device=device)
    row_price.scatter_reduce_(0, pairs.row, pairs.gain, "amax")
    starts = torch.zeros(n + 1, dtype=torch.long)
    starts[1:] = torch.bincount(pairs.row, minlength=n).cumsum(0)
    graph = tuple(_array(values) for values in (starts, pairs.column, pairs.gain))
    prices = _array(row_price), np.zeros(m)
    column_of, row_of = np.full(n, NOBODY), np.full(m, NOBODY)
    settled = 0
    while settled < n:
        settled = settle_rows(graph, prices, column_of, row_of, settled, _PAIRS_A_CALL)
        progress.tell()
    matched, of_rows, of_columns = (
        torch.from_numpy(values).to(device) for values in (column_of, *prices)
    )
    return matched, _Prices(of_rows, of_columns)


def _dearer_than_priced(
    a: Tensor,
    b: Tensor,
    similarity: Similarity,
    prices: _Prices,
    limits: _Limits,
    progress: _Progress,
) -> tuple[Tensor, float]:
    """Keys of pairs that gain more than their prices, at most two a row or column and tile.

    Where there is none, also the most that any pair gains more: rounding.
    """
    keys: list[Tensor] = []
    excess = 0.0
    low_a, low_b = a.float(), b.float()
    low = _Prices(*(of_side.float() for of_side in prices))
    error = rounding(a.shape[1]) + _ROUNDING_OF_PRICES
    for rows in row_blocks(len(a), _EDGE):
        for columns in row_blocks(len(b), _EDGE):
            progress.advance()
            row, column = _suspects(prices, limits, rows, columns)
            if not len(row) or not len(column):
                continue
            over = similarity(low_a[row] @ low_b[column].T)
            over -= low.of_rows[row, None]
            over -= low.of_columns[column]
            found = _worst(over, error)
            # While float32 is sure of some, only those matter: the others are looked at again.
            near = over > -error
            if not keys and not found.any() and near.any():
                row, column, near = _compact(row, column, near)
                over = _gains_where(near, a[row], b[column], similarity)
                over -= prices.of_rows[row, None]
                over -= prices.of_columns[column]
                found = _worst(over, _FEASIBLE)
                excess = max(excess, over.max().item())
            if found.any():
                keys.append((row[:, None] * len(b) + column)[found])
    return torch.cat(keys) if keys else limits.of_rows.new_empty(0, dtype=torch.long), excess


def _compact(row: Tensor, column: Tensor, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows, columns and part of a table `[n, m]` in which anything is `asked` for."""
    in_row, in_column = asked.any(dim=1), asked.any(dim=0)
    return row[in_row], column[in_column], asked[in_row][:, in_column]


def _gains_where(asked: Tensor, a: Tensor, b: Tensor, similarity: Similarity) -> Tensor:
    """Exact gains of the pairs that are `asked` for, `[n, m]`; others may be -inf."""
    row, column = torch.nonzero(asked, as_tuple=True)
    if len(row) * _COST_OF_A_PAIR > asked.numel():
        return similarity((a @ b.T).clamp_(-1, 1))
    gain = torch.full_like(asked, -torch.inf, dtype=a.dtype)
    gain[row, column] = similarity(_products(a, b, row, column))
    return gain


def _products(a: Tensor, b: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """`<a_row, b_column>` of each pair, in float64."""
    product = a.new_empty(len(row))
    for some in row_blocks(len(row), _PAIRS_AT_ONCE):
        ours, theirs = a.index_select(0, row[some]), b.index_select(0, column[some])
        product[some] = torch.linalg.vecdot(ours, theirs)
    return product.clamp_(-1, 1)


def _suspects(
    prices: _Prices, limits: _Limits, rows: slice, columns: slice
) -> tuple[Tensor, Tensor]:
    """Rows and columns of a tile that may have a pair that was not proposed and is too dear."""
    of_rows, of_columns = prices.of_rows[rows], prices.of_columns[columns]
    row = of_rows + of_columns.min() < limits.of_rows[rows, columns.start // _EDGE]
    column = of_columns + of_rows.min() < limits.of_columns[columns, rows.start // _EDGE]
    return (
        rows.start + torch.nonzero(row)[:, 0],
        columns.start + torch.nonzero(column)[:, 0],
    )


def _worst(over: Tensor, tolerance: float) -> Tensor:
    """Which entry of each row and each column of `[n, m]` is the largest, if above `tolerance`."""
    found = torch.zeros_like(over, dtype=torch.bool)
    above = over > tolerance
    if not above.any():
        return found
    shuffled = (over + _jitter(over.shape, over)).masked_fill_(~above, -torch.inf)
    found.scatter_(1, shuffled.argmax(dim=1, keepdim=True), True)
    found.scatter_(0, shuffled.argmax(dim=0, keepdim=True), True)
    return found & above


def _jitter(shape: Sequence[int], like: Tensor) -> Tensor:
    """Numbers in `[0, _JITTER)` of which each row and each column has its own order.

    The fractions of multiples of two irrational numbers: evenly spread, and always the same.
    """
    down, across = (
        (torch.arange(n, dtype=torch.float64, device=like.device) * step).frac().to(like.dtype)
        for n, step in zip(shape, _STEPS)
    )
    return (down[:, None] + across).frac_() * _JITTER


def _optimum(pairs: _Pairs, column_of: Tensor, prices: _Prices, excess: float) -> Optimum:
    """What was found, in order of rows, and the sum of prices, raised until all are feasible."""
    used = column_of[pairs.row] == pairs.column
    rows, columns, gain = (values[used] for values in pairs)
    over = pairs.gain - prices.of_rows[pairs.row] - prices.of_columns[pairs.column]
    short = max(excess, over.max().item()) if len(over) else excess
    price = sum(side.sum().item() for side in prices)
    price += max(short, 0.0) * min(len(side) for side in prices)
    return Optimum(rows, columns, gain, price)


def _array(values: Tensor) -> NDArray:
    return values.cpu().numpy()
