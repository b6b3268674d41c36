"""Which latents may fire, told from a product of half the precision, compiled.

Samples and encoder rows are rounded to bfloat16, whose product is several times as fast. What it
can be wrong by is bounded: with `x = x' + e` and `w = w' + r`,

    |x w - x' w'| <= |x'| |r| + |e| |w|

to which the rounding of sums and of the result is added. Whatever may fire within that bound is a
candidate, and only candidates are multiplied in full. So the screen changes no outcome: it is the
bound that is trusted, not the product.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.bfloat16 import bfloat16_at, load_bfloat16
from toysae.training.kernels.selection import list_above
from toysae.training.kernels.simd import fma, lane_sum, load, maximum, splat, store
from toysae.training.kernels.simd_types import INNER, JIT, LANES
from toysae.training.kernels.wide_largest import (
    GROUPS,
    keep_largest,
    least_of_largest,
    list_from,
    list_largest,
)
from toysae.training.kernels.wide_loops import dot_rows

Array = np.ndarray[Any, Any]

_ZERO = np.float32(0)

#: Norms are widened by this factor: they are summed in float32, and that of `x'` may be larger than
#: that of `x` by a part in 256.
_SLACK = np.float32(1.0045)

#: A product comes rounded to bfloat16: by less than this share of what it comes to.
_RESULT_ROUNDING = np.float32(1.01 * 2.0**-8)

#: Sums of `d` products in float32 are wrong by at most `d` times this, relative to the norms; twice
#: the unit roundoff, because the full product is rounded as well.
_SUM_ROUNDING = np.float32(2.0**-23)

#: Squares of numbers below this are lost in float32, and with them what bounds are made of.
_TINY = np.float32(1e-18)


class Rounded(NamedTuple):
    """Rows in bfloat16, and what is lost by it.

    Attributes:
        rows: bits, `[n, d]`, uint16.
        norm: of each row before, `[n]`.
        error: of what rounding left over, and of what sums may, `[n]`.
    """

    rows: Array
    norm: Array
    error: Array


class Product(NamedTuple):
    """Samples times encoder rows, of half the precision.

    Attributes:
        bits: `[batch, width]`, uint16; `width` is the number of latents, rounded up to `LANES`.
        samples, encoder: the factors; norms and errors of latents that are not there are 0.
    """

    bits: Array
    samples: Rounded
    encoder: Rounded


@njit(**JIT)
def measure_rounding(first, last, rows, rounded):
    """Write norms and errors of rows `first` to `last`, a little above what they are."""
    d = rows.shape[1]
    for i in range(first, last):
        squares, errors = splat(_ZERO), splat(_ZERO)
        k = 0
        while k + LANES <= d:
            value = load(rows, i * d + k)
            lost = value - load_bfloat16(rounded.rows, i * d + k)
            squares, errors = fma(value, value, squares), fma(lost, lost, errors)
            k += LANES
        square, error = lane_sum(squares), lane_sum(errors)
        while k < d:
            value = rows[i, k]
            lost = value - bfloat16_at(rounded.rows, i * d + k)
            square += value * value
            error += lost * lost
            k += 1
        norm = _SLACK * np.float32(math.sqrt(square))
        rounded.norm[i] = norm
        lost = _SLACK * np.float32(math.sqrt(error))
        rounded.error[i] = lost + np.float32(d) * _SUM_ROUNDING * norm


@njit(**JIT)
def count_candidates(first, last, product, bias, floor):
    """Number of candidates on samples `first` to `last`; arguments as of `find_candidates`."""
    m, width = len(bias), product.bits.shape[1]
    memory, rows = _working_memory(bias, floor, width)
    found = 0
    for s in range(first, last):
        found += _list_candidates(s, product, memory, rows, m)
    return found


@njit(**JIT)
def find_candidates(first, last, product, x, w_enc, bias, threshold, reach, limit, entries):
    """As `wide_samples.find_active`, of the candidates alone.

    Args:
        first, last: range of samples; `limit * first` is the place of their first entry.
        product: of half the precision.
        x, w_enc: its factors in full, `[batch, d]` and `[m, d]`.
        bias, threshold: `[m]`.
        reach: half the bandwidth of the thresholds, float32.
        limit: there is room for so many entries a sample, on average.
        entries: output.

    Returns:
        Whether there was room for the candidates.
    """
    (m, d), width = w_enc.shape, product.bits.shape[1]
    floor = threshold - reach
    memory, rows = _working_memory(bias, floor, width)
    place, end = limit * first, limit * last
    for s in range(first, last):
        n = _list_candidates(s, product, memory, rows, m)
        start, stop = place, place + n
        if stop > end:
            return False
        entries.latent[start:stop] = rows[:n]
        dot_rows(x, s * d, w_enc, entries.latent, start, stop, entries.slope)
        for e in range(start, stop):
            j = entries.latent[e]
            level = entries.slope[e] + bias[j]
            # Not "above": what is not a number must be listed, so that the loss shows it.
            if not level <= floor[j]:
                entries.latent[place] = j
                entries.value[place] = _ZERO if level <= threshold[j] else level
                place += 1
        entries.start[s], entries.stop[s] = start, place
    return True


@njit(**JIT)
def count_largest_candidates(first, last, product, bias, k):
    """Number of candidates on samples `first` to `last`; see `find_largest_candidates`."""
    m, width = len(bias), product.bits.shape[1]
    memory, rows = _working_memory(bias, bias, width)
    groups, largest = np.empty(min(m, GROUPS * k), np.float32), np.empty(k, np.float32)
    found = 0
    for s in range(first, last):
        found += _list_largest_candidates(s, product, memory, rows, m, groups, largest)
    return found


@njit(**JIT)
def find_largest_candidates(first, last, product, x, w_enc, bias, k, entries):
    """As `wide_largest.find_largest`, of the candidates alone.

    The `k` largest of the lowest levels that are possible are a floor: who cannot reach the least
    of them is none of the `k` largest. Arguments as of `find_candidates`.
    """
    (m, d), width = w_enc.shape, product.bits.shape[1]
    memory, rows = _working_memory(bias, bias, width)
    groups, largest = np.empty(min(m, GROUPS * k), np.float32), np.empty(k, np.float32)
    values = np.empty(m, np.float32)
    for s in range(first, last):
        n = _list_largest_candidates(s, product, memory, rows, m, groups, largest)
        dot_rows(x, s * d, w_enc, rows, 0, n, values)
        for i in range(n):
            level = values[i] + bias[rows[i]]
            # What is not a number must be listed, so that the loss shows it.
            values[i] = level if level == level else np.float32(np.inf)
        list_largest(s, rows[:n], values[:n], largest, entries)


@njit(**INNER)
def _working_memory(bias, floor, width):
    """Room for levels, floors, biases and what is listed, one after the other; and for a list."""
    m = len(bias)
    memory = np.zeros(4 * width + LANES, np.float32)
    memory[width : width + m] = floor
    memory[2 * width : 2 * width + m] = bias
    return memory, np.empty(width + LANES, np.int32)


@njit(**INNER)
def _list_candidates(s, product, memory, rows, m):
    """List latents that may exceed their floor on sample `s`; returns how many there are."""
    width = product.bits.shape[1]
    for j in range(0, width, LANES):
        z, reach = _level(s, j, product)
        store(memory, j, z + load(memory, 2 * width + j) + reach)
    return list_above(memory, 0, width, m, rows, 3 * width)


@njit(**INNER)
def _list_largest_candidates(s, product, memory, rows, m, groups, largest):
    """List latents that may be among the largest on sample `s`; returns how many there are."""
    width = product.bits.shape[1]
    lowest = memory[width : width + m]
    for j in range(0, width, LANES):
        z, reach = _level(s, j, product)
        level = z + load(memory, 2 * width + j)
        store(memory, j, level + reach)
        store(memory, width + j, level - reach)
    for j in range(m):
        if lowest[j] != lowest[j]:
            lowest[j] = np.float32(np.inf)
    n = list_from(lowest, least_of_largest(lowest, groups, largest), rows, memory[3 * width :])
    keep_largest(memory[3 * width : 3 * width + n], largest)
    memory[width : 2 * width] = np.nextafter(largest[0], -np.float32(np.inf))
    return list_above(memory, 0, width, m, rows, 3 * width)


@njit(**INNER)
def _level(s, j, product):
    """Pre-activations of `LANES` latents without bias, and what they may be wrong by."""
    z = load_bfloat16(product.bits, s * product.bits.shape[1] + j)
    norm, error = splat(product.samples.norm[s]), splat(product.samples.error[s])
    row_norm, row_error = load(product.encoder.norm, j), load(product.encoder.error, j)
    reach = fma(norm, row_error, fma(error, row_norm, splat(_TINY)))
    return z, fma(splat(_RESULT_ROUNDING), maximum(z, -z), reach)
