"""Which latents fire, errors and slopes: ranges of samples of one large SAE, compiled."""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.simd import count, load
from toysae.training.kernels.simd_types import INNER, JIT, LANES
from toysae.training.kernels.wide_loops import (
    add_rows,
    dot_rows,
    penalise,
    row_dot,
    threshold_slope,
)

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
