"""Whether a latent is one true feature or a non-negative mixture of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.metrics._composition.feature_pairs import best_pairs, pair_weights
from toysae.metrics._composition.residual import beyond, chance
from toysae.metrics._directions import Directions, unit_rows_of_pair
from toysae.metrics._inputs import require_bool
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks

MIN_GAIN = 0.05
"""Cosine that the second feature must add for a latent to be called composed."""
MAX_P_VALUE = 0.01
"""Chance of such a second feature below which a latent is called composed."""

MIN_IMPROVEMENT = 1e-9
"""A larger set of features that fits no better than this is not used: the smallest wins."""


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
    def gain(self) -> Tensor:
        """What the second feature adds, `s2 - s1`, `[m]`."""
        return self.s2 - self.s1

    @property
    def is_composed(self) -> Tensor:
        """`s2 - s1 > 0.05` and `p_value < 0.01`, bool `[m]`; False where undecided."""
        return (self.gain > MIN_GAIN) & (self.p_value < MAX_P_VALUE)

    @property
    def is_decided(self) -> Tensor:
        """Latents whose label is known, bool `[m]`: gain small, or p-value defined."""
        return (self.gain <= MIN_GAIN) | ~torch.isnan(self.p_value)

    @property
    def n_decided(self) -> int:
        """Number of latents whose label is known."""
        return int(self.is_decided.sum())

    @property
    def fraction_composed(self) -> float:
        """Share of the decided latents that are composed; NaN where none is decided."""
        return int(self.is_composed.sum()) / self.n_decided if self.n_decided else torch.nan


@dataclass(frozen=True)
class ComposedScores:
    """The same latents scored with all pairs of features and with those that fire together."""

    all_pairs: ComposedScore
    """Every pair is a candidate."""
    together: ComposedScore
    """Only pairs that fire together are: fewer, so that the same gain is rarer by chance."""


def composed_score(
    decoder: Tensor,
    features: Tensor,
    *,
    alive: Tensor | None = None,
    together: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> ComposedScore:
    """Nested non-negative fits of each latent by one and by two true features.

    `s_k = max_{|S| <= k, w >= 0} cos(d, sum_{i in S} w_i f_i)`, in [-1, 1]. With `a = <d, f_i>`,
    `b = <d, f_j>`, `r = <f_i, f_j>` of unit vectors, a pair reaches
    `s^2 = (a^2 + b^2 - 2abr) / (1 - r^2)` with weights `(a - rb, b - ra) / (1 - r^2)`, if both are
    non-negative; otherwise one feature does as well. All pairs are tried: O(m n^2), on a CPU about
    half a nanosecond for each of them (4 seconds for 4,096 latents and 2,000 features).

    The p-value asks whether random features would hold a second one as good. The residual of `d`
    on its best single feature has the largest cosine `t` with the parts of the other features
    orthogonal to that feature; of `k` such isotropic parts in `d - 1` dimensions one beats `t`
    with probability `p = 1 - F_{d-1}(t)^k`. It is NaN where that says nothing:

    - `d <= 2`: the residual space is at most a line, and every other feature lies on it;
    - the residual is numerically zero (length up to 1e-6): nothing is left to explain;
    - no other feature has a part orthogonal to the first one;
    - the latent or all features are zero or left out.

    A latent that gains more than 0.05 without a defined p-value is undecided, not composed. The
    share of composed latents has no orientation of its own: it says what was found, not how well.
    Without truth, `features` may be another dictionary, and `rotated_null` its chance level.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        alive: bool mask `[m]`; other latents are left out.
        together: symmetric bool `[n, n]`, the pairs to try, as `co_occurring` gives; all if None.
        block: latents compared at once; a few `block x n` tables are held.
        report: told how many blocks are done.

    Returns:
        Both scores, the features and weights that reach them, and the p-value.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another shape.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    allowed = allowed_pairs(truth, together)
    m, n = len(latents.unit), len(truth.unit)
    scores = latents.unit.new_full((m, 3), torch.nan)
    weights = latents.unit.new_full((m, 2), torch.nan)
    atoms = latents.index.new_full((m, 2), -1)
    first = latents.index.new_full((m,), -1)
    if n:
        gram = (truth.unit @ truth.unit.T).clamp_(-1, 1)
        for rows in reported(row_blocks(m, block), -(-m // block), report):
            fit = _fit(latents.unit[rows], truth.unit, gram, allowed)
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


def composed_scores(
    decoder: Tensor,
    features: Tensor,
    together: Tensor,
    *,
    alive: Tensor | None = None,
    block: int = 1024,
) -> ComposedScores:
    """`composed_score` with all pairs, and with those features that fire together.

    Features that never meet cannot be composed by any SAE that saw only data, and the best of n^2
    pairs is better by chance than the best of few. Both are told, for the restriction uses the
    coefficients and hides a latent that mixes features which never met.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`.
        together: symmetric bool `[n, n]`, as `co_occurring` gives.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.

    Returns:
        Both scores, in [0, 1]; undefined as for `composed_score`.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another shape.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    return ComposedScores(
        composed_score(decoder, features, alive=alive, block=block),
        composed_score(decoder, features, alive=alive, together=together, block=block),
    )


def allowed_pairs(truth: Directions, together: Tensor | None) -> Tensor:
    """Which pairs of the kept features may be used, bool `[kept, kept]`."""
    if together is None:
        kept = len(truth.unit)
        return torch.ones((kept, kept), dtype=torch.bool, device=truth.unit.device)
    require_bool(together, "together", (truth.n_rows, truth.n_rows))
    return together.to(truth.unit.device)[truth.index][:, truth.index]


class _Fit(NamedTuple):
    s1: Tensor
    first: Tensor
    s2: Tensor
    pair: Tensor
    weights: Tensor
    p_value: Tensor


def _fit(latents: Tensor, features: Tensor, gram: Tensor, allowed: Tensor) -> _Fit:
    """Both fits of unit `latents [m, d]` by unit `features [n, d]`, `n >= 1`."""
    projections = (latents @ features.T).clamp_(-1, 1)
    s1, first = projections.max(dim=1)
    score, pair = best_pairs(projections, gram, allowed)
    single = score <= s1 + MIN_IMPROVEMENT
    s2 = torch.where(single, s1, score)
    weights = pair_weights(projections, gram, pair)
    weights[single] = torch.stack([s1.clamp(min=0), torch.zeros_like(s1)], dim=1)[single]
    pair[single] = torch.stack([first, torch.full_like(first, -1)], dim=1)[single]
    p_value = chance(beyond(latents, features, first[:, None], allowed[first]))
    return _Fit(s1, first, s2, pair, weights, p_value)
