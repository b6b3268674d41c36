"""The pair of features that explains a latent best, out of all pairs, by closed forms.

Of unit vectors with `a = <d, f_i>`, `b = <d, f_j>` and `r = <f_i, f_j>`, the best combination of
the two features has weights `(a - rb, b - ra) / (1 - r^2)` and a squared cosine with `d` of
`(a^2 + b^2 - 2abr) / (1 - r^2)`; their plain sum has the cosine `(a + b) / sqrt(2 + 2r)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toysae.metrics._composition.feature_pairs_kernel import best_combinations, best_sums
from toysae.metrics._row_blocks import rows_within

MIN_INDEPENDENCE = 1e-8
"""Features closer than this, as `1 - cos^2`, count as one: their pair cannot be solved for."""

# A sum of two unit features shorter than this has no direction.
_SHORTEST_SUM = 1e-4

_LATENTS_AT_ONCE = 64
# Of two features and a latent; less than a second of compiled code.
_COMBINATIONS_AT_ONCE = 2**30


class BestPairs(NamedTuple):
    """The best pair of features of each latent."""

    cosine: Tensor
    """Cosine of the latent with what the pair makes, `[m]`; -inf where no pair can be used."""
    pair: Tensor
    """The features, `[m, 2]`, ascending, the lowest among ties; 0 where there is none."""


def best_pairs(
    projections: Tensor, gram: Tensor, allowed: Tensor, *, lowest: float = 0.0
) -> BestPairs:
    """Best cosine of each latent with a combination of two features, both of weight >= `lowest`.

    Args:
        projections: cosines `[m, n]` of latents with features.
        gram: cosines `[n, n]` of features.
        allowed: bool `[n, n]`, pairs to try; the upper triangle is read.
        lowest: 0 for sums, -inf for differences too.
    """
    if projections.device.type == "cpu":
        best = _compiled(
            projections,
            lambda block, firsts, value, code: best_combinations(
                block, gram.numpy(), allowed.numpy(), firsts, lowest, MIN_INDEPENDENCE, value, code
            ),
        )
    else:
        best = _stepwise(projections, lambda i: _squares(projections, gram, allowed, i, lowest))
    squared = best.cosine
    return BestPairs(torch.where(squared < 0, squared, squared.clamp(0, 1).sqrt()), best.pair)


def best_diagonals(projections: Tensor, gram: Tensor, allowed: Tensor) -> BestPairs:
    """Best cosine of each latent with the sum of two unit features; arguments as `best_pairs`."""
    # One root for both ways: torch's differs in the last bit from the compiler's.
    lengths = (2 + 2 * gram).clamp(min=0).sqrt()
    if projections.device.type == "cpu":
        best = _compiled(
            projections,
            lambda block, firsts, value, code: best_sums(
                block, lengths.numpy(), allowed.numpy(), firsts, _SHORTEST_SUM, value, code
            ),
        )
    else:
        best = _stepwise(projections, lambda i: _sums(projections, lengths, allowed, i))
    return BestPairs(best.cosine.clamp(max=1), best.pair)


def pair_weights(projections: Tensor, gram: Tensor, pair: Tensor) -> Tensor:
    """Least-squares weights of the features `pair [m, 2]`, `[m, 2]`."""
    a, b = projections.gather(1, pair).unbind(dim=1)
    r = gram[pair[:, 0], pair[:, 1]]
    return torch.stack([a - r * b, b - r * a], dim=1) / (1 - r.square())[:, None]


def _squares(projections: Tensor, gram: Tensor, allowed: Tensor, i: int, lowest: float) -> Tensor:
    """Squared cosine with the features `i` and `j > i`, `[m, n - i - 1]`."""
    a, b, r = projections[:, i, None], projections[:, i + 1 :], gram[i, i + 1 :]
    independence = 1 - r.square()
    for_a, for_b = a - r * b, b - r * a
    squared = (a * for_a + b * for_b) / independence
    unfit = (for_a < lowest) | (for_b < lowest) | (independence < MIN_INDEPENDENCE)
    return squared.masked_fill_(unfit | ~allowed[i, i + 1 :], -torch.inf)


def _sums(projections: Tensor, lengths: Tensor, allowed: Tensor, i: int) -> Tensor:
    """Cosine with the sum of the features `i` and `j > i`, `[m, n - i - 1]`."""
    length = lengths[i, i + 1 :]
    cosine = (projections[:, i, None] + projections[:, i + 1 :]) / length
    return cosine.masked_fill_((length < _SHORTEST_SUM) | ~allowed[i, i + 1 :], -torch.inf)


def _stepwise(projections: Tensor, values_of: Callable[[int], Tensor]) -> BestPairs:
    """The best of `values_of(i) [m, n - i - 1]` over the first features `i`."""
    m, n = projections.shape
    best = projections.new_full((m,), -torch.inf)
    pair = torch.zeros((m, 2), dtype=torch.long, device=projections.device)
    for i in range(n - 1):
        value, j = values_of(i).max(dim=1)
        better = value > best
        best[better] = value[better]
        pair[better] = torch.stack([torch.full_like(j, i), i + 1 + j], dim=1)[better]
    return BestPairs(best, pair)


_Kernel = Callable[[np.ndarray, tuple[int, int], np.ndarray, np.ndarray], None]


def _compiled(projections: Tensor, kernel: _Kernel) -> BestPairs:
    m, n = projections.shape
    best, code = np.full(m, -np.inf), np.zeros(m, dtype=np.int64)
    for start in range(0, m, _LATENTS_AT_ONCE):
        stop = min(start + _LATENTS_AT_ONCE, m)
        block = projections[start:stop].T.contiguous().numpy()
        for firsts in _stretches(n, stop - start):
            kernel(block, firsts, best[start:stop], code[start:stop])
    pair = np.stack([code // max(n, 1), code % max(n, 1)], axis=1)
    return BestPairs(torch.from_numpy(best), torch.from_numpy(pair))


def _stretches(n: int, k: int) -> Iterator[tuple[int, int]]:
    """Ranges of first features, each of work that one call may do without coming back."""
    step = rows_within(_COMBINATIONS_AT_ONCE, n * k)
    return ((start, min(start + step, n)) for start in range(0, n, step))
