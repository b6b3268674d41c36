"""What compiled kernels know of vectors: types, operators, and how LLVM is told of them.

Kernels themselves use `simd.py` and `simd_bundles.py`.
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
from numba.extending import lower_builtin, models, register_model

LANES = 16

_OPTIONS = {"nogil": True, "error_model": "numpy"}

#: Options of what Python calls. No `fastmath`: bits would differ, and divergence, told by values
#: that are not finite, could go unseen.
JIT: dict[str, Any] = {**_OPTIONS, "cache": True}

#: Options of what only compiled code calls. It is kept on disk with its caller.
INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_FLOAT = ir.FloatType()
VECTOR = ir.VectorType(_FLOAT, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)

#: Bytes: offsets into arrays of four-byte numbers are any.
ALIGNMENT = 4


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(name="boolx16")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VECTOR)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, MASK)


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


def is_float32_array(array: Any) -> bool:
    """Whether this is the type of a contiguous array of float32."""
    return isinstance(array, types.Array) and array.dtype == types.float32 and array.layout == "C"


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Address of one float."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def load_vector(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """`LANES` floats from an offset on."""
    address = pointer_to(context, builder, array_type, array, offset)
    return builder.load(builder.bitcast(address, VECTOR.as_pointer()), align=ALIGNMENT)


def store_vector(
    context: Any, builder: Any, array_type: Any, array: Any, offset: Any, value: Any
) -> None:
    """Write a vector to `LANES` floats from an offset on."""
    address = pointer_to(context, builder, array_type, array, offset)
    builder.store(value, builder.bitcast(address, VECTOR.as_pointer()), align=ALIGNMENT)


def splat_scalar(builder: Any, scalar: Any) -> Any:
    """A float in every lane."""
    first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, lane_number(0))
    return builder.shuffle_vector(first, first, ir.Constant(INTS, [0] * LANES))


def lane_number(value: int) -> Any:
    """A constant that names a lane."""
    return ir.Constant(ir.IntType(32), value)


def call_llvm(builder: Any, name: str, *operands: Any) -> Any:
    """A function of vectors that LLVM knows."""
    function_type = ir.FunctionType(VECTOR, [VECTOR] * len(operands))
    function = cgutils.get_or_insert_function(
        builder.module, function_type, f"llvm.{name}.v{LANES}f32"
    )
    return builder.call(function, operands)


def sum_of_lanes(builder: Any, value: Any) -> Any:
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
    return builder.extract_element(value, lane_number(0))
