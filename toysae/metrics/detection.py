"""Whether the firing of latents tells where features are active.

Truth is the coefficients `[N, n]`, of which a feature is active where its own is not 0; what was
learned are the latents `[N, m]` of the same samples. Both may be tables or `SparseCodes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._detection.columns import (
    Activations,
    both_by_samples,
    counts_by_column,
    device_of,
    indicators,
    n_samples_of,
    sums_over_samples,
)
from toysae.metrics._detection.pair_tables import F1s
from toysae.metrics._detection.running_best import RunningBest
from toysae.metrics._directions import Partners, row_blocks
from toysae.metrics._inputs import require_same_samples
from toysae.metrics._progress import Report, reported
from toysae.metrics._tables import best_along_rows
from toysae.metrics.cofiring import FiringCounts, cofiring, firing_counts
from toysae.metrics.density import fires

__all__ = ["BestDetection", "Detection", "DetectionOfPairs", "best_detection", "detection"]


@dataclass(frozen=True)
class Detection:
    """Every latent as a detector of every feature: tables `[n, m]`, rows are features."""

    precision: Tensor
    """Share of a latent's firings on which the feature is active; NaN for a silent latent."""
    recall: Tensor
    """Share of a feature's samples on which the latent fires; NaN for an absent feature."""
    f1: Tensor
    """Harmonic mean of both; NaN only for a silent latent with an absent feature."""
    phi: Tensor
    """Correlation of the two indicators (Matthews); NaN where either is constant."""
    positives: Tensor
    """Samples on which each feature is active, `[n]`, int64."""
    firings: Tensor
    """Samples on which each latent fires, `[m]`, int64."""
    n_samples: int
    """Samples looked at."""
    best_f1_per_feature: Tensor
    """F1 of each feature's best latent, `[n]`: is it detected at all; NaN for none."""
    best_latent: Tensor
    """That latent, `[n]`; -1 for none."""
    best_f1_per_latent: Tensor
    """F1 of each latent's best feature, `[m]`: does it detect anything; NaN for none."""
    best_feature: Tensor
    """That feature, `[m]`; -1 for none."""

    @property
    def mean_best_f1_per_feature(self) -> float:
        """Mean over features that are defined."""
        return self.best_f1_per_feature.nanmean().item()

    @property
    def mean_best_f1_per_latent(self) -> float:
        """Mean over latents that are defined."""
        return self.best_f1_per_latent.nanmean().item()


@dataclass(frozen=True)
class DetectionOfPairs:
    """How well each item detects, or is detected by, its best partner by F1; `[k]` each."""

    partner: Tensor
    """The partner, the lowest among ties; -1 for none."""
    precision: Tensor
    """Share of the latent's firings on which the feature is active; NaN if it never fires."""
    recall: Tensor
    """Share of the feature's samples on which the latent fires; NaN for none."""
    f1: Tensor
    """Harmonic mean of both; NaN without partner."""
    phi: Tensor
    """Correlation of the two indicators; NaN where either is constant."""

    @property
    def n_defined(self) -> int:
        """Items with a partner."""
        return int((self.partner >= 0).sum())

    @property
    def mean_f1(self) -> float:
        """Mean over items with a partner."""
        return self.f1.nanmean().item()


@dataclass(frozen=True)
class BestDetection:
    """Both questions of detection, without the table of all pairs."""

    per_feature: DetectionOfPairs
    """Of each feature with its best latent, `[n]`: is it detected at all."""
    per_latent: DetectionOfPairs
    """Of each latent with its best feature, `[m]`: does it detect anything."""
    positives: Tensor
    """Samples on which each feature is active, `[n]`, int64."""
    firings: Tensor
    """Samples on which each latent fires, `[m]`, int64."""
    n_samples: int
    """Samples looked at."""


def detection(
    coefficients: Activations, latents: Activations, *, threshold: float = 0.0
) -> Detection:
    """Precision, recall, F1 and phi of every latent as a detector of every feature.

    With `y = [c != 0]`, `f = [|z| > threshold]` and their joint counts, from one product of binary
    tables: precision `TP / #f`, recall `TP / #y`, `F1 = 2 TP / (#y + #f)`, all in [0, 1], and phi
    in [-1, 1]. Not symmetric: swapping the arguments swaps precision and recall and transposes.
    Invariant to positive scaling of a latent at threshold 0.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`.
        latents: activations `[N, m]` on the same samples, a table or `SparseCodes`.
        threshold: activation above which a latent fires, strictly.

    Returns:
        The tables, and the best partners by F1 in both directions (lowest index among ties).
        `best_detection` gives the latter alone, without holding the tables.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: NaN or infinity.
    """
    counts = _joint_counts(coefficients, latents, threshold)
    pairs = cofiring(*counts)
    per_feature, per_latent = best_along_rows(pairs.dice), best_along_rows(pairs.dice.T)
    return Detection(
        precision=pairs.first_given_second,
        recall=pairs.second_given_first,
        f1=pairs.dice,
        phi=pairs.phi,
        positives=counts.n1[:, 0],
        firings=counts.n2[0, :],
        n_samples=counts.n_samples,
        best_f1_per_feature=per_feature.similarity,
        best_latent=per_feature.partner,
        best_f1_per_latent=per_latent.similarity,
        best_feature=per_latent.partner,
    )


def best_detection(
    coefficients: Activations,
    latents: Activations,
    *,
    threshold: float = 0.0,
    block: int = 256,
    report: Report | None = None,
) -> BestDetection:
    """`detection` of each feature by its best latent and of its best feature by each latent.

    Best is the largest F1, the lowest index among ties. For sizes at which the tables of all pairs
    do not fit: `block x m` counts are held. In [0, 1]; not symmetric.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`.
        latents: activations `[N, m]` on the same samples, a table or `SparseCodes`.
        threshold: activation above which a latent fires, strictly.
        block: features compared at once.
        report: called with the blocks done and all blocks.

    Returns:
        Partners and their precision, recall, F1 and phi, both ways. NaN and -1 where no F1 is
        defined: for a feature that is never active beside latents that never fire, and without any.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: NaN or infinity.
    """
    f1s = F1s(*both_by_samples(coefficients, latents, threshold))
    n_samples, positives, firings = n_samples_of(latents), f1s.positives, f1s.firings
    best = RunningBest(len(positives), len(firings), positives.device)
    blocks = list(row_blocks(len(positives), block))
    for rows in reported(blocks, len(blocks), report):
        best.add(rows, f1s.of(rows))
    device = device_of(latents)
    sides = (
        (best.rows, positives, _at(firings, best.rows.partner)),
        (best.columns, _at(positives, best.columns.partner), firings),
    )
    per_feature, per_latent = (
        _of_pairs(partners, active, fired, n_samples, device) for partners, active, fired in sides
    )
    return BestDetection(
        per_feature, per_latent, positives.to(device), firings.to(device), n_samples
    )


def _of_pairs(
    best: Partners, active: Tensor, fired: Tensor, n_samples: int, device: torch.device
) -> DetectionOfPairs:
    """Everything about pairs whose F1 is known: `2 TP / (#y + #f)` gives the joint count back."""
    joint = (best.similarity.nan_to_num(nan=0.0) * (active + fired) / 2).round()
    pairs = cofiring(joint, active, fired, n_samples)
    values = (pairs.first_given_second, pairs.second_given_first, best.similarity, pairs.phi)
    alone = best.partner < 0
    return DetectionOfPairs(
        best.partner.to(device), *(x.masked_fill(alone, torch.nan).to(device) for x in values)
    )


def _at(counts: Tensor, index: Tensor) -> Tensor:
    """`counts[index]`, and 0 for index -1."""
    return torch.cat([counts, counts.new_zeros(1)])[index]


def _joint_counts(
    coefficients: Activations, latents: Activations, threshold: float
) -> FiringCounts:
    if isinstance(coefficients, Tensor) and isinstance(latents, Tensor):
        require_same_samples(coefficients, latents, ("coefficients", "latents"))
        return firing_counts(fires(coefficients), fires(latents, threshold))
    truth, learned = (indicators(x) for x in both_by_samples(coefficients, latents, threshold))
    joint = sums_over_samples(truth, learned).long()
    positives, firings = counts_by_column(truth), counts_by_column(learned)
    device = device_of(latents)
    return FiringCounts(
        joint.to(device),
        positives[:, None].to(device),
        firings[None, :].to(device),
        truth.shape[0],
    )
