"""The sampler of `composed_sets` in one pass, for the CPU.

A few torch operations say the same (`composed_outcomes.Outcomes.firings`), and tests hold both
equal; but each of them is a trip through memory and takes Python's lock, and data are half of the
cost of training where SAEs are tiny.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from toysae.generators.shared_kernel import first_above


@njit(cache=True, nogil=True, error_model="numpy")
def fill(
    values: Any,
    correlation: np.float32,
    numbers: Any,
    amplitudes: Any,
    cumulative: Any,
    starts: Any,
    members: Any,
    n_together: int,
    set_of: Any,
) -> None:
    """Write coefficients of `n` samples into zeroed `values [n, n_features]`.

    Args:
        values: output.
        correlation: weight of the amplitude of the first set in that of every other one, where
            both fire.
        numbers: uniform numbers for the outcomes, `[n_blocks, n]`.
        amplitudes: uniform numbers for the amplitudes, `[n_sets, n]`.
        cumulative, starts, members, n_together, set_of: as of `composed_outcomes.Outcomes`.
    """
    for s in range(values.shape[0]):
        for block in range(len(starts) - 1):
            row = first_above(numbers[block, s], cumulative, starts[block], starts[block + 1] - 1)
            alone = block == 0 and row >= n_together
            for column in range(members.shape[1]):
                feature = members[row, column]
                if feature < 0:
                    break
                values[s, feature] = _strength(s, set_of[feature], alone, amplitudes, correlation)
            if alone:
                break


@njit(cache=True, nogil=True, error_model="numpy")
def list_firings(
    offsets: Any,
    features: Any,
    values: Any,
    correlation: np.float32,
    numbers: Any,
    amplitudes: Any,
    cumulative: Any,
    starts: Any,
    members: Any,
    n_together: int,
    set_of: Any,
) -> None:
    """Write the firings of `n` samples one after another.

    Args:
        offsets: output `[n + 1]`: where each sample's firings begin and the last ones end.
        features, values: output, with room for `n_sets` firings a sample.
        correlation, numbers, amplitudes: as of `fill`.
        cumulative, starts, members, n_together, set_of: as of `fill`.
    """
    end = 0
    offsets[0] = 0
    for s in range(len(offsets) - 1):
        for block in range(len(starts) - 1):
            row = first_above(numbers[block, s], cumulative, starts[block], starts[block + 1] - 1)
            alone = block == 0 and row >= n_together
            for column in range(members.shape[1]):
                feature = members[row, column]
                if feature < 0:
                    break
                features[end] = feature
                values[end] = _strength(s, set_of[feature], alone, amplitudes, correlation)
                end += 1
            if alone:
                break
        offsets[s + 1] = end


@njit(cache=True, nogil=True, error_model="numpy")
def _strength(s: int, k: int, alone: bool, amplitudes: Any, correlation: np.float32) -> np.float32:
    """Coefficient of the feature of set `k` that fires on sample `s`."""
    if k == 0 or alone:
        return amplitudes[k, s]
    return (np.float32(1) - correlation) * amplitudes[k, s] + correlation * amplitudes[0, s]
