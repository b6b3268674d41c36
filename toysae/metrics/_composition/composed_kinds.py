"""What composed latents fire for, and which features lost their best latent to a composed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csc_array
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._absorption.firing_sets import (
    Activations,
    columns,
    f1,
    indicators,
    require_same_n_samples,
)
from toysae.metrics._composition.composed import ComposedScore
from toysae.metrics._dictionaries.best_partners import best_partners
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics.groups import GroupSummary, by_group

# Two coefficients are proportional whose tables have a cosine nearer to 1 than this.
_PROPORTIONAL = 1e-9


@dataclass(frozen=True)
class CompositionKinds:
    """What each composed latent fires for."""

    labels: tuple[str | None, ...]
    """One a latent: `single`, `and`, `or`, `island`, `unidentifiable`; None for undecided."""
    f1_and: Tensor
    """F1 of the latent's firing with both features active, `[m]`; NaN for latents not composed."""
    f1_or: Tensor
    """F1 with either feature active, `[m]`; NaN for latents not composed."""
    f1_each: Tensor
    """F1 with either feature alone, `[m, 2]`, in the order of the pair; NaN as above."""

    def share(self, label: str) -> float:
        """Share of the decided latents with this label; NaN where none is decided."""
        decided = [own for own in self.labels if own is not None]
        return decided.count(label) / len(decided) if decided else torch.nan

    @property
    def shares(self) -> Tensor:
        """Shares of single, and, or, island and unidentifiable latents, `[5]`, in this order."""
        labels = ("single", "and", "or", "island", "unidentifiable")
        return torch.tensor([self.share(label) for label in labels], dtype=torch.float64)


@dataclass(frozen=True)
class ComposedFeatures:
    """Which features have a composed latent for their best one."""

    composed: Tensor
    """1 where the best latent is composed, 0 where not, `[n]`; NaN where it is undecided."""
    latent: Tensor
    """The best latent of each feature by cosine, `[n]`; -1 for none."""

    @property
    def fraction(self) -> float:
        """Share of the defined features; NaN without any."""
        return self.composed.nanmean().item()

    def by_group(self, groups: Mapping[str, Sequence[int]]) -> dict[str, GroupSummary]:
        """The share in each group of features, such as the islands; see `groups.by_group`."""
        return by_group(self.composed, groups)


def co_occurring(
    coefficients: Activations, min_probability: float = 0.05, *, threshold: float = 0.0
) -> Tensor:
    """Pairs of features that fire together, `P(j | i) > 0.05` or `P(i | j) > 0.05`.

    Args:
        coefficients: truth `[N, n]`, as a table or by what fires.
        min_probability: conditional probability above which a pair counts, strictly.
        threshold: absolute coefficient above which a feature fires, strictly.

    Returns:
        Symmetric bool `[n, n]`, False on the diagonal and for features that never fire.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, a threshold that is negative or not finite, or a probability
            outside 0 to 1.

    Source: toysae.
    """
    if not 0 <= min_probability <= 1:
        raise DataError(f"min_probability={min_probability}: expected a number from 0 to 1")
    fired = indicators(columns(coefficients, "coefficients", threshold))
    joint = (fired.T @ fired).tocoo()
    firings = fired.sum(axis=0)
    rarer = np.minimum(firings[joint.row], firings[joint.col])
    kept = (joint.data > min_probability * rarer) & (joint.row != joint.col)
    together = torch.zeros((fired.shape[1],) * 2, dtype=torch.bool)
    together[joint.row[kept], joint.col[kept]] = True
    return together


def composition_kinds(
    coefficients: Activations,
    latents: Activations,
    score: ComposedScore,
    *,
    threshold: float = 0.0,
) -> CompositionKinds:
    """What each composed latent fires for: both of its features, or either.

    A latent that `score` calls composed of `f_i` and `f_j` is

    - `unidentifiable`: both features fire on the same samples, always in the same ratio, so that
      no SAE can tell them apart. No failure of the SAE;
    - `island`: both fire on the same samples, with magnitudes of their own. An SAE that merges
      them still sees both at once, but the data could tell them apart;
    - `and`: it fires for both together, its F1 with `f_i and f_j` above that with `f_i or f_j`;
    - `or`: it fires for either, as a hedging latent does (ties included).

    Other decided latents are `single`; those that are undecided, or composed but silent on data
    where its features are silent too, are None.

    Args:
        coefficients: truth `[N, n]`; a feature is active where its coefficient is not 0.
        latents: activations `[N, m]` on the same samples.
        score: of the same `m` latents and `n` features.
        threshold: absolute activation above which a latent fires, strictly.

    Returns:
        The label of each latent and its F1 with all four; F1 is in [0, 1].

    Raises:
        ShapeError: different samples, or a score of other latents or features.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: toysae.
    """
    truth = columns(coefficients, "coefficients")
    codes = indicators(columns(latents, "latents", threshold))
    require_same_n_samples(truth, codes, ("coefficients", "latents"))
    if codes.shape[1] != len(score.s1) or bool((score.pair >= truth.shape[1]).any()):
        raise ShapeError(
            f"the score is of {len(score.s1)} latents: expected {codes.shape[1]}, and features "
            f"below {truth.shape[1]}"
        )
    composed = torch.nonzero(score.is_composed).flatten()
    pair = score.pair[composed].cpu().numpy()
    first, second, fired = (
        truth[:, pair[:, 0]],
        truth[:, pair[:, 1]],
        codes[:, composed.cpu().numpy()],
    )
    return _arranged(score, composed, _pair_f1(first, second, fired), _sameness(first, second))


def composed_features(
    features: Tensor, decoder: Tensor, score: ComposedScore, *, alive: Tensor | None = None
) -> ComposedFeatures:
    """Whether the best latent of each feature is composed, `composed(argmax_j cos(f_i, d_j))`.

    The group score of islands is the share of their features for which it is. In [0, 1], 0 is
    best: such a feature has no latent of its own.

    Args:
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        score: `composed_score(decoder, features)` or another of the same latents.
        alive: bool mask `[m]`; other latents are left out.

    Returns:
        One entry a feature; NaN where there is no latent or its label is undecided.

    Raises:
        ShapeError: not two matrices of the same width, or a score of other latents.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    if len(score.s1) != len(decoder):
        raise ShapeError(f"the score is of {len(score.s1)} latents: expected {len(decoder)}")
    truth, latents = unit_rows_of_pair(features, decoder, None, alive, ("features", "decoder"))
    best, _ = best_partners(truth, latents, similarity=torch.positive)
    label = score.is_composed.double().masked_fill(~score.is_decided, torch.nan)
    found = best.partner >= 0
    composed = torch.full_like(best.similarity, torch.nan)
    composed[found] = label.to(composed)[best.partner[found]]
    return ComposedFeatures(composed, best.partner)


def _pair_f1(first: csc_array, second: csc_array, fired: csc_array) -> np.ndarray:
    """F1 of each column of `fired` with and, or, and each alone, `[4, k]`."""
    y1, y2 = indicators(first), indicators(second)
    both = y1.multiply(y2)
    n1, n2, n12, n = (table.sum(axis=0) for table in (y1, y2, both, fired))
    t1, t2, t12 = (table.multiply(fired).sum(axis=0) for table in (y1, y2, both))
    return np.stack(
        [f1(t12, n12, n), f1(t1 + t2 - t12, n1 + n2 - n12, n), f1(t1, n1, n), f1(t2, n2, n)]
    )


def _sameness(first: csc_array, second: csc_array) -> np.ndarray:
    """Whether columns fire on the same samples, and whether they are proportional, `[2, k]`."""
    y1, y2 = indicators(first), indicators(second)
    n1, n2, n12 = (table.sum(axis=0) for table in (y1, y2, y1.multiply(y2)))
    lengths = np.sqrt(first.multiply(first).sum(axis=0) * second.multiply(second).sum(axis=0))
    products = first.multiply(second).sum(axis=0)
    same = (n1 == n12) & (n2 == n12) & (n12 > 0)
    return np.stack([same, same & (products >= (1 - _PROPORTIONAL) * lengths)])


def _arranged(
    score: ComposedScore, composed: Tensor, scores: np.ndarray, sameness: np.ndarray
) -> CompositionKinds:
    labels = ["single" if decided else None for decided in score.is_decided.tolist()]
    for column, j in enumerate(composed.tolist()):
        labels[j] = _label(*scores[:2, column], *sameness[:, column])
    table = score.s1.new_full((4, len(score.s1)), torch.nan, dtype=torch.float64)
    table[:, composed] = torch.from_numpy(scores).to(table)
    return CompositionKinds(tuple(labels), table[0], table[1], table[2:].T)


def _label(f1_and: float, f1_or: float, same: bool, proportional: bool) -> str | None:
    if same:
        return "unidentifiable" if proportional else "island"
    if np.isnan(f1_or):
        return None
    return "and" if f1_and > f1_or else "or"
