"""Which tokens count, and which positions are chosen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import require_bool

Positions = slice | Sequence[int] | Tensor
"""Chosen positions: a slice, indices, or a bool mask over all positions."""


def present_tokens(values: Tensor, counted: Tensor | None) -> Tensor:
    """Which values are defined and count."""
    present = ~torch.isnan(values)
    if counted is None:
        return present
    require_bool(counted, "counted", tuple(values.shape))
    return present & counted


def require_positions(found: int, before: int) -> None:
    """Raises `ShapeError` where a batch has another number of positions than those before."""
    if found != before:
        raise ShapeError(
            f"{found} positions after batches of {before}: pad the shorter sequences and mark "
            "what counts"
        )


def chosen_positions(positions: Positions, n: int, device: torch.device) -> Tensor:
    """The chosen positions as indices."""
    every = torch.arange(n, device=device)
    if isinstance(positions, slice):
        return every[positions]
    chosen = torch.as_tensor(positions, device=device)
    if chosen.dtype == torch.bool:
        require_bool(chosen, "positions", (n,))
        return every[chosen]
    chosen = chosen.long()
    if bool(((chosen < 0) | (chosen >= n)).any()):
        raise ShapeError(f"positions {chosen.tolist()}: there are {n}, counted from 0")
    return chosen
