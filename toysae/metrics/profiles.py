"""Where in a sequence latents fire."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._firing.firing import require_threshold
from toysae.metrics.codes import SparseCodes

__all__ = ["PositionProfile", "position_profile"]


@dataclass(frozen=True)
class PositionProfile:
    """How each latent behaves at each position of the sequence."""

    firings: Tensor
    """Samples at each position on which each latent fires, `[m, positions]`, int64."""
    total: Tensor
    """Sum of the activations that fire, `[m, positions]`, float64."""
    samples: Tensor
    """Samples at each position, `[positions]`, int64."""

    @property
    def rate(self) -> Tensor:
        """Share of the samples at a position on which a latent fires, `[m, positions]`.

        In [0, 1]; NaN where no sample has the position.
        """
        return self.firings / self.samples.double()

    @property
    def mean(self) -> Tensor:
        """Mean activation over all samples at a position; NaN where there are none."""
        return self.total / self.samples

    @property
    def mean_when_firing(self) -> Tensor:
        """Mean activation over the firings at a position; NaN where there are none."""
        return self.total / self.firings


def position_profile(
    latents: Tensor | SparseCodes, positions: Tensor, n_positions: int, threshold: float = 0.0
) -> PositionProfile:
    """Firing rate and mean activation of every latent by position in the sequence, with counts.

    The sum over positions of `firings` is that of `density`: pooling positions hides latents of the
    first token, or of one place in the sequence. Takes `16 m n_positions` bytes.

    Args:
        latents: activations `[N, m]`.
        positions: position of each sample in its sequence, `[N]`, integers from 0. For sequences of
            one length stored one after the other: `torch.arange(N) % length`.
        n_positions: positions that there are.
        threshold: activation above which a latent fires, strictly.

    Returns:
        Tables by latent and position, and how many samples each position has.

    Raises:
        ShapeError: not two axes, or not one position a sample.
        DataError: NaN or infinity, positions that are not integers from 0 to `n_positions - 1`, or
            a threshold that is negative or not finite.

    Source: textbook.
    """
    require_threshold(threshold)
    if isinstance(latents, Tensor):
        latents = SparseCodes.from_dense(latents, threshold)
    _require_positions(positions, latents.n_samples, n_positions)
    positions = positions.to(latents.latents.device).long()
    loud = latents.values.double().abs() > threshold
    position = positions.repeat_interleave(latents.offsets.diff())[loud]
    cell = latents.latents[loud].long() * n_positions + position
    n_cells = latents.n_latents * n_positions
    total = torch.zeros(n_cells, dtype=torch.float64, device=cell.device)
    total.index_add_(0, cell, latents.values[loud].double())
    shape = (latents.n_latents, n_positions)
    return PositionProfile(
        torch.bincount(cell, minlength=n_cells).view(shape),
        total.view(shape),
        torch.bincount(positions, minlength=n_positions),
    )


def _require_positions(positions: Tensor, n_samples: int, n_positions: int) -> None:
    if tuple(positions.shape) != (n_samples,):
        raise ShapeError(
            f"positions have shape {tuple(positions.shape)}: expected [{n_samples}], one a sample"
        )
    if positions.is_floating_point() or positions.dtype == torch.bool:
        raise DataError(f"positions have dtype {positions.dtype}: expected integers")
    if n_samples and not 0 <= int(positions.min()) <= int(positions.max()) < n_positions:
        raise DataError(
            f"positions from {int(positions.min())} to {int(positions.max())}: "
            f"expected 0 to {n_positions - 1}"
        )
