"""Which latents take part: lists of few out of many, for compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from toysae.compiled import njit
from toysae.training.kernels.rows import INLINE, peek, poke
from toysae.training.kernels.simd import count, first_lanes, load
from toysae.training.kernels.simd_types import (
    ALIGNMENT,
    INNER,
    INTS,
    LANES,
    MASK,
    VECTOR,
    mask,
    vector,
)

_LEAST, _LARGEST = np.int32(-(2**31)), np.int32(2**31 - 1)


def _splat_int(builder: Any, scalar: Any) -> Any:
    first = ir.Constant(ir.IntType(32), 0)
    vector_of_it = builder.insert_element(ir.Constant(INTS, ir.Undefined), scalar, first)
    return builder.shuffle_vector(vector_of_it, vector_of_it, ir.Constant(INTS, [0] * LANES))


def _vector_at(context: Any, builder: Any, kind: Any, array: Any, at: Any, wanted: Any) -> Any:
    """Address of `LANES` elements of a contiguous array, as of that type of vector."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), wanted.as_pointer())


@intrinsic
def _numbers(typingctx, first):
    """The integers `first`, `first + 1`, ..., as the bits of a vector."""

    def codegen(context, builder, sig, args):
        lanes = ir.Constant(INTS, list(range(LANES)))
        return builder.bitcast(builder.add(_splat_int(builder, args[0]), lanes), VECTOR)

    return vector(types.int32), codegen


@intrinsic
def _bits(typingctx, array, at):
    """`LANES` elements of an int32 array, as the bits of a vector."""

    def codegen(context, builder, sig, args):
        address = _vector_at(context, builder, sig.args[0], *args, VECTOR)
        return builder.load(address, align=ALIGNMENT)

    return vector(array, types.intp), codegen


@intrinsic
def _store_kept(typingctx, array, at, value, kept):
    """Write the lanes of a vector that a mask keeps, and after them, up to `LANES`, anything.

    To an array of float32, or of int32 that are the vector's bits.
    """
    if value != vector or kept != mask:
        return None

    def codegen(context, builder, sig, args):
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(VECTOR, [VECTOR, MASK, VECTOR]),
            f"llvm.experimental.vector.compress.v{LANES}f32",
        )
        compressed = builder.call(compress, [*args[2:], ir.Constant(VECTOR, ir.Undefined)])
        address = _vector_at(context, builder, sig.args[0], *args[:2], VECTOR)
        builder.store(compressed, address, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, mask), codegen


@njit(**INLINE)
def list_above(memory, z, floor, n, rows, values):
    """Positions `j < n` where `z[j]` exceeds `floor[j]` or is NaN, and what is there.

    `z`, `floor` and `values` are where these begin in `memory`. The first two are read up to the
    next multiple of `LANES`; the last and `rows`, int32, are written up to `LANES` further than
    what is listed.

    Returns:
        How many were written to `rows` and `values`, in rising order of `j`.
    """
    found = 0
    for j in range(0, n, LANES):
        value = load(memory, z + j)
        above = ~(load(memory, floor + j) >= value) & first_lanes(n - j)
        _store_kept(rows, found, _numbers(j), above)
        _store_kept(memory, values + found, value, above)
        found += count(above)
    return found


@intrinsic
def _write_order(typingctx, keys, at, value):
    """Write `LANES` integers in the order of the lanes of `value`; NaN is the largest."""
    if value != vector:
        return None

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[2], INTS)
        negative = builder.ashr(bits, ir.Constant(INTS, [31] * LANES))
        flip = builder.and_(negative, ir.Constant(INTS, [0x7FFFFFFF] * LANES))
        # By its bits alone a NaN with the sign set, as x86 makes of inf - inf, would be the least.
        strange = builder.fcmp_unordered("uno", args[2], args[2])
        largest = ir.Constant(INTS, [int(_LARGEST)] * LANES)
        keys = builder.select(strange, largest, builder.xor(bits, flip))
        address = _vector_at(context, builder, sig.args[0], *args[:2], INTS)
        builder.store(keys, address, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(keys, types.intp, vector), codegen


@intrinsic
def _above(typingctx, keys, at, key):
    """Mask of those of `LANES` integers that exceed `key`."""

    def codegen(context, builder, sig, args):
        address = _vector_at(context, builder, sig.args[0], *args[:2], INTS)
        value = builder.load(address, align=ALIGNMENT)
        return builder.icmp_signed(">", value, _splat_int(builder, args[2]))

    return mask(keys, types.intp, types.int32), codegen


@njit(**INLINE)
def write_keys(memory, values, n, keys, at):
    """Integers in the order of `values`, to `keys` from `at` on, and `LANES` more.

    NaN of either sign is the largest, as for `torch.topk`. What follows the `n` integers up to a
    multiple of `LANES` is the least there is.
    """
    for e in range(0, n, LANES):
        _write_order(keys, at + e, load(memory, values + e))
    for e in range(at + n, at + n + LANES):
        poke(keys, e, _LEAST)


@njit(**INNER)
def cut_of(keys, n, k):
    """A key that fewer than `n` and no more than `k` of `keys[:n]` exceed, and what `k` lacks.

    By bisection, as no order of the keys is foreseen by the processor. Behind the `n` keys must be
    `LANES` of the least.

    Returns:
        `cut, ties`: the `k` largest are those above the cut and `ties` of those equal to it.
    """
    low, high, ties = np.int64(_LEAST), np.int64(_LARGEST), k
    while high - low > 1:
        middle = (low + high) >> 1
        above = 0
        for e in range(0, n, LANES):
            above += count(_above(keys, e, middle))
        if above == k:
            return np.int32(middle), 0
        low, high = (middle, high) if above > k else (low, middle)
        ties = ties if above > k else k - above
    return np.int32(high), ties


@njit(**INLINE)
def keep_largest(memory, rows, values, keys, n, k):
    """Shorten a list of `n` to its `k` largest values, the first of those equal at the cut.

    Returns:
        The new length, `min(n, k)`.
    """
    if n <= k:
        return n
    write_keys(memory, values, n, keys, 0)
    cut, ties = cut_of(keys, n, k)
    kept, _ = keep_from(memory, rows, values, keys, n, cut, ties)
    return kept


@njit(**INNER)
def keep_from(memory, rows, values, keys, n, cut, ties):
    """Shorten a list to what exceeds the cut and the first `ties` equal to it.

    Its keys are as from `write_keys`.

    Returns:
        The new length, and how many ties are left.
    """
    kept = 0
    if ties == 0:
        for e in range(0, n, LANES):
            above = _above(keys, e, cut)
            _store_kept(rows, kept, _bits(rows, e), above)
            _store_kept(memory, values + kept, load(memory, values + e), above)
            kept += count(above)
        return kept, ties
    for e in range(n):
        key = peek(keys, e)
        takes_tie = key == cut and ties > 0
        poke(rows, kept, peek(rows, e))
        poke(memory, values + kept, peek(memory, values + e))
        ties -= takes_tie
        kept += key > cut or takes_tie
    return kept, ties
