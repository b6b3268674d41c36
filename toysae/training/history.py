"""What a training run looked like on its way."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.training.probe import Probe
from toysae.training.state import ChunkLoss, StackState
from toysae.training.trainer import Trainer


class History:
    """Means of the losses over stretches of the training, and measurements where stretches end.

    Measurements that would come too soon after the last are left out; that of the end is not.

    Attributes:
        ends: number of steps done at the end of each stretch.
        sums: sum of each of `LOSSES` over the steps of each stretch, `[M, points]`, float64.
        measured: what `probe` found at the end of each stretch, `[M, points]`, float64; NaN where
            it did not look.
    """

    LOSSES = ("error", "penalty", "l0")
    NAMES = (*LOSSES, *Probe.NAMES)

    def __init__(self, probe: Probe, trainer: Trainer, n_members: int) -> None:
        self._probe = probe
        self._steps = steps = trainer.steps
        points = min(trainer.history_points, steps)
        self.ends = [-(-point * steps // points) for point in range(1, points + 1)]
        self._measured_at = _spaced(self.ends, probe.spacing(trainer.batch_size))
        shape = (n_members, points)
        self.sums = {name: torch.zeros(shape, dtype=torch.float64) for name in self.LOSSES}
        self.measured = {
            name: torch.full(shape, torch.nan, dtype=torch.float64) for name in Probe.NAMES
        }

    def add(self, state: StackState, loss: ChunkLoss) -> None:
        """Take in a chunk that has just been trained; it ends at the end of a stretch or before."""
        n_steps = loss.error.shape[1]
        point = (torch.arange(state.step - n_steps, state.step) * len(self.ends)) // self._steps
        for name, sums in self.sums.items():
            sums.index_add_(1, point, getattr(loss, name).cpu().double())
        if state.step in self._measured_at:
            column = self.ends.index(state.step)
            for name, values in self._probe.measure(state).items():
                self.measured[name][:, column] = values

    def tensors(self) -> dict[str, Tensor]:
        """All that it holds, `[M, points]` each, to be saved."""
        return {**self.sums, **self.measured}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Hold what `tensors` returned."""
        self.sums = {name: tensors[name] for name in self.LOSSES}
        self.measured = {name: tensors[name] for name in Probe.NAMES}

    def values(self) -> dict[str, Tensor]:
        """Each of `NAMES`, `[M, points]`, float64: of the losses the mean over each stretch."""
        ends = torch.tensor([0, *self.ends], dtype=torch.float64)
        means = {name: sums / ends.diff() for name, sums in self.sums.items()}
        return {**means, **self.measured}


def _spaced(ends: list[int], least: int) -> frozenset[int]:
    """Ends that are at least so far from the last one, and the very last."""
    kept = [0]
    for end in ends:
        if end - kept[-1] >= least or end == ends[-1]:
            kept.append(end)
    return frozenset(kept[1:])
