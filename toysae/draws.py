"""Random numbers that are functions of their name.

A draw is keyed by (seed, path, name, block): it does not depend on what was drawn before, beside
it or after it. So the same seed gives the same bits for an SAE alone or in a stack, for data drawn
in any chunks, and a feature added to a world leaves the draws of the others alone.

On the CPU the numbers come from numpy's SFC64, seeded by a hash of the key, on other devices from
torch's generator of that device: same bits on one kind of device, same distribution on all. Numbers
are written into torch's own memory, whose alignment is fixed: matrix products round differently at
different alignments, and numpy's varies from process to process.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Draws:
    """A source of random numbers, keyed by seed, path and block.

    Attributes:
        seed: any integer `>= 0`.
        path: names that lead here, such as `("data", "background")`.
        block: index of the block of samples that is drawn.
        device: where the numbers are made.
    """

    seed: int
    path: tuple[str, ...] = ()
    block: int = 0
    device: torch.device = CPU

    def child(self, name: str) -> Draws:
        """A source for the part `name`, independent of its siblings."""
        return Draws(self.seed, (*self.path, name), self.block, self.device)

    def at_block(self, block: int) -> Draws:
        """The same source at another block of samples."""
        return Draws(self.seed, self.path, block, self.device)

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers in `[0, 1)`, float32."""
        if self.device.type != "cpu":
            return torch.rand(shape, generator=self._torch(name), device=self.device)
        numbers = torch.empty(shape)
        self._numpy(name).random(dtype=np.float32, out=numbers.numpy())
        return numbers

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers, float32."""
        name = f"normal:{name}"
        if self.device.type != "cpu":
            return torch.randn(shape, generator=self._torch(name), device=self.device)
        numbers = torch.empty(shape)
        self._numpy(name).standard_normal(dtype=np.float32, out=numbers.numpy())
        return numbers

    def integer_seed(self, name: str) -> int:
        """A 63-bit seed derived from this source, for libraries that take an integer."""
        return self._key(name) >> 65

    def kernel_state(self, name: str) -> np.ndarray:
        """State of a generator for compiled kernels (`toysae.draws_kernel`), `[4]` uint64.

        Kernels run on the CPU, whatever the device of this source.
        """
        return np.frombuffer(self._digest(f"kernel:{name}", 32), dtype=np.uint64).copy()

    def _key(self, name: str) -> int:
        """128-bit key of one draw: a hash of seed, path, name and block."""
        return int.from_bytes(self._digest(name, 16), "big")

    def _digest(self, name: str, size: int) -> bytes:
        """A hash of seed, path, name and block."""
        text = "\x1f".join((str(self.seed), *self.path, name, str(self.block)))
        return hashlib.blake2b(text.encode(), digest_size=size).digest()

    def _numpy(self, name: str) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(self._key(name)))

    def _torch(self, name: str) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(self.integer_seed(name))
