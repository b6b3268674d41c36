"""Which latents fire on which samples, and how often two fire together, from dense tables."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._inputs import finite, require_axes, require_bool, require_same_samples
from toysae.metrics._row_blocks import row_blocks

SAMPLES_AT_ONCE = 8192
"""Samples of a table that are worked on at once."""


class FiringCounts(NamedTuple):
    """How often each pair fires together, and each alone; what `cofiring` takes."""

    n11: Tensor
    """Samples on which both fire, `[n, m]`; int64, or int32 from `SparseCodes`."""
    n1: Tensor
    """Samples on which the first fires, `[n, 1]`, int64."""
    n2: Tensor
    """Samples on which the second fires, `[1, m]`, int64."""
    n_samples: int
    """Samples."""


def require_threshold(threshold: float) -> None:
    """Raises `DataError` unless `threshold` is a finite number of at least 0."""
    if not (0 <= threshold < math.inf):
        raise DataError(f"threshold={threshold}: expected a finite number of at least 0")


def least_firings(minimum: int) -> int:
    """Firings that a latent needs to be compared: `minimum`, and one at least.

    Raises `ShapeError` where that is a negative number.
    """
    if minimum < 0:
        raise ShapeError(f"minimum={minimum}: expected a count of at least 0")
    return max(minimum, 1)


def fires(activations: Tensor, threshold: float = 0.0) -> Tensor:
    """Firing indicators `|activation| > threshold`, bool, of the shape of `activations`.

    Args:
        activations: latents or coefficients `[N, m]`.
        threshold: strict, at least 0.

    Returns:
        Bool `[N, m]` on the same device.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, or a threshold that is negative or not finite.
    """
    require_axes(activations, "activations", "[samples, latents]")
    require_threshold(threshold)
    fired = torch.empty_like(activations, dtype=torch.bool)
    for rows in row_blocks(len(activations), SAMPLES_AT_ONCE):
        fired[rows] = finite(activations[rows], "activations").abs() > threshold
    return fired


def firing_counts(fires_a: Tensor, fires_b: Tensor) -> FiringCounts:
    """Joint and single firing counts of two tables of the same samples.

    Args:
        fires_a: bool `[N, n]`, as `fires` gives.
        fires_b: bool `[N, m]`.

    Returns:
        Exact counts that broadcast to `[n, m]`.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: not bool.
    """
    for value, name in ((fires_a, "fires_a"), (fires_b, "fires_b")):
        require_axes(value, name, "[samples, latents]")
        require_bool(value, name, tuple(value.shape))
    require_same_samples(fires_a, fires_b, ("fires_a", "fires_b"))
    n, m = fires_a.shape[1], fires_b.shape[1]
    n11 = torch.zeros((n, m), dtype=torch.long, device=fires_a.device)
    n1, n2 = n11.new_zeros(n), n11.new_zeros(m)
    for rows in row_blocks(len(fires_a), SAMPLES_AT_ONCE):
        # Sums of zeros and ones are exact in float32 up to 2^24, and much faster than of bool.
        first, second = fires_a[rows].float(), fires_b[rows].float()
        n11 += (first.T @ second).long()
        n1 += first.sum(dim=0).long()
        n2 += second.sum(dim=0).long()
    return FiringCounts(n11, n1[:, None], n2[None, :], len(fires_a))
