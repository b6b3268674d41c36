"""Sums over few rows of a table, for compiled kernels.

All that belongs to a member lies in one float32 array, `memory`, and is named by where it begins. A
table's rows have `stride` elements, a multiple of `LANES`; those beyond the dimensions are 0 and
stay 0. The rows that a function touches are `rows[:n]`, each with a number in `memory`.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from toysae.compiled import njit
from toysae.training.kernels.simd import fma, lane_sum, load, splat, store
from toysae.training.kernels.simd_bundles import dot, fma_each, load_each, store_each
from toysae.training.kernels.simd_types import INNER, JIT, LANES

#: Options of what is called for every sample: a call would cost more than the work.
INLINE: dict[str, Any] = {**INNER, "forceinline": True}


@intrinsic
def peek(typingctx, array, offset):
    """The element at `offset` of a contiguous array, neither checked nor counted from the end."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), codegen


@intrinsic
def poke(typingctx, array, offset, value):
    """Write the element at `offset` of a contiguous array, as `peek` reads it."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@njit(**INLINE)
def weighted_sum(memory, n, rows, values, start, table, stride, out):
    """`out = start + sum_e values[e] table[rows[e]]`."""
    column = 0
    while stride - column >= 4 * LANES:
        _weighted_sum((0, 0, 0, 0), memory, n, rows, values, start, table, stride, out, column)
        column += 4 * LANES
    while stride - column >= 2 * LANES:
        _weighted_sum((0, 0), memory, n, rows, values, start, table, stride, out, column)
        column += 2 * LANES
    if column < stride:
        _weighted_sum((0,), memory, n, rows, values, start, table, stride, out, column)


@njit(**INLINE)
def _weighted_sum(columns, memory, n, rows, values, start, table, stride, out, column):
    total = load_each(columns, memory, start + column, LANES)
    for e in range(n):
        row = load_each(columns, memory, table + peek(rows, e) * stride + column, LANES)
        total = fma_each(splat(peek(memory, values + e)), row, total)
    store_each(memory, out + column, LANES, total)


@njit(**INLINE)
def back_through_sum(memory, n, rows, values, slope, table, stride, gradient, along):
    """Gradients of `weighted_sum`, if the loss has gradient `slope` by its outcome.

    `along[e] = slope . table[rows[e]]`, the gradient by `values[e]`; and `values[e] slope` is added
    to the row `rows[e]` of `gradient`.
    """
    for e in range(n):
        memory[along + e] = 0
    column = 0
    while stride - column >= 4 * LANES:
        _back_through_sum(
            (0, 0, 0, 0), memory, n, rows, values, slope, table, stride, gradient, along, column
        )
        column += 4 * LANES
    while stride - column >= LANES:
        _back_through_sum(
            (0,), memory, n, rows, values, slope, table, stride, gradient, along, column
        )
        column += LANES


@njit(**INLINE)
def _back_through_sum(
    columns, memory, n, rows, values, slope, table, stride, gradient, along, column
):
    s = load_each(columns, memory, slope + column, LANES)
    for e in range(n):
        at = rows[e] * stride + column
        row = load_each(columns, memory, table + at, LANES)
        memory[along + e] += lane_sum(dot(s, row, splat(0)))
        old = load_each(columns, memory, gradient + at, LANES)
        new = fma_each(splat(memory[values + e]), s, old)
        store_each(memory, gradient + at, LANES, new)


@njit(**INLINE)
def add_to_rows(memory, n, rows, values, x, first, stride, table):
    """Adds `values[e]` times the row of `x` that begins at `first` to the rows `rows[e]`."""
    for column in range(0, stride, LANES):
        row = load(x, first + column)
        for e in range(n):
            at = table + rows[e] * stride + column
            store(memory, at, fma(splat(memory[values + e]), row, load(memory, at)))


@njit(**INLINE)
def add_rows(memory, table, n, stride, out):
    """Adds the first `n` rows of a table to `out`."""
    for column in range(0, stride, LANES):
        total = load(memory, out + column)
        for row in range(table + column, table + column + n * stride, stride):
            total = total + load(memory, row)
        store(memory, out + column, total)


@njit(**INLINE)
def row_dot(memory, a, b, length):
    """Sum of products of `length` elements from `a` on with those from `b` on."""
    total = splat(0)
    for i in range(0, length, LANES):
        total = fma(load(memory, a + i), load(memory, b + i), total)
    return lane_sum(total)


@njit(**INLINE)
def add_row(memory, factor, a, b, length):
    """Adds `factor` times `length` elements from `a` on to those from `b` on."""
    for i in range(0, length, LANES):
        store(memory, b + i, fma(splat(factor), load(memory, a + i), load(memory, b + i)))


@njit("void(float32[:, :, :], float32[:, :, ::1])", **JIT)
def copy_to_rows(x, out):
    """Copies `x [steps, batch, d]`, in any memory order, to the beginnings of the rows of `out`."""
    steps, batch, d = x.shape
    for t in range(steps):
        for first in range(0, batch, LANES):
            for k in range(d):
                for s in range(first, min(first + LANES, batch)):
                    out[t, s, k] = x[t, s, k]
