"""The sampler of `board`: square by square, for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import next_uniform

_BELOW_ONE = 1 - 2.0**-53


@njit(cache=True, nogil=True, error_model="numpy")
def draw_contents(
    features: Any, state: Any, rows: int, columns: int, coupling: float, upper: Any
) -> None:
    """Write the feature that fires on each square of each sample.

    Args:
        features: output, `[n_samples * rows * columns]`.
        state: of `Draws.kernel_state`.
        rows, columns: of the board.
        coupling: probability that a square copies the number of an earlier neighbour.
        upper: numbers below which a square has a content or an earlier one,
            `[rows * columns, n_contents]`; the last is 1.
    """
    n_squares, n_contents = upper.shape
    numbers = np.empty(n_squares)
    for first in range(0, len(features), n_squares):
        square = 0
        for row in range(rows):
            for column in range(columns):
                u = next_uniform(state)
                copying = coupling if square > 0 else 0.0
                # Chosen, copied and counted without a branch, which the processor could not guess.
                left = 1 if column > 0 else columns
                above = columns if row > 0 else 1
                back = left if u < copying / 2 else above
                back = back if u < copying else 0
                numbers[square] = min((u - copying) / (1 - copying), _BELOW_ONE)
                number = numbers[square - back]
                numbers[square] = number
                content = 0
                for k in range(n_contents - 1):
                    content += number >= upper[square, k]
                features[first + square] = square * n_contents + content
                square += 1
