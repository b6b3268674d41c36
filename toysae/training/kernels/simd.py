"""Vectors of 16 float32 lanes for kernels that Numba compiles.

Numba vectorises a sum over a loop only if the compiler may choose the order of its additions
(`fastmath`), and it chooses differently when it loads a kernel from the disk cache. With these
vectors the order is written down: a kernel gives the same bits on any CPU, fresh or cached. Where a
CPU has shorter registers, LLVM splits the vectors.

A bundle is a tuple of vectors, which stay in registers. What makes bundles takes their length as
that of a tuple, `dims`, because Numba compiles a version for every length of a tuple: to the
compiler, unlike an integer, it is a constant.

Offsets and strides count elements in memory from the first one of a contiguous array, whatever its
number of axes, and are not checked: a vector needs `LANES` elements from its offset on.

Kernels are compiled with `JIT`, functions that only they call with `INNER`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16

_OPTIONS = {"nogil": True, "error_model": "numpy"}

#: Options of what Python calls. No `fastmath`: bits would differ, and divergence, told by values
#: that are not finite, could go unseen.
JIT: dict[str, Any] = {**_OPTIONS, "cache": True}

#: Options of what only compiled code calls. It is kept on disk with its caller.
INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_ALIGNMENT = 4


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(name="boolx16")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _MASK)


vector = _Vector()
mask = _Mask()


def _define_operator(
    function: Callable[..., Any], build: Callable[..., Any], result: Any, *operands: Any
) -> None:
    """Give Python's `function` a meaning for vectors or masks in compiled code."""

    @infer_global(function)
    class _Template(ConcreteTemplate):
        cases = [signature(result, *operands)]  # noqa: RUF012

    @lower_builtin(function, *operands)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build(builder, *args)


_define_operator(operator.add, ir.IRBuilder.fadd, vector, vector, vector)
_define_operator(operator.sub, ir.IRBuilder.fsub, vector, vector, vector)
_define_operator(operator.mul, ir.IRBuilder.fmul, vector, vector, vector)
_define_operator(operator.truediv, ir.IRBuilder.fdiv, vector, vector, vector)
_define_operator(operator.neg, ir.IRBuilder.fneg, vector, vector)
for _function, _symbol in (
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.lt, "<"),
    (operator.eq, "=="),
):
    _define_operator(
        _function,
        lambda builder, a, b, symbol=_symbol: builder.fcmp_ordered(symbol, a, b),
        mask,
        vector,
        vector,
    )
_define_operator(operator.and_, ir.IRBuilder.and_, mask, mask, mask)
_define_operator(operator.or_, ir.IRBuilder.or_, mask, mask, mask)
_define_operator(operator.invert, ir.IRBuilder.not_, mask, mask)


def _is_float32_array(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.float32 and array.layout == "C"


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Address of one float."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def _load(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    address = _pointer(context, builder, array_type, array, offset)
    return builder.load(builder.bitcast(address, _VECTOR.as_pointer()), align=_ALIGNMENT)


def _store(
    context: Any, builder: Any, array_type: Any, array: Any, offset: Any, value: Any
) -> None:
    address = _pointer(context, builder, array_type, array, offset)
    builder.store(value, builder.bitcast(address, _VECTOR.as_pointer()), align=_ALIGNMENT)


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, _index(0))
    return builder.shuffle_vector(first, first, ir.Constant(_INTS, [0] * LANES))


def _index(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


def _llvm(builder: Any, name: str, *operands: Any) -> Any:
    """A function of vectors that LLVM knows."""
    function_type = ir.FunctionType(_VECTOR, [_VECTOR] * len(operands))
    function = cgutils.get_or_insert_function(
        builder.module, function_type, f"llvm.{name}.v{LANES}f32"
    )
    return builder.call(function, operands)


def _sum(builder: Any, value: Any) -> Any:
    """Upper half onto lower half, until one lane is left."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        indices = ir.VectorType(ir.IntType(32), lanes)
        lower = ir.Constant(indices, list(range(lanes)))
        upper = ir.Constant(indices, list(range(lanes, 2 * lanes)))
        value = builder.fadd(
            builder.shuffle_vector(value, value, lower), builder.shuffle_vector(value, value, upper)
        )
    return builder.extract_element(value, _index(0))


@intrinsic
def load(typingctx, array, offset):
    """`LANES` consecutive elements of a contiguous float32 array."""
    if not _is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        return _load(context, builder, sig.args[0], *args)

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Write a vector to `LANES` consecutive elements of a contiguous float32 array."""
    if not _is_float32_array(array) or value != vector:
        return None

    def codegen(context, builder, sig, args):
        _store(context, builder, sig.args[0], *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def splat(typingctx, scalar):
    """A number, as float32, in every lane."""
    if not isinstance(scalar, types.Number):
        return None
    return vector(types.float32), lambda context, builder, sig, args: _splat(builder, *args)


@intrinsic
def fma(typingctx, a, b, c):
    """`a b + c`, rounded once."""
    if not a == b == c == vector:
        return None
    return vector(a, b, c), lambda context, builder, sig, args: _llvm(builder, "fma", *args)


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

    return vector(value), lambda context, builder, sig, args: _llvm(builder, "sqrt", *args)


@intrinsic
def power_of_two(typingctx, exponents):
    """`2^n` for whole numbers `-126 <= n <= 127`; anything elsewhere."""
    if exponents != vector:
        return None

    def codegen(context, builder, sig, args):
        biased = builder.add(builder.fptosi(args[0], _INTS), ir.Constant(_INTS, [127] * LANES))
        bits = builder.shl(biased, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(bits, _VECTOR)

    return vector(exponents), codegen


@intrinsic
def exponent(typingctx, value):
    """The whole number `n` with `2^n <= value < 2^(n + 1)`, for positive normal values."""
    if value != vector:
        return None

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], _INTS)
        biased = builder.lshr(bits, ir.Constant(_INTS, [23] * LANES))
        return builder.sitofp(builder.sub(biased, ir.Constant(_INTS, [127] * LANES)), _VECTOR)

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
        lanes = ir.Constant(_INTS, list(range(LANES)))
        first = builder.insert_element(ir.Constant(_INTS, ir.Undefined), args[0], _index(0))
        counts = builder.shuffle_vector(first, first, ir.Constant(_INTS, [0] * LANES))
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
    return types.float32(value), lambda context, builder, sig, args: _sum(builder, *args)


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
        zero = ir.Constant(_VECTOR, None)
        return context.make_tuple(builder, bundle, [zero] * dims.count)

    return bundle(dims), codegen


@intrinsic
def load_each(typingctx, dims, array, offset, stride):
    """A bundle of vectors, the first at `offset`, each `stride` after the one before."""
    if not _is_dims(dims) or not _is_float32_array(array):
        return None
    bundle = types.UniTuple(vector, dims.count)

    def codegen(context, builder, sig, args):
        vectors = [
            _load(context, builder, array, args[1], position)
            for position in _offsets(builder, args[2], args[3], dims.count)
        ]
        return context.make_tuple(builder, bundle, vectors)

    return bundle(dims, array, types.intp, types.intp), codegen


@intrinsic
def store_each(typingctx, array, offset, stride, bundle):
    """Write the vectors of a bundle, the first at `offset`, each `stride` after the one before."""
    if not _is_bundle(bundle) or not _is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        offsets = _offsets(builder, args[1], args[2], bundle.count)
        for position, value in zip(offsets, cgutils.unpack_tuple(builder, args[3], bundle.count)):
            _store(context, builder, array, args[0], position, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, bundle), codegen


@intrinsic
def splat_each(typingctx, dims, array, offset, stride):
    """A bundle of single elements, each in all lanes of its vector."""
    if not _is_dims(dims) or not _is_float32_array(array):
        return None
    bundle = types.UniTuple(vector, dims.count)

    def codegen(context, builder, sig, args):
        vectors = [
            _splat(builder, builder.load(_pointer(context, builder, array, args[1], position)))
            for position in _offsets(builder, args[2], args[3], dims.count)
        ]
        return context.make_tuple(builder, bundle, vectors)

    return bundle(dims, array, types.intp, types.intp), codegen


@intrinsic
def store_sums(typingctx, array, offset, stride, bundle):
    """Write the `lane_sum` of every vector of a bundle."""
    if not _is_bundle(bundle) or not _is_float32_array(array):
        return None

    def codegen(context, builder, sig, args):
        offsets = _offsets(builder, args[1], args[2], bundle.count)
        for position, value in zip(offsets, cgutils.unpack_tuple(builder, args[3], bundle.count)):
            builder.store(
                _sum(builder, value), _pointer(context, builder, array, args[0], position)
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
        vectors = [_llvm(builder, "fma", *terms) for terms in zip(*operands)]
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
            total = _llvm(builder, "fma", left, right, total)
        return total

    return vector(a, b, start), codegen
