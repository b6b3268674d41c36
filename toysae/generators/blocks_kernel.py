"""The sampler of blocks, for the CPU: from one pattern that fires to the next.

Blocks are taken in bands of like activity. A band is one long row of trials, block after block and
within a block sample after sample; geometric gaps lead from one candidate to the next, and the draw
that picks the pattern also turns down the candidates of which a block less active than the first of
its band has too many. So the cost grows with what fires, whatever the number of features.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import next_gap, next_uint64, next_uniform
from toysae.generators.shared_kernel import first_above

_TO_FLOAT32_UNIT = np.float32(2.0**-24)


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(pattern_offsets: Any, probabilities: Any) -> Any:
    """Cumulative probability of each pattern within its block; the last is the block's activity.

    Args:
        pattern_offsets: patterns of block `b` are at `pattern_offsets[b]` to
            `pattern_offsets[b + 1]`.
        probabilities: of each pattern.

    Returns:
        Cumulative probabilities `[n_patterns]`, and the activity of each block `[n_blocks]`.
    """
    cumulative = np.empty_like(probabilities)
    activity = np.zeros(len(pattern_offsets) - 1)
    for block in range(len(activity)):
        for pattern in range(pattern_offsets[block], pattern_offsets[block + 1]):
            activity[block] += probabilities[pattern]
            cumulative[pattern] = activity[block]
    return cumulative, activity


@njit(cache=True, nogil=True, error_model="numpy")
def draw_firings(state: Any, n_samples: int, schedule: Any, capacity: int) -> Any:
    """All firings of `n_samples` samples, block after block.

    Args:
        state: of `Draws.kernel_state`.
        n_samples: `>= 0`.
        schedule: a `blocks.Schedule`.
        capacity: how many firings to make room for; where there are more, they are drawn again.

    Returns:
        `samples` int32, `features` int32 and `quantiles` float32, `[firings]` each.
    """
    beginning = state.copy()
    firings = _room(capacity)
    filled = _fill(state, n_samples, schedule, *firings)
    if filled > capacity:
        firings = _room(filled)
        _fill(beginning, n_samples, schedule, *firings)
    samples, features, quantiles = firings
    return samples[:filled], features[:filled], quantiles[:filled]


@njit(cache=True, nogil=True)
def _room(size: int) -> Any:
    return np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    state: Any, n_samples: int, schedule: Any, samples: Any, features: Any, quantiles: Any
) -> int:
    """Draw firings and write as many as there is room for; how many there are."""
    # Taken apart here: arrays that are reached through a tuple are counted at every access.
    bands, bounds, blocks, patterns, cumulative, members, feature_of, correlations = schedule
    filled = 0
    for band in range(len(bounds) if n_samples > 0 else 0):
        log_of_failure = math.log1p(-bounds[band])
        place, last = bands[band], bands[band + 1]
        sample = next_gap(state, log_of_failure)
        while True:
            if sample >= n_samples:
                place += sample // n_samples
                sample %= n_samples
            if place >= last:
                break
            block = blocks[place]
            after = patterns[block + 1]
            level = next_uniform(state) * bounds[band]
            pattern = first_above(level, cumulative, patterns[block], after)
            if pattern < after:
                shared = correlations[block] > 0 and next_uniform(state) < correlations[block]
                quantile = _next_quantile(state)
                first = members[pattern]
                for member in range(first, members[pattern + 1]):
                    if not shared and member > first:
                        quantile = _next_quantile(state)
                    if filled < len(samples):
                        samples[filled] = sample
                        features[filled] = feature_of[member]
                        quantiles[filled] = quantile
                    filled += 1
            sample += 1 + next_gap(state, log_of_failure)
    return filled


@njit(cache=True, nogil=True, inline="always")
def _next_quantile(state: Any) -> Any:
    """A uniform number in `[0, 1)`, float32."""
    return np.float32(next_uint64(state) >> np.uint64(40)) * _TO_FLOAT32_UNIT
