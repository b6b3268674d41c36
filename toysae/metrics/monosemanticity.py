"""How much of what a latent does belongs to a single feature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._detection.columns import (
    Activations,
    both_by_samples,
    column_sums,
    counts_by_column,
    device_of,
    indicators,
    sums_over_samples,
)
from toysae.metrics._inputs import finite, require_axes
from toysae.metrics._tables import best_along_rows

__all__ = ["Monosemanticity", "Purity", "monosemanticity", "purity"]

# Eq. 7 of arXiv 2211.09169.
_DELTA = 1e-10


@dataclass(frozen=True)
class Monosemanticity:
    """How much of each latent's response belongs to a single feature."""

    score: Tensor
    """Share of the strongest feature in each latent's responses, `[m]`; NaN if all are 0."""
    feature: Tensor
    """That feature, `[m]`; -1 where NaN."""

    @property
    def n_silent(self) -> int:
        """Latents that respond to no feature."""
        return int(torch.isnan(self.score).sum())

    @property
    def mean(self) -> float:
        """Mean over latents that respond to some feature; NaN without any."""
        return self.score.nanmean().item()

    @property
    def published_mean(self) -> float:
        """Mean over all latents, silent ones as 0, as published; NaN without latents."""
        return self.score.nan_to_num(nan=0.0).mean().item()


@dataclass(frozen=True)
class Purity:
    """How much of each latent's activity falls on samples of one feature; `[m]` each."""

    purity: Tensor
    """Share of activation, `max_i sum_t |z_j| [c_i != 0] / sum_t |z_j|`; NaN for dead latents."""
    purest_feature: Tensor
    """The feature of that, the lowest among ties; -1 where NaN."""
    token_precision: Tensor
    """Share of the firings, `max_i P(c_i > 0 | latent fires)`; NaN for dead latents."""
    precise_feature: Tensor
    """The feature of that, the lowest among ties; -1 where NaN."""
    selectivity: Tensor
    """`1 - H(p_j) / ln n`, 1 for one feature only; NaN for dead latents, or for one feature."""
    baseline: float
    """Purity and precision of a latent that fires at random: the frequency of the commonest."""

    @property
    def n_defined(self) -> int:
        """Latents that fire."""
        return int((~torch.isnan(self.purity)).sum())

    @property
    def mean_purity(self) -> float:
        """Mean over latents that fire."""
        return self.purity.nanmean().item()

    @property
    def mean_token_precision(self) -> float:
        """Mean over latents that fire."""
        return self.token_precision.nanmean().item()

    @property
    def mean_selectivity(self) -> float:
        """Mean over latents for which it is defined."""
        return self.selectivity.nanmean().item()


def purity(coefficients: Activations, latents: Activations, *, threshold: float = 0.0) -> Purity:
    """How exclusively latents act while one feature is active, on natural samples.

    With `a_ij = sum_t |z_j| [c_i != 0]` over firings, purity is `max_i a_ij / sum_t |z_j|` and
    selectivity `1 - H(p_j) / ln n` with `p_j = a_ij / sum_i a_ij`; token precision counts firings
    instead of activation, so a latent that errs weakly is purer than it is precise. All in [0, 1],
    1 is best. Other than `monosemanticity` this sees features together: a feature that is always
    active makes every latent pure, hence the `baseline`. Not symmetric.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`; active where not 0.
        latents: activations `[N, m]` of the same samples; sign is left out.
        threshold: activation above which a latent fires, strictly.

    Returns:
        The shares per latent; NaN for latents that never fire, and all NaN without features. A
        latent that only fires without any feature has purity 0 and an undefined selectivity.

    Raises:
        ShapeError: different samples.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: toysae; selectivity is normalised entropy (Shannon 1948).
    """
    truth, learned = both_by_samples(coefficients, latents, threshold)
    n_samples, n = truth.shape
    active = indicators(truth)
    mass = sums_over_samples(active, abs(learned)).double()
    joint = sums_over_samples(active, indicators(learned)).double()
    share = best_along_rows((mass / column_sums(abs(learned))).T)
    precision = best_along_rows((joint / counts_by_column(learned)).T)
    attribution = mass / mass.sum(dim=0)
    entropy = torch.special.entr(attribution).sum(dim=0)
    selectivity = 1 - entropy / (math.log(n) if n > 1 else torch.nan)
    frequencies = counts_by_column(truth).double() / n_samples
    device = device_of(latents)
    return Purity(
        share.similarity.to(device),
        share.partner.to(device),
        precision.similarity.to(device),
        precision.partner.to(device),
        selectivity.to(device),
        baseline=frequencies.max().item() if n and n_samples else torch.nan,
    )


def monosemanticity(activations_on_features: Tensor) -> Monosemanticity:
    """Share of each latent's response that its strongest feature takes.

    `max_i a_ij / (delta + sum_i a_ij)` with `delta = 1e-10`, in [0, 1]: 1 for a latent that
    responds to one feature, `1/n` for one that responds to all alike.

    Args:
        activations_on_features: `[n, m]`, non-negative: activations of all latents when feature `i`
            alone is present with amplitude 1.

    Returns:
        The share per latent, NaN for latents silent on all features. `mean` leaves these out;
        `published_mean` counts them as 0, as the published numbers do.

    Raises:
        ShapeError: not two axes.
        DataError: NaN, infinity or negative activations.

    Source: Jermyn, Schiefer and Hubinger 2022 (arXiv 2211.09169), eq. 7, as used by Anders et al.
    2024.
    """
    require_axes(activations_on_features, "activations_on_features", "[features, latents]")
    responses = finite(activations_on_features, "activations_on_features")
    if bool((responses < 0).any()):
        raise DataError(
            f"activations_on_features go down to {float(responses.min())}: expected at least 0"
        )
    n, m = responses.shape
    if n == 0:
        empty = responses.new_full((m,), torch.nan)
        return Monosemanticity(empty, torch.full_like(empty, -1, dtype=torch.long))
    strongest, feature = responses.max(dim=0)
    silent = strongest == 0
    score = strongest / (_DELTA + responses.sum(dim=0))
    return Monosemanticity(score.masked_fill(silent, torch.nan), feature.masked_fill(silent, -1))
