"""Joint firings of two sparse tables, and how surprising they are, for the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from toysae.compiled import njit

JACCARD, DICE, PHI = 0, 1, 2

_ROWS_AHEAD = 64
_INTEGERS_IN_A_CACHE_LINE = 16
_NEGLIGIBLE = 1e-17


@njit(cache=True, nogil=True)
def count_joint_firings(
    first: int, firing_offsets: Any, samples: Any, offsets: Any, latents: Any, counts: Any
) -> Any:
    """Count how often latents of one table fire together with all latents of another.

    For each latent, walks the samples on which it fires; its counts stay in the cache. The samples
    lie all over the memory, so those of many firings are fetched at once before they are counted.

    Args:
        first: latent of the first row of `counts`.
        firing_offsets, samples: of `LatentFirings` of the first table.
        offsets, latents: of `SparseCodes` of the second table; latents as uint32.
        counts: output `[rows, m]` int32, zeros.

    Returns:
        A meaningless number, so that no compiler drops the fetching.
    """
    touched = np.uint32(0)
    for i in range(len(counts)):
        row = counts[i]
        last = firing_offsets[first + i + 1]
        for start in range(firing_offsets[first + i], last, _ROWS_AHEAD):
            firings = samples[start : min(start + _ROWS_AHEAD, last)]
            for sample in firings:
                for place in range(offsets[sample], offsets[sample + 1], _INTEGERS_IN_A_CACHE_LINE):
                    touched ^= latents[place]
            for sample in firings:
                for place in range(offsets[sample], offsets[sample + 1]):
                    row[latents[place]] += 1
    return touched


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _coefficient(
    kind: int, n11: Any, n1: Any, n2: Any, n_samples: Any, spread1: Any, spread2: Any
) -> float:
    """The coefficient that `kind` stands for, as `Cofiring` computes it; NaN where undefined."""
    if kind == JACCARD:
        return n11 / (n1 + n2 - n11)
    if kind == DICE:
        return 2 * n11 / (n1 + n2)
    return min(max((n11 * n_samples - n1 * n2) / (spread1 * spread2), -1.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def best_in_block(
    kind: int,
    first: int,
    counts: Any,
    n1: Any,
    n2: Any,
    n_samples: float,
    minimum: float,
    without_diagonal: bool,
    row_partners: Any,
    column_partners: Any,
) -> None:
    """Best partner of each row of a block of counts, and of each column within the block.

    Args:
        kind: `JACCARD`, `DICE` or `PHI`.
        first: latent of the first row of `counts`.
        counts: joint firings `[rows, m]` int32.
        n1, n2: firings of all latents of both tables, float64.
        n_samples: samples.
        minimum: firings that both sides need, at least 1.
        without_diagonal: whether a latent is no partner of itself.
        row_partners: output `[rows]` int64, -1 for none; the lowest index on ties.
        column_partners: output `[m]` int64, likewise.
    """
    spread1, spread2 = np.sqrt(n1 * (n_samples - n1)), np.sqrt(n2 * (n_samples - n2))
    column_best = np.full(len(n2), -2.0)
    column_partners[:] = -1
    for row in range(len(counts)):
        i = first + row
        row_best = -2.0
        row_partners[row] = -1
        if n1[i] < minimum:
            continue
        for j in range(len(n2)):
            if n2[j] < minimum or (without_diagonal and i == j):
                continue
            value = _coefficient(
                kind, float(counts[row, j]), n1[i], n2[j], n_samples, spread1[i], spread2[j]
            )
            # A value that is NaN is above nothing.
            if value > row_best:
                row_best = value
                row_partners[row] = j
            if value > column_best[j]:
                column_best[j] = value
                column_partners[j] = i


@njit(cache=True, nogil=True, error_model="numpy")
def pairs_above(
    kind: int,
    first: int,
    counts: Any,
    n1: Any,
    n2: Any,
    n_samples: float,
    minimum: float,
    above: float,
    rows: Any,
    columns: Any,
) -> int:
    """How many pairs of a block of counts have a coefficient above a threshold; and which.

    Args:
        kind, first, counts, n1, n2, n_samples, minimum: as `best_in_block`.
        above: strict.
        rows, columns: output, int64; as many are written as there is room for.
    """
    spread1, spread2 = np.sqrt(n1 * (n_samples - n1)), np.sqrt(n2 * (n_samples - n2))
    found = 0
    for row in range(len(counts)):
        i = first + row
        if n1[i] < minimum:
            continue
        for j in range(len(n2)):
            if n2[j] < minimum:
                continue
            value = _coefficient(
                kind, float(counts[row, j]), n1[i], n2[j], n_samples, spread1[i], spread2[j]
            )
            if value > above:
                if found < len(rows):
                    rows[found], columns[found] = i, j
                found += 1
    return found


@njit(cache=True, nogil=True)
def log_arrangements(n: Any, n_samples: Any) -> float:
    """`log(n! (N - n)!)`, what a latent alone adds to the probability of joint counts."""
    return math.lgamma(n + 1.0) + math.lgamma(n_samples - n + 1.0)


@njit(cache=True, nogil=True)
def upper_tail(n11: Any, n1: Any, n2: Any, n_samples: Any, log_margins: float) -> float:
    """`P(X >= n11)` for the hypergeometric overlap of sets of `n1` and `n2` out of `n_samples`.

    Args:
        n11, n1, n2, n_samples: counts, int64.
        log_margins: `log(n1! (N - n1)! n2! (N - n2)! / N!)`.
    """
    neither = n_samples - n1 - n2
    if n11 <= max(0, -neither):
        return 1.0
    above_the_mean = n11 * n_samples > n1 * n2
    k = n11 if above_the_mean else n11 - 1
    term = math.exp(
        log_margins
        - math.lgamma(k + 1.0)
        - math.lgamma(n1 - k + 1.0)
        - math.lgamma(n2 - k + 1.0)
        - math.lgamma(neither + k + 1.0)
    )
    total = term
    while term > _NEGLIGIBLE * total:
        if above_the_mean:
            term *= float(n1 - k) * float(n2 - k) / (float(k + 1) * float(neither + k + 1))
            k += 1
        else:
            term *= float(k) * float(neither + k) / (float(n1 - k + 1) * float(n2 - k + 1))
            k -= 1
        total += term
    return min(total, 1.0) if above_the_mean else max(1.0 - total, 0.0)


@njit(cache=True, nogil=True)
def upper_tails(n11: Any, n1: Any, n2: Any, n_samples: Any, tails: Any) -> None:
    """`upper_tail` of each pair; int64 arrays `[pairs]`, and float64 `tails` to be filled."""
    for i in range(len(n11)):
        log_margins = (
            log_arrangements(n1[i], n_samples[i])
            + log_arrangements(n2[i], n_samples[i])
            - math.lgamma(n_samples[i] + 1.0)
        )
        tails[i] = upper_tail(n11[i], n1[i], n2[i], n_samples[i], log_margins)


@njit(cache=True, nogil=True)
def surprising_pairs(
    first: int,
    counts: Any,
    firings: Any,
    n_samples: int,
    minimum: int,
    level: float,
    rows: Any,
    columns: Any,
    tails: Any,
) -> int:
    """Pairs of latents that fire together so often with a probability of at most `level`.

    Args:
        first: latent of the first row of `counts`.
        counts: joint firings `[block, m]` of latents of one table.
        firings: of each latent, `[m]` int64.
        n_samples: samples.
        minimum: firings that both sides need.
        level: highest probability under independence.
        rows, columns, tails: output; int64, int64, float64, room for all positive counts.

    Returns:
        How many pairs, each once with `row < column`.
    """
    alone = np.empty(len(firings))
    for j in range(len(firings)):
        alone[j] = log_arrangements(firings[j], n_samples)
    log_all = math.lgamma(n_samples + 1.0)
    found = 0
    for i in range(first, first + len(counts)):
        if firings[i] < minimum:
            continue
        for j in range(i + 1, len(firings)):
            joint = np.int64(counts[i - first, j])
            if joint == 0 or firings[j] < minimum:
                continue
            tail = upper_tail(
                joint, firings[i], firings[j], n_samples, alone[i] + alone[j] - log_all
            )
            if tail <= level:
                rows[found], columns[found], tails[found] = i, j, tail
                found += 1
    return found
