"""Whether the firing of latents tells where features are active, for all pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from toysae.metrics._inputs import require_same_samples
from toysae.metrics._tables import best_along_rows
from toysae.metrics.activations import cofiring, fires, firing_counts


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


def detection(coefficients: Tensor, latents: Tensor, *, threshold: float = 0.0) -> Detection:
    """Precision, recall, F1 and phi of every latent as a detector of every feature.

    With `y = [c != 0]`, `f = [|z| > threshold]` and their joint counts, from one product of binary
    tables: precision `TP / #f`, recall `TP / #y`, `F1 = 2 TP / (#y + #f)`, all in [0, 1], and phi
    in [-1, 1]. Not symmetric: swapping the arguments swaps precision and recall and transposes.
    Invariant to positive scaling of a latent at threshold 0.

    Args:
        coefficients: truth `[N, n]`; a feature is active where its coefficient is not 0.
        latents: activations `[N, m]` on the same samples.
        threshold: activation above which a latent fires, strictly.

    Returns:
        The tables, and the best partners by F1 in both directions (lowest index among ties).

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: NaN or infinity.
    """
    require_same_samples(coefficients, latents, ("coefficients", "latents"))
    counts = firing_counts(fires(coefficients), fires(latents, threshold))
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
