"""The `k` largest latents of each sample of one large SAE, compiled."""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.simd import count, load, maximum, splat, store
from toysae.training.kernels.simd_types import INNER, JIT, LANES

#: Where the `k` largest are searched, maxima of so many times `k` groups come first: about `1.15 k`
#: levels reach the `k`-th of them.
GROUPS = 4

_ZERO = np.float32(0)


@njit(**JIT)
def find_largest(first, last, z, bias, k, entries):
    """List those of each sample's `k` largest `z + bias` that are positive.

    Arguments as of `wide_samples.find_active`.
    """
    m = len(bias)
    levels, largest = np.empty(m, np.float32), np.empty(k, np.float32)
    groups = np.empty(min(m, GROUPS * k), np.float32)
    latents, values = np.empty(m, np.int32), np.empty(m, np.float32)
    for s in range(first, last):
        for j in range(m):
            level = z[s, j] + bias[j]
            # What is not a number must be listed, so that the loss shows it.
            levels[j] = level if level == level else np.float32(np.inf)
        # There are `k` groups, and more levels, that reach the `k`-th largest of their maxima.
        least = least_of_largest(levels, groups, largest)
        n = list_from(levels, least, latents, values)
        list_largest(s, latents[:n], values[:n], largest, entries)


@njit(**INNER)
def list_largest(s, latents, values, largest, entries):
    """List those of the `k = len(largest)` largest values that are positive; `k` fit in there."""
    k, n = len(largest), len(values)
    keep_largest(values, largest)
    cut, ties, place = largest[0], k, k * s
    for value in largest:
        ties -= value > cut
    entries.start[s] = place
    for i in range(n):
        level = values[i]
        if level >= cut and level > _ZERO:
            ties -= level == cut
            if level > cut or ties >= 0:
                entries.latent[place] = latents[i]
                entries.value[place] = level
                place += 1
    entries.stop[s] = place


@njit(**INNER)
def least_of_largest(levels, groups, largest):
    """A level that at least `len(largest)` of the `levels` reach, and few more."""
    _find_maxima(levels, groups)
    keep_largest(groups, largest)
    return largest[0]


@njit(**INNER)
def _find_maxima(values, maxima):
    """Deal `values` out over as many groups as there are `maxima`, and write those of each."""
    width = len(maxima)
    maxima[:] = values[:width]
    for low in range(width, len(values), width):
        n, i = min(width, len(values) - low), 0
        while i + LANES <= n:
            store(maxima, i, maximum(load(maxima, i), load(values, low + i)))
            i += LANES
        while i < n:
            maxima[i] = max(maxima[i], values[low + i])
            i += 1


@njit(**INNER)
def list_from(values, least, places, found):
    """List values from `least` on and their places; returns how many there are."""
    n = 0
    for low in range(0, len(values), LANES):
        high = min(low + LANES, len(values))
        if high - low == LANES and count(load(values, low) >= splat(least)) == 0:
            continue
        for i in range(low, high):
            if values[i] >= least:
                places[n] = i
                found[n] = values[i]
                n += 1
    return n


@njit(**INNER)
def keep_largest(values, heap):
    """Make `heap` the largest of `values`, in the order of a heap: the least of them first."""
    k = len(heap)
    heap[:] = values[:k]
    for i in range(k // 2 - 1, -1, -1):
        _sink(heap, i)
    for j in range(k, len(values)):
        if values[j] > heap[0]:
            heap[0] = values[j]
            _sink(heap, 0)


@njit(**INNER)
def _sink(heap, i):
    """Move an element down until none below is less."""
    k, value = len(heap), heap[i]
    while 2 * i + 1 < k:
        child = 2 * i + 1
        if child + 1 < k and heap[child + 1] < heap[child]:
            child += 1
        if not heap[child] < value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value
