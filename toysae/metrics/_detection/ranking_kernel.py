"""One sweep down the activations of a latent: rank sums, average precision and the best cut.

Samples on which a latent is silent tie at 0; they are one step of the sweep however many they are.
"""

from __future__ import annotations

from typing import Any

from toysae.compiled import njit


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_pair(
    values: Any, samples: Any, active: Any, n_positives: int, n_samples: int
) -> tuple[int, float, float, float]:
    """Rank one feature's samples by one latent.

    Args:
        values: activations that are not 0, descending, `[k]`.
        samples: their samples, `[k]`.
        active: whether the feature is active on each sample, `[n_samples]`.
        n_positives: samples on which it is active, at least 1.
        n_samples: all samples.

    Returns:
        Twice the sum of the midranks of the positives counted from the top, the sum of precisions
        at them, the best F1, and the lowest activation that counts as positive there.
    """
    n_fired = len(values)
    silent_hits = n_positives
    for t in samples:
        silent_hits -= active[t]
    ranks, precisions, best, cut = 0, 0.0, 0.0, 0.0
    start, above, hits_above = 0, 0, 0
    silent_left = n_samples > n_fired
    while start < n_fired or silent_left:
        before = above
        if silent_left and (start == n_fired or values[start] < 0):
            silent_left = False
            value, hits = 0.0, silent_hits
            above += n_samples - n_fired
        else:
            value, hits = values[start], 0
            while start < n_fired and values[start] == value:
                hits += active[samples[start]]
                start += 1
                above += 1
        hits_above += hits
        ranks += hits * (before + above + 1)
        precisions += hits * (hits_above / above)
        f1 = 2 * hits_above / (above + n_positives)
        if f1 > best:
            best, cut = f1, value
    return ranks, precisions, best, cut


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_all(
    values: Any,
    samples: Any,
    offsets: Any,
    features: Any,
    positives: Any,
    n_samples: int,
    ranks: Any,
    precisions: Any,
    best: Any,
    cut: Any,
) -> None:
    """As `sweep_pair`, one latent for all features at once.

    Args:
        values, samples: as of `sweep_pair`.
        offsets, features: active features of each sample, as the rows of a sparse matrix.
        positives: samples on which each feature is active, `[n]`.
        n_samples: all samples.
        ranks, precisions, best, cut: output, `[n]`, zeros.
    """
    n_fired = len(values)
    silent_hits = positives.copy()
    for t in samples:
        for p in range(offsets[t], offsets[t + 1]):
            silent_hits[features[p]] -= 1
    hits_above = positives.copy()
    hits_above[:] = 0
    start, above = 0, 0
    silent_left = n_samples > n_fired
    while start < n_fired or silent_left:
        before = above
        if silent_left and (start == n_fired or values[start] < 0):
            silent_left = False
            above += n_samples - n_fired
            for i in range(len(positives)):
                hits = silent_hits[i]
                hits_above[i] += hits
                ranks[i] += hits * (before + above + 1)
                precisions[i] += hits * (hits_above[i] / above)
                f1 = 2 * hits_above[i] / (above + positives[i])
                if f1 > best[i]:
                    best[i], cut[i] = f1, 0.0
        else:
            first, value = start, values[start]
            while start < n_fired and values[start] == value:
                start += 1
            above += start - first
            for k in range(first, start):
                for p in range(offsets[samples[k]], offsets[samples[k] + 1]):
                    hits_above[features[p]] += 1
            for k in range(first, start):
                for p in range(offsets[samples[k]], offsets[samples[k] + 1]):
                    i = features[p]
                    ranks[i] += before + above + 1
                    precisions[i] += hits_above[i] / above
                    f1 = 2 * hits_above[i] / (above + positives[i])
                    if f1 > best[i]:
                        best[i], cut[i] = f1, value
