"""The dense product of compiled kernels: a tile of samples along all encoder directions.

Blocks of 8 samples by up to 48 latents stay in registers, which runs at the speed of a BLAS on
matrices that fit into the cache. Every pre-activation is summed in the order of the dimensions, in
whichever block it lies: its bits depend on neither its neighbours nor its place in memory.
"""

from __future__ import annotations

from toysae.compiled import njit
from toysae.training.kernels.rows import INLINE
from toysae.training.kernels.simd_bundles import fma_each, load_each, splat_each, store_each
from toysae.training.kernels.simd_types import LANES

#: Samples of a tile.
TILE = 8


@njit(**INLINE)
def encode_tile(memory, weights, bias, x, first, z, d, x_stride, z_stride):
    """`z = x weights + bias` for `TILE` samples.

    Args:
        memory: array that holds the other three.
        weights: where the encoder begins, `[d, z_stride]`.
        bias: where the bias begins, `[z_stride]`.
        x: samples in rows of `x_stride`, the tile's from element `first` on.
        z: where pre-activations go, in rows of `z_stride`, a multiple of `LANES`.
        d: number of dimensions.
    """
    vectors = z_stride // LANES
    column = 0
    while vectors == 3 or vectors > 4:
        _block((0, 0, 0), memory, weights, bias, x, first, z, d, x_stride, z_stride, column)
        column += 3 * LANES
        vectors -= 3
    while vectors >= 2:
        _block((0, 0), memory, weights, bias, x, first, z, d, x_stride, z_stride, column)
        column += 2 * LANES
        vectors -= 2
    if vectors == 1:
        _block((0,), memory, weights, bias, x, first, z, d, x_stride, z_stride, column)


@njit(**INLINE)
def _block(columns, memory, weights, bias, x, first, z, d, x_stride, z_stride, column):
    """As many vectors of columns as `columns` is long, from `column` on."""
    a = load_each(columns, memory, bias + column, LANES)
    b, c, e, f, g, h, i = a, a, a, a, a, a, a
    for k in range(d):
        w = load_each(columns, memory, weights + k * z_stride + column, LANES)
        s = splat_each((0, 0, 0, 0, 0, 0, 0, 0), x, first + k, x_stride)
        a = fma_each(s[0], w, a)
        b = fma_each(s[1], w, b)
        c = fma_each(s[2], w, c)
        e = fma_each(s[3], w, e)
        f = fma_each(s[4], w, f)
        g = fma_each(s[5], w, g)
        h = fma_each(s[6], w, h)
        i = fma_each(s[7], w, i)
    to = z + column
    store_each(memory, to, LANES, a)
    store_each(memory, to + z_stride, LANES, b)
    store_each(memory, to + 2 * z_stride, LANES, c)
    store_each(memory, to + 3 * z_stride, LANES, e)
    store_each(memory, to + 4 * z_stride, LANES, f)
    store_each(memory, to + 5 * z_stride, LANES, g)
    store_each(memory, to + 6 * z_stride, LANES, h)
    store_each(memory, to + 7 * z_stride, LANES, i)
