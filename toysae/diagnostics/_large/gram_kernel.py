"""Products of all pairs of latents, from what fires alone, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toysae.compiled import njit

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def list_firings(
    first: int,
    last: int,
    offsets: Array,
    latents: Array,
    cursors: Array,
    positions: Array,
    samples: Array,
) -> None:
    """Append the firings on the samples from `first` up to `last` to the list of their latents."""
    for sample in range(first, last):
        for position in range(offsets[sample], offsets[sample + 1]):
            slot = cursors[latents[position]]
            positions[slot] = position
            samples[slot] = sample
            cursors[latents[position]] = slot + 1


@njit(cache=True, nogil=True)
def add_products(
    first: int,
    last: int,
    starts: Array,
    positions: Array,
    samples: Array,
    offsets: Array,
    latents: Array,
    values: Array,
    gram: Array,
) -> None:
    """Add to rows `first` to `last` of the Gram matrix, to the right of the diagonal.

    Each row stays in the cache while the samples of its latent are walked through; its last column
    is the sum of the latent. The order of additions is that of the samples.
    """
    for latent in range(first, last):
        row = gram[latent]
        total = 0.0
        for slot in range(starts[latent], starts[latent + 1]):
            position = positions[slot]
            value = np.float64(values[position])
            total += value
            for other in range(position, offsets[samples[slot] + 1]):
                row[latents[other]] += value * np.float64(values[other])
        row[-1] = total
