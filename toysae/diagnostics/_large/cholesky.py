"""Cholesky factor of a correlation-like matrix and its inverse, in place, exact relations included.

A column that the ones before it explain has nothing left on the diagonal. It is dropped: the factor
keeps its row and gets 1 on the diagonal and 0 below. The inverse of that factor then holds in each
row of a dropped column minus its coefficients on the kept ones, and in the other rows the inverse
of the factor of the kept columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.diagnostics._large.gram import block_bounds
from toysae.diagnostics._large.work import Work

_SMALL = 32


def factorize(lower: Tensor, block: int, noise: float, work: Work) -> Tensor:
    """Replace a positive semidefinite matrix with unit diagonal by its Cholesky factor.

    Args:
        lower: `[n, n]`, of which blocks above the diagonal are neither read nor written.
        block: rows of a block.
        noise: a column with no more than this left on the diagonal is dropped.
        work: told of each block column, as stage `factor`.

    Returns:
        `[n]` mask of the columns that were kept.
    """
    bounds = block_bounds(len(lower), block)
    total = _products(bounds)
    kept = torch.ones(len(lower), dtype=torch.bool, device=lower.device)
    for k, (first, last) in enumerate(bounds):
        square = lower[first:last, first:last]
        kept[first:last] = _factor_square(square, noise)
        for i, end in bounds[k + 1 :]:
            rows = lower[i:end, first:last]
            rows.copy_(_divide(rows, square, kept[first:last]))
            lower[i:end, last:end].addmm_(rows, lower[last:end, first:last].T, alpha=-1)
            work.add("factor", (end - i) * (end - last) / total)
    if not total:
        work.add("factor", 1.0)
    return kept


def invert(lower: Tensor, block: int, work: Work) -> None:
    """Replace what `factorize` made by its inverse."""
    bounds = block_bounds(len(lower), block)
    total = _products(bounds)
    for k, (first, last) in reversed(list(enumerate(bounds))):
        square = lower[first:last, first:last]
        inverse = torch.linalg.solve_triangular(
            square, torch.eye(last - first).to(square), upper=False
        )
        square.copy_(inverse)
        # Each block takes from itself and from those above it, so it is replaced from the bottom.
        for i, end in reversed(bounds[k + 1 :]):
            product = lower[i:end, last:end] @ lower[last:end, first:last]
            lower[i:end, first:last] = product @ inverse.neg()
            work.add("inverse", (end - i) * (end - last) / total)
    if not total:
        work.add("inverse", 1.0)


def _factor_square(square: Tensor, noise: float) -> Tensor:
    """Factor a block in place; the mask of kept columns."""
    factor, failed = torch.linalg.cholesky_ex(square)
    if not failed and bool((factor.diagonal().square() > noise).all()):
        square.copy_(factor)
        return torch.ones(len(square), dtype=torch.bool, device=square.device)
    if len(square) <= _SMALL:
        return _factor_columns(square, noise)
    half = len(square) // 2
    head, tail, below = square[:half, :half], square[half:, half:], square[half:, :half]
    first = _factor_square(head, noise)
    below.copy_(_divide(below, head, first))
    tail.addmm_(below, below.T, alpha=-1)
    square[:half, half:] = 0
    return torch.cat([first, _factor_square(tail, noise)])


def _factor_columns(square: Tensor, noise: float) -> Tensor:
    kept = torch.ones(len(square), dtype=torch.bool, device=square.device)
    for j in range(len(square)):
        left, column = float(square[j, j]), square[j + 1 :, j]
        square[j, j + 1 :] = 0
        if left <= noise:
            kept[j], square[j, j] = False, 1.0
            column.zero_()
        else:
            square[j, j] = left**0.5
            column /= square[j, j].clone()
            square[j + 1 :, j + 1 :] -= torch.outer(column, column)
    return kept


def _divide(rows: Tensor, factor: Tensor, kept: Tensor) -> Tensor:
    """`rows` times the inverse transposed of a factored block, dropped columns left at 0."""
    solved = torch.linalg.solve_triangular(factor.T, rows, upper=True, left=False)
    return torch.where(kept, solved, 0.0)


def _products(bounds: list[tuple[int, int]]) -> int:
    """Size of all products of one pass over the block columns."""
    return sum(
        (end - i) * (end - last) for k, (_, last) in enumerate(bounds) for i, end in bounds[k + 1 :]
    )
