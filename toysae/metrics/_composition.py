"""Whether a latent is one true feature or a non-negative mixture of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.metrics import _sphere
from toysae.metrics._directions import row_blocks, unit_rows_of_pair

MIN_GAIN = 0.05
"""Cosine that the second feature must add for a latent to be called composed."""
MAX_P_VALUE = 0.01
"""Chance of such a second feature below which a latent is called composed."""

# Two features closer than this (as 1 - cos^2) count as one: their pair cannot be solved for.
_MIN_INDEPENDENCE = 1e-8
# Residuals shorter than this are rounding of float32 weights.
_MIN_RESIDUAL = 1e-6
# A pair that fits no better than this over the best single feature is no pair.
_MIN_IMPROVEMENT = 1e-9


@dataclass(frozen=True)
class ComposedScore:
    """How well one and two features explain each latent's direction."""

    s1: Tensor
    """Largest cosine with a single feature, `[m]`; NaN for a latent without direction."""
    first: Tensor
    """That feature, `[m]`; -1 where NaN."""
    s2: Tensor
    """Largest cosine with a non-negative sum of at most two features, `[m]`; `s2 >= s1`."""
    pair: Tensor
    """The features of that sum, `[m, 2]`, ascending; `(first, -1)` where one fits as well."""
    weights: Tensor
    """Their weights for unit latent and unit features, `[m, 2]`, non-negative."""
    p_value: Tensor
    """Chance that random features hold as good a second one, `[m]`; NaN where undefined."""

    @property
    def is_composed(self) -> Tensor:
        """`s2 - s1 > 0.05` and `p_value < 0.01`, bool `[m]`; False where undecided."""
        return (self.s2 - self.s1 > MIN_GAIN) & (self.p_value < MAX_P_VALUE)

    @property
    def is_decided(self) -> Tensor:
        """Latents whose label is known, bool `[m]`: gain small, or p-value defined."""
        return (self.s2 - self.s1 <= MIN_GAIN) | ~torch.isnan(self.p_value)

    @property
    def n_decided(self) -> int:
        """Number of latents whose label is known."""
        return int(self.is_decided.sum())

    @property
    def fraction_composed(self) -> float:
        """Share of the decided latents that are composed; NaN where none is decided."""
        return int(self.is_composed.sum()) / self.n_decided if self.n_decided else torch.nan


def composed_score(
    decoder: Tensor,
    features: Tensor,
    *,
    alive: Tensor | None = None,
    block: int = 4096,
) -> ComposedScore:
    """Nested non-negative fits of each latent by one and by two true features.

    `s_k = max_{|S| <= k, w >= 0} cos(d, sum_{i in S} w_i f_i)`, in [-1, 1]. With `a = <d, f_i>`,
    `b = <d, f_j>`, `r = <f_i, f_j>` of unit vectors, a pair reaches
    `s^2 = (a^2 + b^2 - 2abr) / (1 - r^2)` with weights `(a - rb, b - ra) / (1 - r^2)`, if both are
    non-negative; otherwise one feature does as well. All pairs are tried: O(m n^2).

    The p-value asks whether random features would hold a second one as good. The residual of `d`
    on its best single feature has the largest cosine `t` with the parts of the other features
    orthogonal to that feature; of `k` such isotropic parts in `d - 1` dimensions one beats `t`
    with probability `p = 1 - F_{d-1}(t)^k`. It is NaN where that says nothing:

    - `d <= 2`: the residual space is at most a line, and every other feature lies on it;
    - the residual is numerically zero (length up to 1e-6): nothing is left to explain;
    - no other feature has a part orthogonal to the first one;
    - the latent or all features are zero or left out.

    A latent that gains more than 0.05 without a defined p-value is undecided, not composed.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once; a few `block x n` tables are held.

    Returns:
        Both scores, the features and weights that reach them, and the p-value.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.
    """
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    m, n = len(latents.unit), len(truth.unit)
    scores = latents.unit.new_full((m, 3), torch.nan)
    weights = latents.unit.new_full((m, 2), torch.nan)
    atoms = latents.index.new_full((m, 2), -1)
    first = latents.index.new_full((m,), -1)
    if n:
        gram = (truth.unit @ truth.unit.T).clamp_(-1, 1)
        for rows in row_blocks(m, block):
            fit = _fit(latents.unit[rows], truth.unit, gram)
            scores[rows] = torch.stack([fit.s1, fit.s2, fit.p_value], dim=1)
            weights[rows] = fit.weights
            first[rows] = truth.index[fit.first]
            atoms[rows] = torch.where(fit.pair < 0, -1, truth.index[fit.pair])
    s1, s2, p_value = latents.spread(scores, torch.nan).unbind(dim=1)
    return ComposedScore(
        s1,
        latents.spread(first, -1),
        s2,
        latents.spread(atoms, -1),
        latents.spread(weights, torch.nan),
        p_value,
    )


class _Fit(NamedTuple):
    s1: Tensor
    first: Tensor
    s2: Tensor
    pair: Tensor
    weights: Tensor
    p_value: Tensor


def _fit(latents: Tensor, features: Tensor, gram: Tensor) -> _Fit:
    """Both fits of unit `latents [m, d]` by unit `features [n, d]`, `n >= 1`."""
    projections = (latents @ features.T).clamp_(-1, 1)
    s1, first = projections.max(dim=1)
    score, pair = _best_pair(projections, gram)
    single = score <= s1 + _MIN_IMPROVEMENT
    s2 = torch.where(single, s1, score)
    weights = _pair_weights(projections, gram, pair)
    weights[single] = torch.stack([s1.clamp(min=0), torch.zeros_like(s1)], dim=1)[single]
    pair[single] = torch.stack([first, torch.full_like(first, -1)], dim=1)[single]
    return _Fit(s1, first, s2, pair, weights, _second_atom_p_value(latents, features, gram, first))


def _best_pair(projections: Tensor, gram: Tensor) -> tuple[Tensor, Tensor]:
    """Best cosine with a positive sum of two features, `[m]` (-inf for none), and the pair."""
    m, n = projections.shape
    best = projections.new_full((m,), -torch.inf)
    pair = torch.zeros((m, 2), dtype=torch.long, device=projections.device)
    for i in range(n - 1):
        a, b, r = projections[:, i, None], projections[:, i + 1 :], gram[i, i + 1 :]
        independence = 1 - r.square()
        for_a, for_b = a - r * b, b - r * a
        squared = (a * for_a + b * for_b) / independence
        squared[(for_a < 0) | (for_b < 0) | (independence < _MIN_INDEPENDENCE)] = -torch.inf
        value, j = squared.max(dim=1)
        better = value > best
        best[better] = value[better]
        pair[better] = torch.stack([torch.full_like(j, i), i + 1 + j], dim=1)[better]
    return torch.where(best < 0, best, best.clamp(0, 1).sqrt()), pair


def _pair_weights(projections: Tensor, gram: Tensor, pair: Tensor) -> Tensor:
    a, b = projections.gather(1, pair).unbind(dim=1)
    r = gram[pair[:, 0], pair[:, 1]]
    return torch.stack([a - r * b, b - r * a], dim=1) / (1 - r.square())[:, None]


def _second_atom_p_value(latents: Tensor, features: Tensor, gram: Tensor, first: Tensor) -> Tensor:
    d = latents.shape[1]
    residual = latents - (latents * features[first]).sum(1, keepdim=True) * features[first]
    length = torch.linalg.vector_norm(residual, dim=1)
    independence = 1 - gram[first].square()
    candidate = independence >= _MIN_INDEPENDENCE
    n_candidates = candidate.sum(dim=1)
    defined = (length > _MIN_RESIDUAL) & (n_candidates > 0) & (d > 2)
    p_value = torch.full_like(length, torch.nan)
    if defined.any():
        cosine = (residual @ features.T) / (length[:, None] * independence.sqrt())
        t = cosine.masked_fill(~candidate, -torch.inf).amax(dim=1)[defined].clamp(-1, 1)
        tail = _sphere.max_cosine_tail(t.cpu().numpy(), d - 1, n_candidates[defined].cpu().numpy())
        p_value[defined] = torch.from_numpy(tail).to(p_value.device)
    return p_value
