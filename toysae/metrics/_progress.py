"""How far a long computation is, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

Report = Callable[[int, int], None]
"""Called with the number of blocks that are done and of all blocks."""


def reported(blocks: Iterable[Item], n_blocks: int, report: Report | None) -> Iterator[Item]:
    """The `blocks`, with `report` called after each is done."""
    for done, block in enumerate(blocks, 1):
        yield block
        if report is not None:
            report(done, n_blocks)
