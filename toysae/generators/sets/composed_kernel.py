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
from toysae.generators.shared_kernel import first_above

#: Random numbers are drawn for so many samples at a time, and stay in the cache.
TILE = 512


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
    for begin in range(0, values.shape[0], TILE):
        tile = uniform_tile(state, n_blocks + n_sets)
        for i in range(min(TILE, values.shape[0] - begin)):
            for block in range(n_blocks):
                row = first_above(tile[block, i], cumulative, starts[block], starts[block + 1] - 1)
                alone = block == 0 and row >= n_together
                for column in range(members.shape[1]):
                    feature = members[row, column]
                    if feature < 0:
                        break
                    values[begin + i, feature] = _strength(
                        tile, n_blocks, i, set_of[feature], alone, correlation
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
    offsets[0] = 0
    for begin in range(0, len(offsets) - 1, TILE):
        tile = uniform_tile(state, n_blocks + n_sets)
        for i in range(min(TILE, len(offsets) - 1 - begin)):
            for block in range(n_blocks):
                row = first_above(tile[block, i], cumulative, starts[block], starts[block + 1] - 1)
                alone = block == 0 and row >= n_together
                for column in range(members.shape[1]):
                    feature = members[row, column]
                    if feature < 0:
                        break
                    features[end] = feature
                    values[end] = _strength(tile, n_blocks, i, set_of[feature], alone, correlation)
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
def _strength(
    tile: Any, n_blocks: int, i: int, k: int, alone: bool, correlation: np.float32
) -> np.float32:
    """Coefficient of the feature of set `k` that fires on sample `i` of a tile."""
    own = np.float32(1) - tile[n_blocks + k, i]
    if k == 0 or alone:
        return own
    first = np.float32(1) - tile[n_blocks, i]
    return (np.float32(1) - correlation) * own + correlation * first
