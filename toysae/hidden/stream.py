"""Streams: the endless data of one world, the same whatever chunks they are read in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.coefficients import Coefficients, concatenate
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
        return _cut([block for _, block in self._blocks(start, n)], start, n)

    def hidden(self, start: int, n: int) -> Tensor:
        """Hidden activations of samples `start` to `start + n`, with their noise, `[n, d]`.

        Whole blocks are embedded, since the rounding of a matrix product depends on its shape.
        """
        return self._observe(self._blocks(start, n))[start % BLOCK :][:n]

    def samples(self, start: int, n: int) -> tuple[Coefficients, Tensor]:
        """What `coefficients` and `hidden` return, drawn once."""
        blocks = list(self._blocks(start, n))
        coefficients = _cut([block for _, block in blocks], start, n)
        return coefficients, self._observe(blocks)[start % BLOCK :][:n]

    def _blocks(self, start: int, n: int) -> Iterator[tuple[int, Coefficients]]:
        """The whole blocks that samples `start` to `start + n` lie in, with their indices."""
        draws = Draws(self.seed, ("data", self.split), device=self.device)
        for block in range(start // BLOCK, (start + n - 1) // BLOCK + 1):
            yield block, self.generator.sample(draws.at_block(block), BLOCK)

    def _observe(self, blocks: Iterable[tuple[int, Coefficients]]) -> Tensor:
        noise = Draws(self.seed, ("noise", self.split), device=self.device)
        values = [self.space.observe(block, noise.at_block(index)) for index, block in blocks]
        return values[0] if len(values) == 1 else torch.cat(values)


def _cut(blocks: Sequence[Coefficients], start: int, n: int) -> Coefficients:
    """Samples `start` to `start + n` out of the whole blocks that they lie in."""
    first = start % BLOCK
    return concatenate(blocks).rows(first, first + n)
