"""Which latents take part: lists of few out of many, for compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from toysae.training.kernels.rows import INLINE
from toysae.training.kernels.simd import INNER, LANES, load, mask

#: Latents whose bits share a word.
_WORD = 64
_ONE = np.uint64(1)


@intrinsic
def _bits(typingctx: Any, condition: Any) -> Any:
    """The lanes of a mask as the lowest bits of a word."""
    if condition != mask:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), ir.IntType(_WORD))

    return types.uint64(condition), codegen


@intrinsic
def _lowest(typingctx: Any, word: Any) -> Any:
    """Position of the lowest bit of a word that is not 0."""
    if word != types.uint64:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), codegen


@njit(**INLINE)
def list_above(memory, z, floor, n, rows, values):
    """Positions `j < n` where `z[j]` exceeds `floor[j]` or is NaN, and what is there.

    `z`, `floor` and `values` are where these begin in `memory`. The first two are read up to the
    next multiple of `LANES`.

    Returns:
        How many were written to `rows` and `values`, in rising order of `j`.
    """
    found = 0
    for base in range(0, n, _WORD):
        word = np.uint64(0)
        for lane in range(0, min(_WORD, n - base), LANES):
            at = base + lane
            above = ~(load(memory, floor + at) >= load(memory, z + at))
            word |= _bits(above) << np.uint64(lane)
        if n - base < _WORD:
            word &= (_ONE << np.uint64(n - base)) - _ONE
        while word != np.uint64(0):
            j = base + _lowest(word)
            rows[found] = j
            memory[values + found] = memory[z + j]
            found += 1
            word &= word - _ONE
    return found


@njit(**INLINE)
def ordered(value):
    """An integer that grows with a float32: a total order, NaN at its ends."""
    bits = np.float32(value).view(np.int32)
    return bits if bits >= 0 else bits ^ np.int32(0x7FFFFFFF)


@njit(**INNER)
def kth_largest(keys, n, k):
    """The `k`-th largest (from 1) of the integers `keys[:n]`, which are put into another order.

    Quickselect without branches that depend on the order of the keys.
    """
    low, high = 0, n
    while True:
        pivot = _middle(keys[low], keys[(low + high) // 2], keys[high - 1])
        larger = low
        for i in range(low, high):
            key = keys[i]
            keys[i] = keys[larger]
            keys[larger] = key
            larger += key > pivot
        if k <= larger:
            high = larger
            continue
        equal = larger
        for i in range(larger, high):
            key = keys[i]
            keys[i] = keys[equal]
            keys[equal] = key
            equal += key == pivot
        if k <= equal:
            return pivot
        low = equal


@njit(**INNER)
def _middle(a, b, c):
    return max(min(a, b), min(max(a, b), c))


@njit(**INNER)
def keep_largest(memory, rows, values, keys, n, k):
    """Shorten a list of `n` to its `k` largest values, the first of those equal at the cut.

    Returns:
        The new length, `min(n, k)`.
    """
    if n <= k:
        return n
    for e in range(n):
        keys[e] = ordered(memory[values + e])
    cut, ties = cut_of(keys, n, k)
    kept = 0
    for e in range(n):
        key = ordered(memory[values + e])
        tie = key == cut
        if key > cut or (tie and ties > 0):
            ties -= tie
            rows[kept] = rows[e]
            memory[values + kept] = memory[values + e]
            kept += 1
    return kept


@njit(**INNER)
def cut_of(keys, n, k):
    """The `k`-th largest of `keys[:n]`, and how many equal to it are among the `k` largest."""
    cut = kth_largest(keys, n, k)
    larger = 0
    for i in range(n):
        larger += keys[i] > cut
    return cut, k - larger
