"""Joint probability tables of one-hot sets, and how to make chosen pairs more frequent in them.

A table has one axis a set; its cell `(i, j, ...)` is the probability that member `i` of the first
set, `j` of the second and so on fire together. Numpy, float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from toysae.errors import ConfigError

Table = NDArray[np.float64]

#: How far a probability that is to be kept may move.
TOLERANCE = 1e-13
_STEPS = 200


class Pair(NamedTuple):
    """Members of two sets that are to fire together more often.

    Attributes:
        first, i: axis of one set and member of it.
        second, j: axis of another set and member of it.
    """

    first: int
    i: int
    second: int
    j: int


class _Constraints(NamedTuple):
    """What a boosted table must satisfy: `matrix @ cells = now + boost * gain`.

    Attributes:
        matrix: sums of cells, sparse, `[n_sums, n_cells]`.
        now: the sums of the table as it is.
        gain: what a boost of 1 adds to them.
    """

    matrix: sparse.csr_array
    now: Table
    gain: Table


def product_table(weights: Sequence[Table]) -> Table:
    """Table of independent sets, given the probabilities of the members of each."""
    table = np.ones(())
    for weight in weights:
        table = np.multiply.outer(table, weight)
    return table


def boost_pairs(table: Table, pairs: Sequence[Pair], boost: float) -> Table:
    """Raise the probability of pairs and keep the marginals of all sets.

    A pair of probability `P` whose members have marginals `p` and `q` gets
    `P + boost * min(p - P, q - P)`: 0 leaves it, at 1 it is as frequent as its marginals allow. Of
    all tables with those pairs and the old marginals, the one closest to the old table is taken
    (least Kullback-Leibler divergence: the limit of iterative proportional fitting). For two
    independent sets it is the one in the published code of Anders et al. (2024). Cells of
    probability 0 stay impossible, except those of a boosted pair that never occurred.

    Args:
        table: joint probabilities, one axis a set.
        pairs: each of two different axes.
        boost: in [0, 1].

    Returns:
        The boosted table; marginals are those of `table` to 1e-12.

    Raises:
        ConfigError: no such table exists; it says which boosts can be had.
    """
    if not pairs or boost == 0:
        return table
    cells = _seeded(table, pairs).ravel()
    constraints = _constraints(table, pairs)
    boosted = _closest(cells, constraints.matrix, constraints.now + boost * constraints.gain)
    if boosted is None:
        most = _largest_boost(cells > 0, constraints)
        raise ConfigError(
            f"generator.boost = {boost}: no table with these pairs keeps the marginals of all "
            f"sets, while what is impossible stays so; must lie in [0, {most:.4g}], or use fewer "
            "generator.boosted_pairs or a generator.table with fewer zeros"
        )
    return boosted.reshape(table.shape)


def _seeded(table: Table, pairs: Sequence[Pair]) -> Table:
    """The table, with room for boosted pairs that never occurred: there, independent sets."""
    axes = range(table.ndim)
    independent = product_table([table.sum(tuple(a for a in axes if a != axis)) for axis in axes])
    seeded = table.copy()
    for pair in pairs:
        together = _indices(table, pair.first, pair.i) & _indices(table, pair.second, pair.j)
        if table[together].sum() == 0:
            seeded[together] = independent[together]
    return seeded


def _constraints(table: Table, pairs: Sequence[Pair]) -> _Constraints:
    rows: list[NDArray[np.bool_]] = []
    gains: list[float] = []
    for pair in pairs:
        one = _indices(table, pair.first, pair.i)
        other = _indices(table, pair.second, pair.j)
        one_rest, other_rest = one & ~other, other & ~one
        gain = min(table[one_rest].sum(), table[other_rest].sum())
        # All four sums, so that a rest that is used up is seen to be exactly 0.
        rows += [one & other, one_rest, other_rest, ~one & ~other]
        gains += [gain, -gain, -gain, gain]
    for axis, size in enumerate(table.shape):
        rows += [_indices(table, axis, member) for member in range(size)]
        gains += [0.0] * size
    matrix = sparse.csr_array(np.array([row.ravel() for row in rows])).astype(np.float64)
    return _Constraints(matrix, matrix @ table.ravel(), np.array(gains))


def _indices(table: Table, axis: int, member: int) -> NDArray[np.bool_]:
    """Cells in which a member of one set fires."""
    shape = [1] * table.ndim
    shape[axis] = -1
    fires = (np.arange(table.shape[axis]) == member).reshape(shape)
    return np.broadcast_to(fires, table.shape)


def _closest(cells: Table, matrix: sparse.csr_array, target: Table) -> Table | None:
    """Cells `cells * exp(matrix.T @ multipliers)` with given sums; None if there are none.

    The multipliers are found by Newton's method, damped so that it converges from anywhere (Sun and
    Tran-Dinh, 2019: steps of log(1 + s) / s, where s is the largest change of an exponent). It
    needs a few steps where proportional fitting, near the last boost that can be had, needs many.
    """
    used_up = target <= 0
    cells = np.where(matrix[used_up].sum(axis=0) > 0, 0.0, cells)
    exponent = np.zeros_like(cells)
    for _ in range(_STEPS):
        fitted = cells * np.exp(exponent)
        missing = target - matrix @ fitted
        if np.abs(missing).max() <= TOLERANCE:
            return fitted
        curvature = (matrix * fitted[None, :]) @ matrix.T
        step = matrix.T @ np.linalg.lstsq(curvature.toarray(), missing, rcond=None)[0]
        step = np.where(cells > 0, step, 0.0)
        size = np.abs(step).max()
        exponent += step * (np.log1p(size) / size if size > 0 else 1.0)
    return None


def _largest_boost(possible: NDArray[np.bool_], constraints: _Constraints) -> float:
    """The largest boost for which the constraints can hold, rounded down to four places.

    By linear programming over the possible cells and the boost.
    """
    from scipy.optimize import linprog

    matrix = sparse.hstack([constraints.matrix[:, possible], -constraints.gain[:, None]])
    objective = np.zeros(matrix.shape[1])
    objective[-1] = -1
    bounds = [(0, None)] * (matrix.shape[1] - 1) + [(0, 1)]
    found = linprog(objective, A_eq=matrix, b_eq=constraints.now, bounds=bounds)
    rounding_of_solver = 1e-9
    return math.floor(1e4 * (found.x[-1] + rounding_of_solver)) / 1e4
