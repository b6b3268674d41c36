"""How well a feature is detected by several latents together, found one by one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

MIN_JUMP = 0.03
"""F1 that one more latent must add to belong to a union (`f1_jump_threshold` of SAEBench)."""

ROUNDING = 1e-12
"""A jump that is short of `MIN_JUMP` by less than this is exactly that."""

Bools = NDArray[np.bool_]


class Union(NamedTuple):
    """Latents that detect a feature together."""

    latents: list[int]
    """In the order in which they joined; the first is the best single one."""
    f1: float
    """F1 of "any of them fires"; NaN without latents."""


def greedy_union(
    active: Bools, fired: csc_array, candidates: NDArray[np.int64], max_overlap: float = np.inf
) -> Union:
    """Joins latents as long as one of them adds at least `MIN_JUMP` to the F1 of their union.

    Args:
        active: where the feature is active, `[N]`.
        fired: 1 where each latent fires, `[N, m]`.
        candidates: latents that may join.
        max_overlap: a latent joins only if its Jaccard overlap with each member is below this.

    Returns:
        No latents where none detects the feature, or it is never active.
    """
    samples = {int(j): fired.indices[fired.indptr[j] : fired.indptr[j + 1]] for j in candidates}
    n_active = np.count_nonzero(active)
    if not n_active:
        return Union([], math.nan)
    union = np.zeros(len(active), dtype=bool)
    members: list[int] = []
    reached = 0.0
    while samples:
        hits, size = np.count_nonzero(active & union), np.count_nonzero(union)
        values = {}
        for j, rows in samples.items():
            new = rows[~union[rows]]
            values[j] = 2 * (hits + np.count_nonzero(active[new])) / (n_active + size + len(new))
        best = max(values, key=lambda j: (values[j], -j))
        needed = reached + MIN_JUMP - ROUNDING if members else ROUNDING
        if values[best] < needed:
            break
        joined = samples.pop(best)
        samples = {j: rows for j, rows in samples.items() if _jaccard(rows, joined) < max_overlap}
        union[joined] = True
        members.append(best)
        reached = values[best]
    return Union(members, reached if members else math.nan)


def _jaccard(a: NDArray[np.int32], b: NDArray[np.int32]) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
