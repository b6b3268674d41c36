"""The sampler of `positional`: which windows hold a position, for the CPU.

Lengths are in units of the distance between neighbouring centres: feature `k` lies at `k`, and the
circle is `n_features` long.
"""

from __future__ import annotations

import math
from typing import Any

from toysae.compiled import njit
from toysae.draws_kernel import next_uniform


@njit(cache=True, nogil=True, error_model="numpy")
def draw_positions(positions: Any, offsets: Any, state: Any, halves: Any) -> None:
    """Write a position of each sample, and where its firings begin.

    Args:
        positions: output, float64, `[n]`.
        offsets: output, int64, `[n + 1]`.
        state: of `Draws.kernel_state`.
        halves: half the width of each feature's window, `[n_features]`.
    """
    n_features, reach = len(halves), halves.max()
    offsets[0] = 0
    for s in range(len(positions)):
        position = n_features * next_uniform(state)
        positions[s] = position
        count = 0
        for k in range(math.ceil(position - reach), math.floor(position + reach) + 1):
            count += abs(position - k) < halves[_around(k, n_features)]
        offsets[s + 1] = offsets[s] + count


@njit(cache=True, nogil=True, error_model="numpy")
def list_windows(features: Any, bumps: Any, positions: Any, halves: Any) -> None:
    """Write the features whose windows hold each position, sample by sample, and their bumps.

    Args:
        features: output, int64, `[firings]`.
        bumps: output, float32, `[firings]`: 1 at the centre of a window, near 0 at its ends.
        positions, halves: as of `draw_positions`.
    """
    n_features, reach = len(halves), halves.max()
    end = 0
    for position in positions:
        for k in range(math.ceil(position - reach), math.floor(position + reach) + 1):
            feature = _around(k, n_features)
            distance = abs(position - k)
            if distance < halves[feature]:
                features[end] = feature
                bumps[end] = math.cos(0.5 * math.pi * distance / halves[feature]) ** 2
                end += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _around(k: int, n: int) -> int:
    """Feature at place `k`, at most once around the circle away."""
    if k < 0:
        return k + n
    return k - n if k >= n else k
