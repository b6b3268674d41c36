"""Joint firing counts of two sparse tables, some rows at a time: on all cores, or on a GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._firing.cofiring_kernel import count_joint_firings
from toysae.metrics._firing.firing import FiringCounts
from toysae.metrics._progress import Report, reported
from toysae.metrics.codes import LatentFirings, SparseCodes

Result = TypeVar("Result")

# A block is done in about half a second, and its counts and what is made of them stay small.
_JOINT_FIRINGS_AT_ONCE = 2**27
_ROWS_AT_ONCE = 128
_GPU_ROWS_AT_ONCE = 1024
_GPU_SAMPLES_AT_ONCE = 8192


def sparse_firing_counts(
    a: SparseCodes, b: SparseCodes, *, report: Report | None = None
) -> FiringCounts:
    """Joint and single firing counts of two sparse tables of the same samples.

    One sparse Gram matrix, exact and held whole: `4 n m` bytes, 2.4 GB for 24,576 latents. All of
    `cofiring` follows from it; `best_cofiring` and `cofiring_pairs` need no such table. Equal to
    `firing_counts`, whatever the number of threads.

    Args:
        a: codes of `n` latents.
        b: codes of `m` latents on the same samples; `a` itself for a table with itself.
        report: called with the blocks that are done and all blocks.

    Returns:
        The counts; `n11` is int32 `[n, m]`.

    Raises:
        ShapeError: different samples.

    Source: one sparse Gram matrix.
    """
    _require_same_samples(a, b)
    n11 = torch.empty((a.n_latents, b.n_latents), dtype=torch.int32, device=a.latents.device)

    def keep(rows: slice, counts: Tensor) -> None:
        n11[rows] = counts

    for _ in over_count_blocks(a, b, keep, report):
        pass
    return FiringCounts(n11, a.firings[:, None], b.firings[None, :], a.n_samples)


def over_count_blocks(
    a: SparseCodes,
    b: SparseCodes,
    reduce: Callable[[slice, Tensor], Result],
    report: Report | None,
) -> Iterator[Result]:
    """What `reduce` makes of the joint counts of some latents of `a` with all of `b`, in order.

    Args:
        a, b: codes of the same samples.
        reduce: called with a slice of latents of `a` and their counts, int32 `[rows, m]`, which
            are gone when it returns; on the CPU from several threads.
        report: called after each block.
    """
    _require_same_samples(a, b)
    if a.latents.is_cuda:
        blocks = [
            slice(first, min(first + _GPU_ROWS_AT_ONCE, a.n_latents))
            for first in range(0, a.n_latents, _GPU_ROWS_AT_ONCE)
        ]
        products = (reduce(rows, count_by_products(a, b, rows)) for rows in blocks)
        yield from reported(products, len(blocks), report)
    else:
        blocks = _row_blocks(a, b)
        yield from reported(_in_threads(_counting(a, b, reduce), blocks), len(blocks), report)


def _require_same_samples(a: SparseCodes, b: SparseCodes) -> None:
    if a.n_samples != b.n_samples:
        raise ShapeError(
            f"a has {a.n_samples} samples and b has {b.n_samples}: "
            "both must come from the same samples, one row each"
        )


def _row_blocks(a: SparseCodes, b: SparseCodes) -> list[slice]:
    """Slices of latents of `a` of about the same work."""
    partners = len(b.latents) / max(b.n_samples, 1)
    work = (a.firings * partners + b.n_latents).cumsum(0)
    part = (work / _JOINT_FIRINGS_AT_ONCE).long().tolist()
    blocks, first = [], 0
    for latent in range(1, a.n_latents):
        if part[latent] != part[latent - 1] or latent - first == _ROWS_AT_ONCE:
            blocks.append(slice(first, latent))
            first = latent
    return [*blocks, slice(first, a.n_latents)] if a.n_latents else []


def _counting(
    a: SparseCodes, b: SparseCodes, reduce: Callable[[slice, Tensor], Result]
) -> Callable[[slice], Result]:
    """What counts a block and reduces it, in whatever thread."""
    firings = a.by_latent()
    # One table for each thread, again and again: new ones would leave their memory in pieces
    # between the results that are kept.
    tables: SimpleQueue[Tensor] = SimpleQueue()
    for _ in range(torch.get_num_threads()):
        tables.put(torch.empty(_ROWS_AT_ONCE, b.n_latents, dtype=torch.int32))

    def work(rows: slice) -> Result:
        table = tables.get()
        try:
            counts = table[: rows.stop - rows.start].zero_()
            _count(firings, b, rows.start, counts)
            return reduce(rows, counts)
        finally:
            tables.put(table)

    return work


def _in_threads(work: Callable[[slice], Result], blocks: list[slice]) -> Iterator[Result]:
    """`work` on the blocks, a few ahead of whoever takes the results."""
    threads = torch.get_num_threads()
    # Every thread of the pool has torch to itself. This number is of the calling thread, but also
    # the default of new ones: it is put back.
    with ThreadPoolExecutor(threads, "cofiring", torch.set_num_threads, (1,)) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for rows in blocks:
                running.append(pool.submit(work, rows))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
            torch.set_num_threads(threads)


def _count(firings: LatentFirings, b: SparseCodes, first: int, counts: Tensor) -> None:
    count_joint_firings(
        first,
        firings.offsets.numpy(),
        firings.samples.numpy(),
        b.offsets.numpy(),
        b.latents.numpy().view("uint32"),
        counts.numpy(),
    )


def count_by_products(a: SparseCodes, b: SparseCodes, rows: slice) -> Tensor:
    """Products of tables of zeros and ones, some samples at a time."""
    counts = torch.zeros(
        rows.stop - rows.start, b.n_latents, dtype=torch.int32, device=a.latents.device
    )
    for first in range(0, a.n_samples, _GPU_SAMPLES_AT_ONCE):
        samples = slice(first, min(first + _GPU_SAMPLES_AT_ONCE, a.n_samples))
        # Sums of zeros and ones are exact in float32 up to 2^24.
        product = _ones(a, samples, rows).T @ _ones(b, samples, slice(0, b.n_latents))
        counts += product.int()
    return counts


def _ones(codes: SparseCodes, samples: slice, latents: slice) -> Tensor:
    """Float32 `[samples, latents]`, 1 where a latent fires."""
    offsets = codes.offsets[samples.start : samples.stop + 1]
    fired = codes.latents[int(offsets[0]) : int(offsets[-1])].long()
    sample = torch.arange(len(offsets) - 1, device=fired.device).repeat_interleave(offsets.diff())
    inside = (fired >= latents.start) & (fired < latents.stop)
    table = torch.zeros(
        len(offsets) - 1, latents.stop - latents.start, dtype=torch.float32, device=fired.device
    )
    table[sample[inside], fired[inside] - latents.start] = 1
    return table
