"""Whether the firing of latents tells where features are active.

Truth is the coefficients `[N, n]`, of which a feature is active where its own is not 0; what was
learned are the latents `[N, m]` of the same samples. Both may be tables or `SparseCodes`.

The best F1 of a feature that nothing detects is 0, and it has no best latent. That of a feature
that is never active, of a latent that never fires, and of one that a mask leaves out is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._detection.columns import (
    Activations,
    alive_mask,
    both_by_samples,
    counts_by_column,
    device_of,
    indicators,
    n_samples_of,
    sums_over_samples,
)
from toysae.metrics._detection.pair_tables import F1s
from toysae.metrics._detection.running_best import RunningBest
from toysae.metrics._directions import Partners
from toysae.metrics._inputs import refuse_non_finite, require_axes, require_same_samples
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics._tables import NEGLIGIBLE, best_along_rows
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
    """F1 of each feature's best latent, `[n]`: is it detected at all; NaN if it is never active, or
    without latents."""
    best_latent: Tensor
    """That latent, `[n]`; -1 where none detects the feature."""
    best_f1_per_latent: Tensor
    """F1 of each latent's best feature, `[m]`: does it detect anything; NaN if it never fires or is
    left out, or without features."""
    best_feature: Tensor
    """That feature, `[m]`; -1 where the latent detects none."""

    @property
    def n_defined_features(self) -> int:
        """Features with a best F1."""
        return int((~self.best_f1_per_feature.isnan()).sum())

    @property
    def n_defined_latents(self) -> int:
        """Latents with a best F1."""
        return int((~self.best_f1_per_latent.isnan()).sum())

    @property
    def mean_best_f1_per_feature(self) -> float:
        """Mean over features that are defined."""
        return self.best_f1_per_feature.nanmean().item()

    @property
    def mean_best_f1_per_latent(self) -> float:
        """Mean over latents that are defined; dead ones are not."""
        return self.best_f1_per_latent.nanmean().item()


@dataclass(frozen=True)
class DetectionOfPairs:
    """How well each item detects, or is detected by, its best partner by F1; `[k]` each."""

    partner: Tensor
    """The partner, the lowest among ties; -1 where no F1 is above 0."""
    precision: Tensor
    """Share of the latent's firings on which the feature is active; NaN without partner."""
    recall: Tensor
    """Share of the feature's samples on which the latent fires; NaN without partner."""
    f1: Tensor
    """Harmonic mean of both, 0 without partner; NaN for features that are never active, latents
    that never fire or are left out, and where the other side is empty."""
    phi: Tensor
    """Correlation of the two indicators; NaN where either is constant, and without partner."""

    @property
    def n_defined(self) -> int:
        """Items with an F1."""
        return int((~self.f1.isnan()).sum())

    @property
    def mean_f1(self) -> float:
        """Mean over defined items."""
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
    coefficients: Activations,
    latents: Activations,
    *,
    threshold: float = 0.0,
    alive: Tensor | None = None,
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
        alive: bool mask `[m]`; other latents are left out, their columns NaN. Latents that never
            fire here are nobody's best, with or without it.

    Returns:
        The tables, and the best partners by F1 in both directions (lowest index among ties; none
        where no F1 is above 0). A feature that no latent detects has best F1 0; NaN for features
        that are never active and latents that never fire. `best_detection` gives the partners
        alone, without holding the tables.

    Raises:
        ShapeError: not two axes, different samples, or a mask of another length.
        DataError: NaN or infinity, a threshold that is negative or not finite, a mask not bool.

    Source: van Rijsbergen 1979 for F1; Matthews 1975 for phi.
    """
    counts = _joint_counts(coefficients, latents, threshold)
    positives, firings = counts.n1[:, 0], counts.n2[0, :]
    pairs = cofiring(*counts)
    left_out = ~alive_mask(alive, len(firings)).to(firings.device)
    f1 = pairs.dice.masked_fill(left_out, torch.nan)
    per_feature = _defined(best_along_rows(f1), positives)
    per_latent = _defined(best_along_rows(f1.T), firings)
    return Detection(
        precision=pairs.first_given_second.masked_fill(left_out, torch.nan),
        recall=pairs.second_given_first.masked_fill(left_out, torch.nan),
        f1=f1,
        phi=pairs.phi.masked_fill(left_out, torch.nan),
        positives=positives,
        firings=firings,
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
    alive: Tensor | None = None,
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
        alive: bool mask `[m]`; other latents are left out.
        block: features compared at once.
        report: called with the blocks done and all blocks.

    Returns:
        Partners and their precision, recall, F1 and phi, both ways, as those of `detection`: F1 0
        and partner -1 for features that nothing detects, NaN for what is never active or dead.

    Raises:
        ShapeError: not two axes, different samples, or a mask of another length.
        DataError: NaN or infinity, a threshold that is negative or not finite, a mask not bool.

    Source: van Rijsbergen 1979 for F1.
    """
    f1s = F1s(*both_by_samples(coefficients, latents, threshold), alive)
    n_samples, positives, firings = n_samples_of(latents), f1s.positives, f1s.firings
    best = RunningBest(len(positives), len(firings), positives.device)
    blocks = list(row_blocks(len(positives), block))
    for rows in reported(blocks, len(blocks), report):
        best.add(rows, f1s.of(rows))
    device = device_of(latents)
    of_features, of_latents = _defined(best.rows, positives), _defined(best.columns, firings)
    sides = (
        (of_features, positives, _at(firings, of_features.partner)),
        (of_latents, _at(positives, of_latents.partner), firings),
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
    alone = best.partner < 0
    precision, recall, phi = (
        x.masked_fill(alone, torch.nan).to(device)
        for x in (pairs.first_given_second, pairs.second_given_first, pairs.phi)
    )
    return DetectionOfPairs(
        best.partner.to(device), precision, recall, best.similarity.to(device), phi
    )


def _defined(best: Partners, n_active: Tensor) -> Partners:
    """Best partners of what is active at all, and only those that share a sample with it."""
    return Partners(
        best.similarity.masked_fill(n_active == 0, torch.nan),
        best.partner.masked_fill(~(best.similarity > NEGLIGIBLE), -1),
    )


def _at(counts: Tensor, index: Tensor) -> Tensor:
    """`counts[index]`, and 0 for index -1."""
    return torch.cat([counts, counts.new_zeros(1)])[index]


def _joint_counts(
    coefficients: Activations, latents: Activations, threshold: float
) -> FiringCounts:
    if isinstance(coefficients, Tensor) and isinstance(latents, Tensor):
        for value, name in ((coefficients, "coefficients"), (latents, "latents")):
            require_axes(value, name, "[samples, columns]")
            refuse_non_finite(value, name)
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
