"""Streams: the endless data of one world, the same whatever chunks they are read in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.base import Coefficients, Generator
from toysae.hidden.base import HiddenSpace

#: Samples are drawn in blocks of this size; a block is a function of (seed, split, block index).
BLOCK = 8192


@dataclass(frozen=True)
class Stream:
    """Samples of one generator in one hidden space.

    Two streams are equal if they have the same generator, the same space (by identity), seed and
    split; members of a stack with equal streams share their batches.

    Attributes:
        generator: what fires.
        space: where it lives.
        seed: seed of the data.
        split: `train`, `evaluation`, ...; different splits are independent.
    """

    generator: Generator
    space: HiddenSpace
    seed: int
    split: str = "train"

    @property
    def device(self) -> torch.device:
        """Where samples are made: where the hidden space lies."""
        return self.space.directions.device

    def coefficients(self, start: int, n: int) -> Coefficients:
        """Coefficients of samples `start` to `start + n`."""
        return Coefficients(self._samples(start, n, lambda block: block.dense()))

    def hidden(self, start: int, n: int) -> Tensor:
        """Hidden activations of samples `start` to `start + n`, `[n, d]`.

        Whole blocks are embedded, since the rounding of a matrix product depends on its shape.
        """
        return self._samples(start, n, self.space.embed)

    def _samples(self, start: int, n: int, of_block: Callable[[Coefficients], Tensor]) -> Tensor:
        draws = Draws(self.seed, ("data", self.split), device=self.device)
        first, last = start // BLOCK, (start + n - 1) // BLOCK
        blocks = [
            of_block(self.generator.sample(draws.at_block(block), BLOCK))
            for block in range(first, last + 1)
        ]
        values = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
        return values[start - first * BLOCK :][:n]
