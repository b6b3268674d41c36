"""Tables that are walked through some rows at a time, so that what is made of them fits."""

from __future__ import annotations

from collections.abc import Iterator

from toysae.errors import ShapeError


def row_blocks(n_rows: int, block: int) -> Iterator[slice]:
    """Slices of at most `block` rows that cover `n_rows`."""
    if block < 1:
        raise ShapeError(f"block={block}: expected at least one row")
    return (slice(start, start + block) for start in range(0, n_rows, block))


def rows_within(n_entries: int, width: int) -> int:
    """How many rows of `width` entries to take at once: at most `n_entries`, and at least a row."""
    return max(1, n_entries // max(1, width))
