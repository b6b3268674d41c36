"""Features that are shared out among several latents, each of which fires for a part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csc_array
from torch import Tensor

from toysae.metrics._absorption.firing_sets import (
    Activations,
    columns,
    f1,
    indicators,
    require_same_n_samples,
)
from toysae.metrics._absorption.unions import MIN_JUMP, ROUNDING, Union, greedy_union
from toysae.metrics._progress import Report, reported
from toysae.metrics.groups import GroupSummary, by_group

__all__ = ["MAX_OVERLAP", "MIN_JUMP", "MIN_PRECISION", "Splitting", "splitting"]

MIN_PRECISION = 0.9
"""Precision above which a latent may be a part of a feature, strictly."""
MAX_OVERLAP = 0.1
"""Jaccard overlap below which two parts are near disjoint, strictly."""


@dataclass(frozen=True)
class Splitting:
    """Which features are split, and into what."""

    single_f1: Tensor
    """F1 of each feature's best single latent, `[n]`; NaN for an absent feature."""
    union_f1: Tensor
    """F1 of its parts together, `[n]`; NaN for an absent feature, or one without parts."""
    parts: tuple[tuple[int, ...], ...]
    """Latents that detect each feature together, best first; one or none where it is whole."""

    @property
    def jump(self) -> Tensor:
        """What the union adds to the best single latent, `union_f1 - single_f1`, `[n]`."""
        return self.union_f1 - self.single_f1

    @property
    def count(self) -> Tensor:
        """Latents that each feature is split into, int64 `[n]`: at least 2, or 0 if not split."""
        n_parts = torch.tensor([len(parts) for parts in self.parts], dtype=torch.long)
        split = (n_parts >= 2) & (self.jump >= MIN_JUMP - ROUNDING)
        return torch.where(split, n_parts, 0)

    @property
    def saebench_num_splits(self) -> Tensor:
        """`num_split_features` as SAEBench counts, one less than `count`, int64 `[n]`."""
        return (self.count - 1).clamp(min=0)

    @property
    def is_split(self) -> Tensor:
        """1 for split features, 0 for others, NaN for absent ones, `[n]`; for `by_group`."""
        return (self.count > 0).to(self.single_f1).masked_fill(self.single_f1.isnan(), torch.nan)

    @property
    def fraction(self) -> float:
        """Share of the features present that are split; NaN without any."""
        return self.is_split.nanmean().item()

    def by_group(self, groups: Mapping[str, Sequence[int]]) -> dict[str, GroupSummary]:
        """Share of split features in each group; see `groups.by_group`."""
        return by_group(self.is_split, groups)


def splitting(
    coefficients: Activations,
    latents: Activations,
    *,
    threshold: float = 0.0,
    report: Report | None = None,
) -> Splitting:
    """Whether each feature is shared out among latents that fire for disjoint parts of it.

    A feature is split if two or more latents have a precision above 0.9 for it, fire nearly
    disjointly (Jaccard below 0.1), and the F1 of "any of them fires" exceeds that of the best
    single latent by at least 0.03. Parts are found as by a greedy k-sparse probe: the best of these
    latents first, then the one that raises the F1 of the union most, as long as it adds 0.03.

    Args:
        coefficients: truth `[N, n]`, as a table or by what fires.
        latents: activations `[N, m]` on the same samples, as a table or by what fires.
        threshold: absolute activation above which a latent fires, strictly.
        report: told how many features are done.

    Returns:
        The parts of each feature and their F1; the share of split features is in [0, 1], 0 is
        best. Features that are never active are undefined. A feature that no latent detects is
        not split: its best single F1 is 0, its union NaN.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: Chanin et al. 2024 (arXiv 2409.14507); the jump in F1 as in SAEBench 0.6.0.
    """
    truth = indicators(columns(coefficients, "coefficients"))
    fired = indicators(columns(latents, "latents", threshold))
    require_same_n_samples(truth, fired, ("coefficients", "latents"))
    joint = (truth.T @ fired).tocsr()
    positives, firings = truth.sum(axis=0), fired.sum(axis=0)
    n = truth.shape[1]
    found = [
        _parts(truth, fired, firings, joint[[i]], i, positives[i])
        for i in reported(range(n), n, report)
    ]
    return Splitting(
        torch.tensor([single for single, _ in found], dtype=torch.float64),
        torch.tensor([union.f1 for _, union in found], dtype=torch.float64),
        tuple(tuple(union.latents) for _, union in found),
    )


def _parts(
    truth: csc_array,
    fired: csc_array,
    firings: np.ndarray,
    joint: csc_array,
    feature: int,
    positives: float,
) -> tuple[float, Union]:
    """F1 of the best single latent of a feature, and the union of its parts."""
    if positives == 0:
        return np.nan, Union([], np.nan)
    met, hits = joint.indices, joint.data
    single = f1(hits, positives, firings[met]).max(initial=0.0)
    precise = np.sort(met[hits > MIN_PRECISION * firings[met]])
    active = np.zeros(truth.shape[0], dtype=bool)
    active[truth.indices[truth.indptr[feature] : truth.indptr[feature + 1]]] = True
    return float(single), greedy_union(active, fired, precise, MAX_OVERLAP)
