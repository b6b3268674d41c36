"""Firings of many samples, put in order latent by latent, for the CPU."""

from __future__ import annotations

from typing import Any

from toysae.compiled import njit


@njit(cache=True, nogil=True)
def sort_by_latent(
    first: int, last: int, offsets: Any, latents: Any, heads: Any, samples: Any, places: Any
) -> None:
    """Deal the firings of the samples `first` to `last - 1` to their latents (a counting sort).

    Args:
        first, last: range of samples.
        offsets, latents: of `SparseCodes`.
        heads: `[n_latents]` int64, where the next firing of each latent goes; moves on.
        samples: output `[k]` int32, the sample of each firing.
        places: output `[k]` int64, where in `latents` each firing stood.
    """
    for sample in range(first, last):
        for place in range(offsets[sample], offsets[sample + 1]):
            latent = latents[place]
            samples[heads[latent]] = sample
            places[heads[latent]] = place
            heads[latent] += 1
