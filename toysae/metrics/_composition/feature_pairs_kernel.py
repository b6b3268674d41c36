"""The best pair of features for some latents, on the CPU: one pass over all pairs.

The definitions are in `_feature_pairs`; tests hold both equal. Latents are the inner axis, so that
each pair of features is one stretch of vector instructions.
"""

from __future__ import annotations

from typing import Any

from toysae.compiled import njit


@njit(cache=True, nogil=True, error_model="numpy")
def best_combinations(
    projections: Any,
    gram: Any,
    allowed: Any,
    firsts: Any,
    lowest: float,
    min_independence: float,
    best: Any,
    code: Any,
) -> None:
    """Raise `best` and set `code` where a pair `(i, j)`, `i < j`, explains more of a latent.

    Args:
        projections: cosines `[n, k]` of each feature with `k` latents.
        gram: cosines `[n, n]` of features.
        allowed: bool `[n, n]`, pairs to try.
        firsts: the first features `i` to try, as a range `(start, stop)`.
        lowest: least weight that a feature may have, 0 or -inf.
        min_independence: pairs whose `1 - cos^2` is less are left out.
        best: squared cosine reached so far, `[k]`.
        code: the pair that reaches it, `i n + j`, `[k]`.
    """
    n, k = projections.shape
    for i in range(firsts[0], firsts[1]):
        for j in range(i + 1, n):
            r = gram[i, j]
            independence = 1 - r * r
            if not allowed[i, j] or independence < min_independence:
                continue
            pair = i * n + j
            for t in range(k):
                a, b = projections[i, t], projections[j, t]
                for_a, for_b = a - r * b, b - r * a
                squared = (a * for_a + b * for_b) / independence
                better = (for_a >= lowest) & (for_b >= lowest) & (squared > best[t])
                best[t] = squared if better else best[t]
                code[t] = pair if better else code[t]


@njit(cache=True, nogil=True, error_model="numpy")
def best_sums(
    projections: Any, lengths: Any, allowed: Any, firsts: Any, shortest: float, best: Any, code: Any
) -> None:
    """As `best_combinations`, of the cosine with the plain sum of two unit features.

    `lengths [n, n]` are those of the sums; shorter ones than `shortest` have no direction.
    """
    n, k = projections.shape
    for i in range(firsts[0], firsts[1]):
        for j in range(i + 1, n):
            length = lengths[i, j]
            if not allowed[i, j] or length < shortest:
                continue
            pair = i * n + j
            for t in range(k):
                cosine = (projections[i, t] + projections[j, t]) / length
                better = cosine > best[t]
                best[t] = cosine if better else best[t]
                code[t] = pair if better else code[t]
