"""Best partners that are one of several."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

SAME = 1e-6
"""Similarities closer than this are the same."""


@dataclass(frozen=True)
class Ties:
    """How many other partners are as good as the best one, by one similarity."""

    a_to_b: Tensor
    """Others of `b` within 1e-6 of the best similarity of each row or latent of `a`, `[n]`."""
    b_to_a: Tensor
    """Others of `a` within 1e-6 of the best similarity of each row or latent of `b`, `[m]`."""

    @property
    def n_a(self) -> int:
        """Rows or latents of `a` whose best partner is one of several."""
        return int((self.a_to_b > 0).sum())

    @property
    def n_b(self) -> int:
        """Rows or latents of `b` whose best partner is one of several."""
        return int((self.b_to_a > 0).sum())
