"""A stack a few members at a time, for kernels that would take all at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch

from toysae.training.kernels.choice import Kernel
from toysae.training.state import Chunk, ChunkLoss, StackState


class Blocked:
    """Takes each block of members through a whole chunk before the next, blocks over threads.

    What a block computes with stays in the cache, which makes a member cheaper than in a large
    stack; and the memory for it does not grow with the stack. The data are drawn once for all.

    Args:
        make: the kernel of the members in a slice.
        n_members: members of the stack.
        at_once: members in a block, at most.
        threads: blocks in work at a time. One, where torch spreads single operations over threads.
    """

    def __init__(
        self, make: Callable[[slice], Kernel], n_members: int, at_once: int, threads: int
    ) -> None:
        n_blocks = -(-n_members // at_once)
        edges = [n_members * i // n_blocks for i in range(n_blocks + 1)]
        rows = [slice(first, last) for first, last in pairwise(edges)]
        self._blocks = [(part, make(part)) for part in rows]
        self._pool = ThreadPoolExecutor(threads if torch.get_num_threads() == 1 else 1)
        self.name = self._blocks[0][1].name

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""

        def advance(block: tuple[slice, Kernel]) -> ChunkLoss:
            rows, kernel = block
            return kernel.advance(state.members(rows), chunk.members(rows))

        losses = list(self._pool.map(advance, self._blocks))
        state.step += chunk.n_steps
        return ChunkLoss(
            error=torch.cat([loss.error for loss in losses]),
            penalty=torch.cat([loss.penalty for loss in losses]),
            l0=torch.cat([loss.l0 for loss in losses]),
        )
