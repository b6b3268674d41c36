"""How many true features a latent is made of: nested non-negative fits of growing order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._composition.composed import MAX_P_VALUE, MIN_GAIN, MIN_IMPROVEMENT
from toysae.metrics._composition.energy import Energy, energy
from toysae.metrics._composition.extension import one_more
from toysae.metrics._composition.feature_pairs import best_pairs, pair_weights
from toysae.metrics._composition.residual import beyond, chance
from toysae.metrics._composition.subsets import best_subsets, require_few_subsets
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks

UNEXPLAINED = 0
"""Order of a latent that no fit explains, or only one with a feature that chance explains."""
UNDEFINED = -1
"""Order of a latent without direction, or whose p-values are undefined where they are needed."""


@dataclass(frozen=True)
class Composition:
    """Fits of each latent by one, two, ... `K` features."""

    scores: Tensor
    """`s_1 .. s_K`, largest cosine with a non-negative sum of at most `k` features, `[m, K]`."""
    atoms: Tensor
    """The features of each fit, `[m, K, K]`, ascending; -1 behind the last."""
    weights: Tensor
    """Their weights for unit latent and unit features, `[m, K, K]`, 0 behind the last."""
    p_values: Tensor
    """Chance that random features hold as good a next one, given the fit before, `[m, K]`."""
    tolerance: float
    """A fit explains a latent whose cosine with it is at least `1 - tolerance`."""

    @property
    def order(self) -> Tensor:
        """Features that the latent is made of, int64 `[m]`; 0 unexplained, -1 undefined.

        The smallest `k` with `s_k >= 1 - tolerance`, if every feature added to the first has
        `p < 0.01`.
        """
        explained = self.scores >= 1 - self.tolerance
        order = explained.int().argmax(dim=1) + 1
        added = torch.arange(self.scores.shape[1], device=order.device)
        needed = (added > 0) & (added < order[:, None])
        unlikely = self.p_values < MAX_P_VALUE
        likely = (needed & ~unlikely & ~self.p_values.isnan()).any(dim=1)
        unknown = (needed & self.p_values.isnan()).any(dim=1)
        order = order.masked_fill(unknown, UNDEFINED)
        order = order.masked_fill(~explained.any(dim=1) | likely, UNEXPLAINED)
        return order.masked_fill(self.scores[:, 0].isnan(), UNDEFINED)

    @property
    def is_composed(self) -> Tensor:
        """`order >= 2` and `s_2 - s_1 > 0.05`, bool `[m]`; False where undefined."""
        gain = self.scores[:, min(1, self.scores.shape[1] - 1)] - self.scores[:, 0]
        return (self.order >= 2) & (gain > MIN_GAIN)

    @property
    def energy(self) -> Energy:
        """How the weights of the largest fit are spread; for features that are nearly orthogonal.

        `energy(weights[:, k - 1])` is that of the fit of order `k`. Where features are coherent
        use `shapley_shares`.
        """
        return energy(self.weights[:, -1])

    @property
    def n_defined(self) -> int:
        """Latents whose order is known."""
        return int((self.order != UNDEFINED).sum())

    @property
    def fraction_composed(self) -> float:
        """Share of the defined latents that are composed; NaN where none is defined."""
        return int(self.is_composed.sum()) / self.n_defined if self.n_defined else torch.nan

    @property
    def fraction_unexplained(self) -> float:
        """Share of the defined latents of no order; NaN where none is defined."""
        unexplained = int((self.order == UNEXPLAINED).sum())
        return unexplained / self.n_defined if self.n_defined else torch.nan


def exact_composition(
    decoder: Tensor,
    features: Tensor,
    max_order: int = 3,
    *,
    tolerance: float = 0.05,
    alive: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> Composition:
    """Best non-negative fit of each latent by at most 1, 2, ... `max_order` features, exactly.

    `s_k = max_{|S| <= k, w >= 0} cos(d, sum_{i in S} w_i f_i)`, so `s_k^2` is the R^2 of the best
    fit. All subsets are tried: `n^max_order / max_order!` of them, refused above five million; see
    `greedy_composition` for more. A larger set of features is used only where it fits better, so
    that of features that are sums of others the single one wins.

    The p-value of the `k`-th feature: the residual of `d` on the best fit `S` of order `k - 1` has
    the largest cosine `t` with the parts of the other features orthogonal to `S`, and
    `p = 1 - F_{d-|S|}(t)^(n-|S|)`. That of the first is the chance of `s_1` among `n` random
    features. NaN where it says nothing, as for `composed_score`.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        max_order: features of the largest fit.
        tolerance: a cosine of at least `1 - tolerance` explains a latent.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.
        report: told how many blocks are done.

    Returns:
        All fits; scores are NaN for latents without direction and where there are no features.

    Raises:
        ShapeError: not two matrices of the same width, a mask of another length, an order below
            1, or too many subsets.
        DataError: NaN or infinity in either.

    Source: toysae; best subset of non-negative least squares.
    """
    require_few_subsets(len(features), max_order)

    def extended(latents: Tensor, truth: Tensor, gram: Tensor, before: _Fits) -> _Better:
        projections = (latents @ truth.T).clamp_(-1, 1)
        return best_subsets(projections, gram, before.atoms.shape[1] + 1)

    return _nested(decoder, features, max_order, tolerance, alive, block, report, extended)


def greedy_composition(
    decoder: Tensor,
    features: Tensor,
    max_order: int = 4,
    *,
    tolerance: float = 0.05,
    alive: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> Composition:
    """As `exact_composition`, but from the third feature on one is added to the fit before.

    Orders 1 and 2 are exact. For each further order the one feature is added with which the fit
    of all of them, by non-negative least squares, becomes best; features may so drop out. The
    scores are lower bounds of the exact ones, and equal them where features are orthogonal.
    Costs `composed_score` and `O(m n d k)` an order.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        max_order: features of the largest fit.
        tolerance: a cosine of at least `1 - tolerance` explains a latent.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.
        report: told how many blocks are done.

    Returns:
        All fits; scores are NaN for latents without direction and where there are no features.

    Raises:
        ShapeError: not two matrices of the same width, a mask of another length, or an order
            below 1.
        DataError: NaN or infinity in either.

    Source: toysae; orthogonal least squares with non-negative weights.
    """

    def extended(latents: Tensor, truth: Tensor, gram: Tensor, before: _Fits) -> _Better:
        return one_more(latents, truth, before.scores, before.atoms)

    return _nested(decoder, features, max_order, tolerance, alive, block, report, extended)


_Better = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class _Fits:
    """Fits of one order: scores `[b]`, atoms and weights `[b, k]`."""

    scores: Tensor
    atoms: Tensor
    weights: Tensor

    def widened(self) -> _Fits:
        """The same fits with room for one more feature."""
        return _Fits(
            self.scores,
            torch.nn.functional.pad(self.atoms, (0, 1), value=-1),
            torch.nn.functional.pad(self.weights, (0, 1)),
        )

    def improved_by(self, other: _Better) -> _Fits:
        """The `other` scores, atoms and weights where they are better, these elsewhere."""
        scores, atoms, weights = other
        better = scores > self.scores + MIN_IMPROVEMENT
        wide = self.widened()
        return _Fits(
            torch.where(better, scores, self.scores),
            torch.where(better[:, None], atoms, wide.atoms),
            torch.where(better[:, None], weights, wide.weights),
        )


_Extension = Callable[[Tensor, Tensor, Tensor, _Fits], _Better]


def _nested(
    decoder: Tensor,
    features: Tensor,
    max_order: int,
    tolerance: float,
    alive: Tensor | None,
    block: int,
    report: Report | None,
    extended: _Extension,
) -> Composition:
    if max_order < 1:
        raise ShapeError(f"max_order={max_order}: expected at least one feature")
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    m, n = len(latents.unit), len(truth.unit)
    scores = latents.unit.new_full((m, max_order), torch.nan)
    p_values = scores.clone()
    weights = latents.unit.new_full((m, max_order, max_order), torch.nan)
    atoms = latents.index.new_full((m, max_order, max_order), -1)
    if n:
        gram = (truth.unit @ truth.unit.T).clamp_(-1, 1)
        weights.zero_()
        for rows in reported(row_blocks(m, block), -(-m // block), report):
            fits = _single(latents.unit[rows], truth.unit)
            p_values[rows, 0] = _next_p_value(latents.unit[rows], truth.unit, fits.atoms[:, :0])
            for k in range(1, max_order + 1):
                if k > 1:
                    p_values[rows, k - 1] = _next_p_value(
                        latents.unit[rows], truth.unit, fits.atoms
                    )
                    step = _pairs if k == 2 else extended
                    fits = fits.improved_by(step(latents.unit[rows], truth.unit, gram, fits))
                scores[rows, k - 1] = fits.scores
                weights[rows, k - 1, :k] = fits.weights
                atoms[rows, k - 1, :k] = torch.where(fits.atoms < 0, -1, truth.index[fits.atoms])
    return Composition(
        latents.spread(scores, torch.nan),
        latents.spread(atoms, -1),
        latents.spread(weights, torch.nan),
        latents.spread(p_values, torch.nan),
        tolerance,
    )


def _single(latents: Tensor, features: Tensor) -> _Fits:
    scores, first = (latents @ features.T).clamp_(-1, 1).max(dim=1)
    return _Fits(scores, first[:, None], scores.clamp(min=0)[:, None])


def _pairs(latents: Tensor, features: Tensor, gram: Tensor, before: _Fits) -> _Better:
    projections = (latents @ features.T).clamp_(-1, 1)
    scores, pair = best_pairs(projections, gram, torch.ones_like(gram, dtype=torch.bool))
    return scores, pair, pair_weights(projections, gram, pair)


def _next_p_value(latents: Tensor, features: Tensor, atoms: Tensor) -> Tensor:
    everything = torch.ones((), dtype=torch.bool, device=latents.device)
    return chance(beyond(latents, features, atoms, everything.expand(len(latents), len(features))))
