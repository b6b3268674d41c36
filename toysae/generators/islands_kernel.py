"""Islands silence the background: one pass over the firings, for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import next_uniform

_NO_ISLAND, _SILENCED, _LEAKING = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def silence_background(
    state: Any,
    n_samples: int,
    leak: float,
    first_background: int,
    samples: Any,
    features: Any,
    quantiles: Any,
) -> int:
    """Take the firings of the background out of samples with an island, in place.

    Args:
        state: of `Draws.kernel_state`.
        n_samples: number of samples.
        leak: probability that a sample with an island keeps its background.
        first_background: features below this one belong to islands.
        samples, features, quantiles: of each firing; what is kept moves to the front, in order.

    Returns:
        How many are kept.
    """
    scene = np.full(n_samples, _NO_ISLAND, np.int8)
    for sample, feature in zip(samples, features):
        if feature < first_background and scene[sample] == _NO_ISLAND:
            scene[sample] = _LEAKING if next_uniform(state) < leak else _SILENCED
    kept = 0
    for i in range(len(samples)):
        if features[i] < first_background or scene[samples[i]] != _SILENCED:
            samples[kept] = samples[i]
            features[kept] = features[i]
            quantiles[kept] = quantiles[i]
            kept += 1
    return kept
