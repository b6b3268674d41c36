"""The children that fire, given the firings of their parents, for the CPU.

Only children of what fires are looked at, so the cost does not grow with the size of the trees.
Each kernel returns, of each child that fires, the place of its parent's firing and its own place
among all children.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import next_uniform
from toysae.generators.copula.low_rank_kernel import is_below_phi
from toysae.generators.shared_kernel import first_above


@njit(cache=True, nogil=True, error_model="numpy")
def pick_one(state: Any, features: Any, first: Any, cumulative: Any) -> Any:
    """At most one child of each firing.

    Args:
        state: random state of `toysae.draws_kernel`.
        features: which feature fires, `[firings]`.
        first: children of feature `f` are at `first[f]` to `first[f + 1]` among all children.
        cumulative: probability that this child or one before it in its family fires, given the
            parent, `[n_children]`.
    """
    origins, children = np.empty((2, len(features)), np.int64)
    count = 0
    for origin in range(len(features)):
        low, end = first[features[origin]], first[features[origin] + 1]
        if low == end:
            continue
        child = first_above(next_uniform(state), cumulative, low, end)
        if child < end:
            origins[count], children[count] = origin, child
            count += 1
    return origins[:count], children[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def decide_each(state: Any, features: Any, first: Any, probabilities: Any) -> Any:
    """Every child of each firing by itself.

    Args:
        state, features, first: as of `pick_one`.
        probabilities: of each child, given its parent, `[n_children]`.
    """
    origins, children = np.empty((2, _room(features, first)), np.int64)
    count = 0
    for origin in range(len(features)):
        for child in range(first[features[origin]], first[features[origin] + 1]):
            if next_uniform(state) < probabilities[child]:
                origins[count], children[count] = origin, child
                count += 1
    return origins[:count], children[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def decide_by_latent(
    state: Any,
    features: Any,
    first: Any,
    samples: Any,
    factors: Any,
    loadings: Any,
    thresholds: Any,
    spreads: Any,
    exclusive: bool,
) -> Any:
    """Every child of each firing by its latent; of exclusive ones a random one of those.

    Args:
        state, features, first: as of `pick_one`.
        samples: sample of each firing.
        factors: common factors, `[n_samples, rank]`, float32; `rank` is a multiple of 4.
        loadings: of each child, `[n_children, rank]`, float32.
        thresholds, spreads: of each child; it fires with probability
            `Phi((loadings . factors - threshold) / spread)`.
        exclusive: whether at most one child of a family may fire.
    """
    origins, children = np.empty((2, _room(features, first)), np.int64)
    count = 0
    for origin in range(len(features)):
        factor = factors[samples[origin]]
        willing = 0
        for child in range(first[features[origin]], first[features[origin] + 1]):
            m = _dot(factor, loadings[child])
            u = next_uniform(state)
            if not is_below_phi(u, (m - thresholds[child]) / spreads[child]):
                continue
            willing += 1
            if not exclusive or willing == 1:
                origins[count], children[count] = origin, child
                count += 1
            elif next_uniform(state) * willing < 1:
                children[count - 1] = child
    return origins[:count], children[:count]


@njit(cache=True, nogil=True)
def _room(features: Any, first: Any) -> Any:
    """Number of children of all firings."""
    room = 0
    for feature in features:
        room += first[feature + 1] - first[feature]
    return room


@njit(cache=True, nogil=True, inline="always")
def _dot(a: Any, b: Any) -> Any:
    """Inner product, in four sums that do not wait for each other."""
    s0 = s1 = s2 = s3 = np.float32(0)
    for k in range(0, len(a), 4):
        s0 += a[k] * b[k]
        s1 += a[k + 1] * b[k + 1]
        s2 += a[k + 2] * b[k + 2]
        s3 += a[k + 3] * b[k + 3]
    return (s0 + s1) + (s2 + s3)
