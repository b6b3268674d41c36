"""Which members of a stack diverged, and of what."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toysae.training.state import ChunkLoss, StackState


def reasons(state: StackState, loss: ChunkLoss) -> dict[int, str]:
    """Why each member that a chunk has frozen was frozen, by position in the stack.

    Args:
        state: after the chunk.
        loss: of the chunk; the step at which a member is frozen still has its loss.
    """
    first_step = state.step - loss.error.shape[1]
    return {
        i: _reason(float(loss.error[i, step]), float(loss.penalty[i, step]))
        for i in (state.frozen_at >= first_step).nonzero().flatten().tolist()
        for step in [int(state.frozen_at[i]) - first_step]
    }


def freeze_if_not_finite(state: StackState) -> dict[int, str]:
    """Freeze members whose very last step made a parameter infinite: no loss came after it."""
    finite = torch.stack([_finite_members(p) for p in state.params.values()]).all(0)
    broken = ~finite & (state.frozen_at < 0)
    state.frozen_at[broken] = state.step
    return dict.fromkeys(broken.nonzero().flatten().tolist(), "parameters not finite")


def _finite_members(parameter: Tensor) -> Tensor:
    return parameter.isfinite().flatten(1).all(1)


def _reason(error: float, penalty: float) -> str:
    values = {"error": error, "penalty": penalty}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    # Two finite numbers can have an infinite sum.
    return f"{' and '.join(broken or values)} not finite"
