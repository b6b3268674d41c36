"""Resampling: dead latents start anew on samples that are reconstructed badly.

Bricken et al., "Towards monosemanticity" (2023), appendix "Neuron resampling".
"""

from __future__ import annotations

from collections.abc import Sequence

from toysae.training.member import Member
from toysae.training.objectives import Objective
from toysae.training.state import StackState
from toysae.training.trainer import Trainer


def resampling_steps(trainer: Trainer) -> frozenset[int]:
    """Numbers of steps done at which dead latents are resampled."""
    if trainer.dead_latents != "resample":
        return frozenset()
    return frozenset(range(trainer.resample_every, trainer.steps // 2 + 1, trainer.resample_every))


def resample(state: StackState, members: Sequence[Member], objective: Objective) -> None:
    """Start dead latents anew, in place."""
