"""One sample after another through one SAE: only latents that take part are touched.

The encoder's product is dense (`products.py`); which of its outcomes take part is listed, and
decoding runs over these lists (`rows.py`). It is exact: all other terms are 0. Gradients are taken
in `sparse_latents.py`, but for those of dead latents.
"""

from __future__ import annotations

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.rows import INLINE, peek, poke
from toysae.training.kernels.simd import fma, lane_sum, load, splat, store
from toysae.training.kernels.simd_types import LANES
from toysae.training.kernels.sparse_places import STRETCH

_EPSILON = np.float32(1e-6)
_TWO = np.float32(2)


@njit(**INLINE)
def note_sample(memory, at, lists, n, z, row):
    """Enters a sample into the lists of the `n` latents that take part in it."""
    for e in range(n):
        j = peek(lists.rows, e)
        count = peek(lists.counts, j)
        entry = j * STRETCH + count
        poke(lists.counts, j, count + 1)
        poke(lists.samples, entry, row)
        poke(memory, at.taken + entry, peek(memory, z + j))


@njit(**INLINE)
def sample_error(memory, at, rules, x, first, weight, slope):
    """Weighted squared error of a sample; its gradient, of the mean over the batch, to `slope`."""
    total = splat(0)
    scale = splat(_TWO * weight / np.float32(rules.batch))
    for c in range(0, rules.stride, LANES):
        difference = load(memory, at.out + c) - load(x, first + c)
        total = fma(difference, difference, total)
        store(memory, slope + c, scale * difference)
    return weight * lane_sum(total)
