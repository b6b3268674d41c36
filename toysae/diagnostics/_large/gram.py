"""Gram matrix of sparse latents and an intercept, columns at unit length, in float64.

One buffer holds the matrix twice, so that a factorisation and the eigenvalues can both be found in
place: of a matrix cut in blocks, `lower` keeps the blocks on and below the diagonal and `upper`
those on and above, shifted by one block to the right.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toysae.diagnostics._large.gram_kernel import add_products, list_firings
from toysae.diagnostics._large.work import Work
from toysae.metrics.codes import SparseCodes

# What a compiled call walks through before Python can be interrupted: a tenth of a second.
_FIRINGS_AT_ONCE = 2**20
_SAMPLES_AT_ONCE = 4096


class ScaledGram(NamedTuple):
    """Second moments of `k` latents and of an intercept, which comes last.

    Attributes:
        buffer: `[k + 1, k + 1 + block]`, see the module.
        lengths: `[k]` Euclidean lengths of the latents' columns.
        cosines: `[k]` cosine of each latent's column with the intercept.
        block: rows of a block.
    """

    buffer: Tensor
    lengths: Tensor
    cosines: Tensor
    block: int

    @property
    def lower(self) -> Tensor:
        """The matrix, of which blocks above the diagonal must not be touched."""
        return self.buffer[:, : len(self.buffer)]

    @property
    def upper(self) -> Tensor:
        """The matrix, of which blocks below the diagonal must not be touched."""
        return self.buffer[:, self.block :]


def block_bounds(size: int, block: int) -> list[tuple[int, int]]:
    """First and last index of each block, the last exclusive."""
    return [(first, min(first + block, size)) for first in range(0, size, block)]


def scaled_gram(codes: SparseCodes, block: int, work: Work) -> ScaledGram:
    """Cosines of all pairs of columns of `codes`, none of which may be zero, and of the ones."""
    size = codes.n_latents + 1
    buffer = torch.zeros(size, size + block, dtype=torch.float64, device=codes.values.device)
    lower, upper = buffer[:, :size], buffer[:, block:]
    fill = _walk_firings if buffer.device.type == "cpu" else _multiply_samples
    fill(codes, upper, work)
    upper[-1, -1] = codes.n_samples

    lengths = upper.diagonal().sqrt()
    for first, last in block_bounds(size, block):
        rows = upper[first:last, first:]
        rows /= lengths[first:last, None]
        rows /= lengths[first:]
        rows.diagonal().fill_(1.0)
        square = rows[:, : last - first]
        square.copy_(square.triu() + square.triu(1).T)
        lower[first:, first:last] = rows.T
    return ScaledGram(buffer, lengths[:-1], upper[:-1, -1].clone(), block)


def _walk_firings(codes: SparseCodes, upper: Tensor, work: Work) -> None:
    if len(codes.values) == 0:
        work.add("gram", 1.0)
        return
    offsets, latents = codes.offsets.numpy(), codes.latents.numpy()
    values = codes.values.to(torch.promote_types(codes.values.dtype, torch.float32)).numpy()
    starts = np.concatenate([[0], codes.firings.numpy()]).cumsum()
    positions, samples = np.empty(len(values), np.int64), np.empty(len(values), np.int32)
    cursors = starts[:-1].copy()
    for first, last in _shares(offsets):
        list_firings(first, last, offsets, latents, cursors, positions, samples)

    def add(share: tuple[int, int]) -> float:
        listed = (starts, positions, samples, offsets, latents, values)
        add_products(*share, *listed, upper.numpy())
        return float(starts[share[1]] - starts[share[0]])

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        try:
            for n_firings in pool.map(add, list(_shares(starts))):
                work.add("gram", n_firings / len(values))
        except BaseException:
            # Else an interruption waits for all that has been handed out.
            pool.shutdown(cancel_futures=True)
            raise


def _shares(starts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of rows with about as many firings as a compiled call may take."""
    first = 0
    while first < len(starts) - 1:
        beyond = int(np.searchsorted(starts, starts[first] + _FIRINGS_AT_ONCE, side="right"))
        last = min(max(beyond - 1, first + 1), len(starts) - 1)
        yield first, last
        first = last


def _multiply_samples(codes: SparseCodes, upper: Tensor, work: Work) -> None:
    for first, last in block_bounds(codes.n_samples, _SAMPLES_AT_ONCE):
        start, end = int(codes.offsets[first]), int(codes.offsets[last])
        counts = codes.offsets[first : last + 1].diff()
        rows = torch.arange(last - first, device=upper.device).repeat_interleave(counts)
        table = upper.new_zeros(last - first, len(upper))
        table[rows, codes.latents[start:end].long()] = codes.values[start:end].double()
        table[:, -1] = 1.0
        upper.addmm_(table.T, table)
        work.add("gram", (last - first) / codes.n_samples)
