"""Vectors of 16 float32 lanes for kernels that Numba compiles.

Numba vectorises a sum over a loop only if the compiler may choose the order of its additions
(`fastmath`), and it chooses differently when it loads a kernel from the disk cache. With these
vectors the order is written down: a kernel gives the same bits on any CPU, fresh or cached. Where a
CPU has shorter registers, LLVM splits the vectors.

Offsets and strides count elements in memory from the first one of a contiguous array, whatever its
number of axes, and are not checked: a vector needs `LANES` elements from its offset on.

Kernels are compiled with `JIT`, functions that only they call with `INNER`.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from toysae.training.kernels.simd_types import (
    INTS,
    LANES,
    VECTOR,
    call_llvm,
    is_float32_array,
    lane_number,
    load_vector,
    mask,
    splat_scalar,
    store_vector,
    sum_of_lanes,
    vector,
)


@intrinsic
def load(typingctx, array, offset):
    """`LANES` consecutive elements of a contiguous float32 array."""
    if not is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        return load_vector(context, builder, sig.args[0], *args)

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Write a vector to `LANES` consecutive elements of a contiguous float32 array."""
    if not is_float32_array(array) or value != vector:
        return None

    def codegen(context, builder, sig, args):
        store_vector(context, builder, sig.args[0], *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def splat(typingctx, scalar):
    """A number, as float32, in every lane."""
    if not isinstance(scalar, types.Number):
        return None
    return vector(types.float32), lambda context, builder, sig, args: splat_scalar(builder, *args)


@intrinsic
def fma(typingctx, a, b, c):
    """`a b + c`, rounded once."""
    if not a == b == c == vector:
        return None
    return vector(a, b, c), lambda context, builder, sig, args: call_llvm(builder, "fma", *args)


@intrinsic
def maximum(typingctx, a, b):
    """The larger of `a` and `b`; `b` where one of them is NaN."""
    if not a == b == vector:
        return None

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return vector(a, b), codegen


@intrinsic
def sqrt(typingctx, value):
    """Square root, correctly rounded."""
    if value != vector:
        return None

    return vector(value), lambda context, builder, sig, args: call_llvm(builder, "sqrt", *args)


@intrinsic
def power_of_two(typingctx, exponents):
    """`2^n` for whole numbers `-126 <= n <= 127`; anything elsewhere."""
    if exponents != vector:
        return None

    def codegen(context, builder, sig, args):
        biased = builder.add(builder.fptosi(args[0], INTS), ir.Constant(INTS, [127] * LANES))
        bits = builder.shl(biased, ir.Constant(INTS, [23] * LANES))
        return builder.bitcast(bits, VECTOR)

    return vector(exponents), codegen


@intrinsic
def exponent(typingctx, value):
    """The whole number `n` with `2^n <= value < 2^(n + 1)`, for positive normal values."""
    if value != vector:
        return None

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], INTS)
        biased = builder.lshr(bits, ir.Constant(INTS, [23] * LANES))
        return builder.sitofp(builder.sub(biased, ir.Constant(INTS, [127] * LANES)), VECTOR)

    return vector(value), codegen


@intrinsic
def select(typingctx, condition, a, b):
    """`a` in the lanes of the mask `condition`, `b` in the others."""
    if condition != mask or not a == b == vector:
        return None
    return vector(condition, a, b), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def first_lanes(typingctx, n):
    """Mask of the first `n` lanes; none for `n <= 0`, all for `n >= LANES`."""
    if not isinstance(n, types.Integer):
        return None

    def codegen(context, builder, sig, args):
        lanes = ir.Constant(INTS, list(range(LANES)))
        first = builder.insert_element(ir.Constant(INTS, ir.Undefined), args[0], lane_number(0))
        counts = builder.shuffle_vector(first, first, ir.Constant(INTS, [0] * LANES))
        return builder.icmp_signed("<", lanes, counts)

    return mask(types.int32), codegen


@intrinsic
def count(typingctx, condition):
    """Number of lanes in a mask."""
    if condition != mask:
        return None

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.zext(builder.ctpop(bits), ir.IntType(64))

    return types.int64(condition), codegen


@intrinsic
def lane_sum(typingctx, value):
    """Sum over lanes: `i` and `i + 8` first, then `i` and `i + 4`, and so on; a float32."""
    if value != vector:
        return None
    return types.float32(value), lambda context, builder, sig, args: sum_of_lanes(builder, *args)
