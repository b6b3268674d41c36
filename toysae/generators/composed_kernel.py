"""The sampler of `composed_sets` in one pass, for the CPU.

A few torch operations say the same (`ComposedSets._fill`), and tests hold both equal; but each of
them is a trip through memory and takes Python's lock, and data are half of the cost of
training where SAEs are tiny.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def fill(
    values: Any,
    correlation: np.float32,
    outcome: Any,
    first: Any,
    second: Any,
    cumulative: Any,
    x_of: Any,
    y_of: Any,
) -> None:
    """Write coefficients of `n` samples into zeroed `values [n, n_features]`.

    Args:
        values: output.
        correlation: weight of the first amplitude in the second, where both fire.
        outcome, first, second: uniform numbers `[n]` for the outcome and the two amplitudes.
        cumulative: cumulative probabilities of all outcomes but the last.
        x_of, y_of: feature of set x and of set y that fires at each outcome, or -1.
    """
    one = np.float32(1)
    for s in range(values.shape[0]):
        low, high = 0, cumulative.shape[0]
        while low < high:
            middle = (low + high) // 2
            if outcome[s] >= cumulative[middle]:
                low = middle + 1
            else:
                high = middle
        x, y = x_of[low], y_of[low]
        if x >= 0:
            values[s, x] = first[s]
        if y >= 0:
            values[s, y] = second[s]
            if x >= 0:
                values[s, y] = (one - correlation) * second[s] + correlation * first[s]
