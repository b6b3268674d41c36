"""The sampler of `composed_sets` in one pass, for the CPU.

A few torch operations say the same (`composed_outcomes.Outcomes.firings`), and tests hold both
equal; but each of them is a trip through memory and takes Python's lock, and data are half of the
cost of training where SAEs are tiny.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import fill_uniform
from toysae.generators.shared_kernel import COUNTED, first_above

#: Random numbers are drawn for so many samples at a time, and stay in the cache.
TILE = 512

# In the innermost loops indices are unsigned: signed ones are tested for being negative.


@njit(cache=True, nogil=True, error_model="numpy")
def fill(
    values: Any,
    state: Any,
    correlation: np.float32,
    cumulative: Any,
    starts: Any,
    members: Any,
    n_together: int,
    set_of: Any,
    n_sets: int,
) -> None:
    """Write coefficients of `n` samples into zeroed `values [n, n_features]`.

    Args:
        values: output.
        state: of the random numbers; see `uniform_tile`.
        correlation: weight of the amplitude of the first set in that of every other one, where
            both fire.
        cumulative, starts, members, n_together, set_of: as of `composed_outcomes.Outcomes`.
        n_sets: number of sets.
    """
    n_blocks = len(starts) - 1
    rows = np.empty((n_blocks, TILE), np.int32)
    for begin in range(0, values.shape[0], TILE):
        tile = uniform_tile(state, n_blocks + n_sets)
        _pick_outcomes(tile, cumulative, starts, rows)
        for i in range(min(TILE, values.shape[0] - begin)):
            for block in range(n_blocks):
                row = rows[block, i]
                alone = block == 0 and row >= n_together
                for column in range(members.shape[1]):
                    feature = members[np.uint64(row), column]
                    if feature < 0:
                        break
                    values[np.uint64(begin + i), np.uint64(feature)] = _strength(
                        tile, n_blocks, i, set_of[np.uint64(feature)], alone, correlation
                    )
                if alone:
                    break


@njit(cache=True, nogil=True, error_model="numpy")
def list_firings(
    offsets: Any,
    features: Any,
    values: Any,
    state: Any,
    correlation: np.float32,
    cumulative: Any,
    starts: Any,
    members: Any,
    n_together: int,
    set_of: Any,
    n_sets: int,
) -> None:
    """Write the firings of `n` samples one after another.

    Args:
        offsets: output `[n + 1]`: where each sample's firings begin and the last ones end.
        features, values: output, with room for `n_sets` firings a sample.
        state, correlation: as of `fill`.
        cumulative, starts, members, n_together, set_of, n_sets: as of `fill`.
    """
    n_blocks, end = len(starts) - 1, 0
    rows = np.empty((n_blocks, TILE), np.int32)
    offsets[0] = 0
    for begin in range(0, len(offsets) - 1, TILE):
        tile = uniform_tile(state, n_blocks + n_sets)
        _pick_outcomes(tile, cumulative, starts, rows)
        for i in range(min(TILE, len(offsets) - 1 - begin)):
            for block in range(n_blocks):
                row = rows[block, i]
                alone = block == 0 and row >= n_together
                for column in range(members.shape[1]):
                    feature = members[np.uint64(row), column]
                    if feature < 0:
                        break
                    features[end] = feature
                    values[end] = _strength(
                        tile, n_blocks, i, set_of[np.uint64(feature)], alone, correlation
                    )
                    end += 1
                if alone:
                    break
            offsets[begin + i + 1] = end


@njit(cache=True, nogil=True, error_model="numpy")
def uniform_tile(state: Any, rows: int) -> Any:
    """Uniform numbers in `[0, 1)` for `TILE` samples, `[rows, TILE]`; advances `state`.

    First one for each block, to pick its outcome, then one for each set: its amplitude falls short
    of 1 by it, so that a feature that fires is never 0.
    """
    tile = np.empty((rows, TILE), np.float32)
    fill_uniform(state, tile.reshape(-1))
    return tile


@njit(cache=True, nogil=True, error_model="numpy")
def _pick_outcomes(tile: Any, cumulative: Any, starts: Any, rows: Any) -> None:
    """Outcome of each block on the samples of a tile, `rows [n_blocks, TILE]`.

    Few outcomes are counted for all samples at once, which takes no decision that a processor
    could get wrong.
    """
    for block in range(len(rows)):
        low, high = starts[block], starts[block + 1] - 1
        if high - low <= COUNTED:
            rows[block] = low
            for k in range(low, high):
                edge = cumulative[k]
                for i in range(TILE):
                    rows[block, i] += np.int32(tile[block, i] >= edge)
        else:
            for i in range(TILE):
                rows[block, i] = first_above(tile[block, i], cumulative, low, high)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _strength(
    tile: Any, n_blocks: int, i: int, k: int, alone: bool, correlation: np.float32
) -> np.float32:
    """Coefficient of the feature of set `k` that fires on sample `i` of a tile."""
    own = np.float32(1) - tile[np.uint64(n_blocks + k), np.uint64(i)]
    first = np.float32(1) - tile[np.uint64(n_blocks), np.uint64(i)]
    mixed = (np.float32(1) - correlation) * own + correlation * first
    return own if k == 0 or alone else mixed
