"""Latents along differences and along plain sums of two features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._composition.composed import (
    MAX_P_VALUE,
    MIN_GAIN,
    MIN_IMPROVEMENT,
    allowed_pairs,
)
from toysae.metrics._composition.feature_pairs import best_diagonals, best_pairs, pair_weights
from toysae.metrics._composition.residual import beyond, chance, max_abs_cosine_tail
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks


@dataclass(frozen=True)
class AntiComposedScore:
    """How well two features explain each latent if their weights may have any sign."""

    s2: Tensor
    """Largest cosine with a non-negative sum of at most two features, `[m]`; NaN if undefined."""
    signed_s2: Tensor
    """Largest cosine with any combination of at most two features, `[m]`; at least `s2`."""
    pair: Tensor
    """The features of that combination, `[m, 2]`, ascending; `(i, -1)` where one does as well."""
    weights: Tensor
    """Their weights for unit latent and unit features, `[m, 2]`."""
    p_value: Tensor
    """Chance that random features hold as good a second one, of either sign; NaN if undefined."""

    @property
    def gain(self) -> Tensor:
        """What signs add, `signed_s2 - s2`, `[m]`."""
        return self.signed_s2 - self.s2

    @property
    def is_anti_composed(self) -> Tensor:
        """Weights of both signs, a gain above 0.05 and `p_value < 0.01`, bool `[m]`."""
        differs = self.weights.prod(dim=1) < 0
        return differs & (self.gain > MIN_GAIN) & (self.p_value < MAX_P_VALUE)

    @property
    def is_decided(self) -> Tensor:
        """Latents whose label is known, bool `[m]`: gain small, or p-value defined."""
        return (self.gain <= MIN_GAIN) | ~torch.isnan(self.p_value)

    @property
    def fraction_anti_composed(self) -> float:
        """Share of the decided latents that are anti-composed; NaN where none is decided."""
        n_decided = int(self.is_decided.sum())
        return int(self.is_anti_composed.sum()) / n_decided if n_decided else torch.nan


@dataclass(frozen=True)
class DiagonalScore:
    """How near each latent lies to the sum of two unit features."""

    cosine: Tensor
    """Largest cosine with a sum, `[m]`; NaN for a latent without direction, or without pairs."""
    pair: Tensor
    """The features of that sum, `[m, 2]`, ascending; -1 where NaN."""

    @property
    def mean(self) -> float:
        """Mean over defined latents; NaN without any."""
        return self.cosine.nanmean().item()


def anti_composed_score(
    decoder: Tensor,
    features: Tensor,
    *,
    alive: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> AntiComposedScore:
    """Latents along the difference of two features, which no non-negative sum explains.

    `signed_s2 = max_{|S| <= 2} cos(d, span of S)` against `s2` of `composed_score`, in [0, 1] and
    [-1, 1]. A latent `(f_i - f_j) / sqrt 2` of orthogonal features has `s1 = s2 = 0.707` and
    `signed_s2 = 1`. The p-value is that of `composed_score` with absolute cosines: the residual on
    the feature of largest `|cos|`, and `p = 1 - G_{d-1}(t)^k` with the law `G` of `|cos|`. It is
    NaN under the same conditions.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.
        report: told how many blocks are done.

    Returns:
        Both scores, and the features, weights and p-value of the signed one.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    allowed = allowed_pairs(truth, None)
    m, n = len(latents.unit), len(truth.unit)
    values = latents.unit.new_full((m, 5), torch.nan)
    pairs = latents.index.new_full((m, 2), -1)
    if n:
        gram = (truth.unit @ truth.unit.T).clamp_(-1, 1)
        for rows in reported(row_blocks(m, block), -(-m // block), report):
            projections = (latents.unit[rows] @ truth.unit.T).clamp_(-1, 1)
            nearest, first = projections.abs().max(dim=1)
            s2 = torch.maximum(
                projections.amax(dim=1), best_pairs(projections, gram, allowed).cosine
            )
            signed, pair = best_pairs(projections, gram, allowed, lowest=-torch.inf)
            weights = pair_weights(projections, gram, pair)
            single = signed <= nearest + MIN_IMPROVEMENT
            alone = projections.gather(1, first[:, None])[:, 0]
            weights[single] = torch.stack([alone, torch.zeros_like(alone)], dim=1)[single]
            pair[single] = torch.stack([first, torch.full_like(first, -1)], dim=1)[single]
            left = beyond(latents.unit[rows], truth.unit, first[:, None], allowed[first])
            p_value = chance(left.unsigned(), max_abs_cosine_tail)
            signed = torch.where(single, nearest, signed)
            values[rows] = torch.column_stack([s2, signed, weights, p_value])
            pairs[rows] = torch.where(pair < 0, -1, truth.index[pair])
    s2, signed, w1, w2, p_value = latents.spread(values, torch.nan).unbind(dim=1)
    return AntiComposedScore(
        s2, signed, latents.spread(pairs, -1), torch.stack([w1, w2], dim=1), p_value
    )


def diagonal_score(
    decoder: Tensor,
    features: Tensor,
    *,
    alive: Tensor | None = None,
    together: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> DiagonalScore:
    """Largest cosine of each latent with the sum of two unit features, of all pairs.

    `max_{i < j} cos(d, f_i + f_j)`, in [-1, 1]: 1 for a latent exactly between two features, as on
    islands, and at most `s2` of `composed_score`, whose weights are free. A single feature reaches
    0.707 with orthogonal ones. Chance grows with the number of pairs.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        alive: bool mask `[m]`; other latents are left out.
        together: symmetric bool `[n, n]`, the pairs to try, as `co_occurring` gives; all if None.
        block: latents compared at once.
        report: told how many blocks are done.

    Returns:
        Cosine and pair of each latent; NaN and -1 where there is no pair to try. Pairs of opposite
        features have no sum.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another shape.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    allowed = allowed_pairs(truth, together)
    m = len(latents.unit)
    cosine = latents.unit.new_full((m,), torch.nan)
    pairs = latents.index.new_full((m, 2), -1)
    gram = (truth.unit @ truth.unit.T).clamp_(-1, 1)
    for rows in reported(row_blocks(m, block), -(-m // block), report):
        projections = (latents.unit[rows] @ truth.unit.T).clamp_(-1, 1)
        best, pair = best_diagonals(projections, gram, allowed)
        found = best > -torch.inf
        cosine[rows] = best.masked_fill(~found, torch.nan)
        pairs[rows][found] = truth.index[pair[found]]
    return DiagonalScore(latents.spread(cosine, torch.nan), latents.spread(pairs, -1))
