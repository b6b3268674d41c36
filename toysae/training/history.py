"""What a training run looked like on its way."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.training.state import ChunkLoss


class History:
    """Means over stretches of the training, which end at `ends`."""

    NAMES = ("error", "penalty", "l0")

    def __init__(self, steps: int, points: int) -> None:
        self._steps = steps
        self._points = min(points, steps)
        self._sums: Tensor | None = None
        self._counts = torch.zeros(self._points, dtype=torch.float64)

    @property
    def ends(self) -> list[int]:
        """Number of steps done at the end of each stretch."""
        return [-(-point * self._steps // self._points) for point in range(1, self._points + 1)]

    def add(self, first_step: int, loss: ChunkLoss) -> None:
        """Take in the steps of a chunk."""
        n_steps = loss.error.shape[1]
        point = (torch.arange(first_step, first_step + n_steps) * self._points) // self._steps
        values = torch.stack([getattr(loss, name) for name in self.NAMES]).cpu().double()
        sums = torch.zeros(*values.shape[:2], self._points, dtype=torch.float64)
        sums.index_add_(2, point, values)
        self._sums = sums if self._sums is None else self._sums + sums
        self._counts += torch.bincount(point, minlength=self._points)

    def means(self) -> dict[str, Tensor]:
        """Mean of each of `NAMES` over each stretch, `[M, points]`, float64."""
        assert self._sums is not None, "no steps were taken"
        return dict(zip(self.NAMES, self._sums / self._counts))
