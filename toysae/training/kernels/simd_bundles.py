"""Bundles: tuples of vectors, which stay in registers.

What makes bundles takes their length as that of a tuple, `dims`, because Numba compiles a version
for every length of a tuple: to the compiler, unlike an integer, it is a constant. Offsets and
strides are as in `simd.py`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from toysae.training.kernels.simd_types import (
    VECTOR,
    call_llvm,
    is_float32_array,
    load_vector,
    pointer_to,
    splat_scalar,
    store_vector,
    sum_of_lanes,
    vector,
)


def _is_dims(dims: Any) -> bool:
    return isinstance(dims, types.UniTuple) and dims.dtype != vector


def _is_bundle(value: Any) -> bool:
    return isinstance(value, types.UniTuple) and value.dtype == vector


def _offsets(builder: Any, offset: Any, stride: Any, length: int) -> list[Any]:
    offsets = [offset]
    for _ in range(length - 1):
        offsets.append(builder.add(offsets[-1], stride))
    return offsets


def _each(builder: Any, kind: Any, value: Any, length: int) -> list[Any]:
    """The vectors of a bundle, or one vector many times."""
    if kind == vector:
        return [value] * length
    return cgutils.unpack_tuple(builder, value, length)


@intrinsic
def zeros(typingctx, dims):
    """A bundle of zeros, as long as the tuple `dims`."""
    if not _is_dims(dims):
        return None
    bundle = types.UniTuple(vector, dims.count)

    def codegen(context, builder, sig, args):
        zero = ir.Constant(VECTOR, None)
        return context.make_tuple(builder, bundle, [zero] * dims.count)

    return bundle(dims), codegen


@intrinsic
def load_each(typingctx, dims, array, offset, stride):
    """A bundle of vectors, the first at `offset`, each `stride` after the one before."""
    if not _is_dims(dims) or not is_float32_array(array):
        return None
    bundle = types.UniTuple(vector, dims.count)

    def codegen(context, builder, sig, args):
        vectors = [
            load_vector(context, builder, array, args[1], position)
            for position in _offsets(builder, args[2], args[3], dims.count)
        ]
        return context.make_tuple(builder, bundle, vectors)

    return bundle(dims, array, types.intp, types.intp), codegen


@intrinsic
def store_each(typingctx, array, offset, stride, bundle):
    """Write the vectors of a bundle, the first at `offset`, each `stride` after the one before."""
    if not _is_bundle(bundle) or not is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        offsets = _offsets(builder, args[1], args[2], bundle.count)
        for position, value in zip(offsets, cgutils.unpack_tuple(builder, args[3], bundle.count)):
            store_vector(context, builder, array, args[0], position, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, bundle), codegen


@intrinsic
def splat_each(typingctx, dims, array, offset, stride):
    """A bundle of single elements, each in all lanes of its vector."""
    if not _is_dims(dims) or not is_float32_array(array):
        return None
    bundle = types.UniTuple(vector, dims.count)

    def codegen(context, builder, sig, args):
        vectors = [
            splat_scalar(
                builder, builder.load(pointer_to(context, builder, array, args[1], position))
            )
            for position in _offsets(builder, args[2], args[3], dims.count)
        ]
        return context.make_tuple(builder, bundle, vectors)

    return bundle(dims, array, types.intp, types.intp), codegen


@intrinsic
def store_sums(typingctx, array, offset, stride, bundle):
    """Write the `lane_sum` of every vector of a bundle."""
    if not _is_bundle(bundle) or not is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        offsets = _offsets(builder, args[1], args[2], bundle.count)
        for position, value in zip(offsets, cgutils.unpack_tuple(builder, args[3], bundle.count)):
            builder.store(
                sum_of_lanes(builder, value), pointer_to(context, builder, array, args[0], position)
            )
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, bundle), codegen


@intrinsic
def fma_each(typingctx, a, b, c):
    """`a b + c` for bundles of one length; any of the three may be a single vector instead."""
    bundles = [kind for kind in (a, b, c) if kind != vector]
    if not bundles or not all(_is_bundle(kind) and kind == bundles[0] for kind in bundles):
        return None
    length = bundles[0].count

    def codegen(context, builder, sig, args):
        operands = [_each(builder, kind, value, length) for kind, value in zip(sig.args, args)]
        vectors = [call_llvm(builder, "fma", *terms) for terms in zip(*operands)]
        return context.make_tuple(builder, bundles[0], vectors)

    return bundles[0](a, b, c), codegen


@intrinsic
def dot(typingctx, a, b, start):
    """`start + a_0 b_0 + a_1 b_1 + ...` for bundles of one length, added in this order."""
    if not _is_bundle(a) or a != b or start != vector:
        return None

    def codegen(context, builder, sig, args):
        total = args[2]
        for left, right in zip(*(cgutils.unpack_tuple(builder, v, a.count) for v in args[:2])):
            total = call_llvm(builder, "fma", left, right, total)
        return total

    return vector(a, b, start), codegen
