"""Which latents fire, errors and slopes: ranges of samples of one large SAE, compiled."""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.simd import INNER, JIT, LANES, count, load, maximum, splat, store
from toysae.training.kernels.wide_loops import (
    add_rows,
    dot_rows,
    penalise,
    row_dot,
    threshold_slope,
)

#: Where the `k` largest are searched, maxima of so many times `k` groups come first: about `1.15 k`
#: levels reach the `k`-th of them.
_GROUPS = 4

_ZERO = np.float32(0)
_TWO = np.float32(2)


@njit(**JIT)
def take_samples(first, last, columns, begin, rows):
    """`rows[first:last] = columns[:, begin + first : begin + last].T`, in squares."""
    d = len(columns)
    for top in range(first, last, LANES):
        for left in range(0, d, LANES):
            for s in range(top, min(top + LANES, last)):
                for k in range(left, min(left + LANES, d)):
                    rows[s, k] = columns[k, begin + s]


@njit(**JIT)
def find_active(first, last, z, bias, threshold, reach, limit, entries):
    """List entries of samples `first` to `last`: where `z + bias > threshold - reach`.

    Args:
        first, last: range of samples; `limit * first` is the place of their first entry.
        z: pre-activations without bias, `[batch, m]`.
        bias, threshold: `[m]`.
        reach: half the bandwidth of the thresholds, float32.
        limit: there is room for so many entries a sample, on average.
        entries: output.

    Returns:
        Whether there was room.
    """
    m = len(bias)
    floor = threshold - reach
    place, end = limit * first, limit * last
    for s in range(first, last):
        entries.start[s] = place
        for low in range(0, m, LANES):
            high = min(low + LANES, m)
            if _all_silent(z, s * m, bias, floor, low, high):
                continue
            if end - place < high - low:
                return False
            for j in range(low, high):
                level = z[s, j] + bias[j]
                # Not "above": what is not a number must be listed, so that the loss shows it.
                if not level <= floor[j]:
                    entries.latent[place] = j
                    entries.value[place] = _ZERO if level <= threshold[j] else level
                    place += 1
        entries.stop[s] = place
    return True


@njit(**INNER)
def _all_silent(z, at, bias, floor, low, high):
    """Whether the latents `low` to `high` are, if they fill a vector; else False."""
    if high - low < LANES:
        return False
    levels = load(z, at + low) + load(bias, low)
    return count(load(floor, low) >= levels) == LANES


@njit(**JIT)
def find_largest(first, last, z, bias, k, entries):
    """List those of each sample's `k` largest `z + bias` that are positive; arguments as above."""
    m = len(bias)
    levels, largest = np.empty(m, np.float32), np.empty(k, np.float32)
    groups = np.empty(min(m, _GROUPS * k), np.float32)
    latents, values = np.empty(m, np.int32), np.empty(m, np.float32)
    for s in range(first, last):
        for j in range(m):
            level = z[s, j] + bias[j]
            # What is not a number must be listed, so that the loss shows it.
            levels[j] = level if level == level else np.float32(np.inf)
        # There are `k` groups, and more levels, that reach the `k`-th largest of their maxima.
        _find_maxima(levels, groups)
        _keep_largest(groups, largest)
        n = _list_from(levels, largest[0], latents, values)
        _keep_largest(values[:n], largest)
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
def _list_from(values, least, places, found):
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
def _keep_largest(values, heap):
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


@njit(**JIT)
def sort_entries(entries, by_latent):
    """Counting sort of all entries, which keeps the order of samples."""
    start = by_latent.start
    start[:] = 0
    for s in range(len(entries.start)):
        for e in range(entries.start[s], entries.stop[s]):
            start[entries.latent[e] + 1] += 1
    for j in range(len(start) - 1):
        start[j + 1] += start[j]
    place = start[:-1].copy()
    for s in range(len(entries.start)):
        for e in range(entries.start[s], entries.stop[s]):
            j = entries.latent[e]
            to = place[j]
            place[j] += 1
            by_latent.sample[to] = s
            by_latent.value[to] = entries.value[e]
            by_latent.slope[to] = entries.slope[e]


@njit(**JIT)
def reconstruct(first, last, place, entries, batch, w_dec, penalty, fire_threshold, sums):
    """Errors, and the slopes of the entries of samples `first` to `last`, the `place`-th range."""
    d = batch.x.shape[1]
    sums.b_dec[place] = _ZERO
    total_error, total_penalty, firings = 0.0, 0.0, 0
    for s in range(first, last):
        start, stop = entries.start[s], entries.stop[s]
        batch.error[s] = _ZERO
        add_rows(batch.error[s], w_dec, entries.latent, entries.value, start, stop)
        total_error += _close_error(s, batch, sums.b_dec[place])
        dot_rows(batch.error, s * d, w_dec, entries.latent, start, stop, entries.slope)
        for e in range(start, stop):
            f = entries.value[e]
            firings += f > fire_threshold
            if not f <= _ZERO:
                value, slope = penalise(penalty, entries.latent[e], f)
                total_penalty += value
                entries.slope[e] += slope
    sums.error[place] = total_error
    sums.penalty[place] = total_penalty
    sums.firings[place] = firings


@njit(**JIT)
def close_errors(first, last, place, batch, sums):
    """From `f W_dec` in `batch.error` to the derivative of the loss, and the sums of both."""
    sums.b_dec[place] = _ZERO
    total = 0.0
    for s in range(first, last):
        total += _close_error(s, batch, sums.b_dec[place])
    sums.error[place] = total


@njit(**INNER)
def _close_error(s, batch, of_bias):
    """The same for one sample: its share of the mean weighted error."""
    samples, d = batch.x.shape
    error, x = batch.error[s], batch.x[s]
    for k in range(d):
        error[k] += batch.offset[k] - x[k]
    squared = row_dot(batch.error, s * d, batch.error, s * d, d)
    scale = _TWO * batch.weight[s] / np.float32(samples)
    for k in range(d):
        error[k] *= scale
        of_bias[k] += error[k]
    return batch.weight[s] * squared / samples


@njit(**JIT)
def activate(first, last, z, bias, threshold, f):
    """Add the bias to `z`, in place, and write the activations to `f`, both `[batch, m]`."""
    for s in range(first, last):
        levels, row = z[s], f[s]
        for j in range(len(bias)):
            level = levels[j] + bias[j]
            levels[j] = level
            row[j] = _ZERO if level <= threshold[j] else level


@njit(**JIT)
def backward(first, last, place, z, slope, threshold, penalty, fire_threshold, sums, of_latents):
    """Turn `z` into activations and `slope` into derivatives of the loss by pre-activations.

    Args:
        first, last: range of samples, the `place`-th.
        z: pre-activations `[batch, m]`.
        slope: derivative of the error alone by the activations, `[batch, m]`.
        threshold: `[m]`.
        penalty: of the step.
        fire_threshold: a latent fires above it.
        sums, of_latents: rows to write to.
    """
    m = len(threshold)
    of_latents.b_enc[place] = _ZERO
    of_latents.threshold[place] = _ZERO
    of_latents.along[place] = _ZERO
    of_latents.fired[place] = False
    total, firings = 0.0, 0
    for s in range(first, last):
        for j in range(m):
            level, g = z[s, j], slope[s, j]
            active = not level <= threshold[j]
            f = level if active else _ZERO
            of_latents.threshold[place, j] += threshold_slope(penalty, threshold[j], level, g)
            z[s, j] = f
            slope[s, j] = _ZERO
            if active:
                value, steepness = penalise(penalty, j, f)
                total += value
                slope[s, j] = g + steepness
                of_latents.b_enc[place, j] += slope[s, j]
                of_latents.along[place, j] += steepness * f
            if f > fire_threshold:
                firings += 1
                of_latents.fired[place, j] = True
    sums.penalty[place] = total
    sums.firings[place] = firings
