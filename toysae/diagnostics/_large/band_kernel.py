"""From a band to three diagonals: a chase of bulges along the band, compiled.

Column `c` of the symmetric matrix is row `c` of the storage, from the diagonal downwards:
`stored[c, o] = A[c + o, c]`, with as much room below the band as the bulges need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toysae.compiled import njit

Array = NDArray[Any]

# Sums over a column may be in any order. Eigenvalues are told to rounding, not to the bit.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract"}}


@njit(**_OPTIONS)
def _reflector(column: Array, v: Array) -> float:
    """Householder vector `v`, with `v[0] = 1`, that leaves only the first entry of `column`."""
    size = len(column)
    rest = 0.0
    for i in range(1, size):
        rest += column[i] * column[i]
    v[0] = 1.0
    if rest == 0.0:
        return 0.0
    head = column[0]
    norm = np.sqrt(head * head + rest)
    beta = -norm if head >= 0 else norm
    scale = 1.0 / (head - beta)
    for i in range(1, size):
        v[i] = column[i] * scale
        column[i] = 0.0
    column[0] = beta
    return (beta - head) / beta


@njit(**_OPTIONS)
def _from_left(column: Array, v: Array, tau: float) -> None:
    total = 0.0
    for i in range(len(column)):
        total += v[i] * column[i]
    total *= tau
    for i in range(len(column)):
        column[i] -= total * v[i]


@njit(**_OPTIONS)
def _from_both_sides(stored: Array, first: int, size: int, v: Array, w: Array, tau: float) -> None:
    """Reflect the square block on the diagonal that starts at `first`."""
    w[:size] = 0.0
    for c in range(size):
        column, below = stored[first + c, : size - c], w[c:size]
        factor, total = v[c], 0.0
        weights = v[c:size]
        below[0] += factor * column[0]
        for i in range(1, size - c):
            total += weights[i] * column[i]
            below[i] += factor * column[i]
        below[0] += total
    overlap = 0.0
    for i in range(size):
        w[i] *= tau
        overlap += w[i] * v[i]
    overlap *= 0.5 * tau
    for i in range(size):
        w[i] -= overlap * v[i]
    for c in range(size):
        column, left, right = stored[first + c, : size - c], v[c:size], w[c:size]
        a, b = v[c], w[c]
        for i in range(size - c):
            column[i] -= left[i] * b + right[i] * a


@njit(**_OPTIONS)
def _from_right(
    stored: Array, first: int, size: int, n_rows: int, v: Array, w: Array, tau: float
) -> None:
    """Reflect `size` columns from `first` on, in the `n_rows` rows below their diagonal block."""
    totals = w[:n_rows]
    totals[:] = 0.0
    for c in range(size):
        column, factor = stored[first + c, size - c : size - c + n_rows], v[c]
        for i in range(n_rows):
            totals[i] += factor * column[i]
    for c in range(size):
        column, factor = stored[first + c, size - c : size - c + n_rows], tau * v[c]
        for i in range(n_rows):
            column[i] -= factor * totals[i]


@njit(**_OPTIONS)
def chase(
    stored: Array, band: int, first_sweep: int, n_sweeps: int, first_step: int, n_steps: int
) -> None:
    """A tile of the chase: of each sweep, the steps of a window that moves up by two a sweep.

    Sweep `j` clears column `j` below its first subdiagonal. Step 0 does that and makes a bulge of
    `band` rows; each later step moves the first column of the bulge down by `band` rows.
    """
    n = len(stored)
    v, w = np.empty(band), np.empty(band)
    for lag in range(n_sweeps):
        sweep = first_sweep + lag
        for step in range(max(first_step - 2 * lag, 0), first_step - 2 * lag + n_steps):
            first = sweep + 1 + step * band
            size = min(band, n - first)
            if size < 1:
                break
            cleared = sweep if step == 0 else first - band
            start = first - cleared
            tau = _reflector(stored[cleared, start : start + size], v)
            if tau == 0.0:
                continue
            for c in range(cleared + 1, first):
                _from_left(stored[c, first - c : first - c + size], v[:size], tau)
            _from_both_sides(stored, first, size, v, w, tau)
            n_rows = min(band, n - first - size)
            if n_rows > 0:
                _from_right(stored, first, size, n_rows, v, w, tau)
