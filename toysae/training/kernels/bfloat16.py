"""Numbers of half the precision in compiled code: bfloat16, whose bits are the first of a float32.

NumPy has no such type: an array of them is one of uint16.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from toysae.training.kernels.simd_types import INTS, LANES, VECTOR, vector

_ALIGNMENT = 2


def _widened(builder: Any, bits: Any, whole: Any, floats: Any, sixteen: Any) -> Any:
    """Float32 of which `bits` are the first 16."""
    return builder.bitcast(builder.shl(builder.zext(bits, whole), sixteen), floats)


def _is_uint16_array(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.uint16 and array.layout == "C"


@intrinsic
def load_bfloat16(typingctx, array, offset):
    """`LANES` consecutive elements of a contiguous array, as float32."""
    if not _is_uint16_array(array):
        return None
    halves = ir.VectorType(ir.IntType(16), LANES)

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), halves.as_pointer())
        bits = builder.load(address, align=_ALIGNMENT)
        return _widened(builder, bits, INTS, VECTOR, ir.Constant(INTS, [16] * LANES))

    return vector(array, types.intp), codegen


@intrinsic
def bfloat16_at(typingctx, array, offset):
    """One element of a contiguous array, as float32."""
    if not _is_uint16_array(array):
        return None

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        bits = builder.load(builder.gep(data, [args[1]]), align=_ALIGNMENT)
        whole = ir.IntType(32)
        return _widened(builder, bits, whole, ir.FloatType(), ir.Constant(whole, 16))

    return types.float32(array, types.intp), codegen
