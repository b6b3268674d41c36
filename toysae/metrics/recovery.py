"""Whether an SAE found the true features.

Truth is `features [n, d]` or the coefficients `[N, n]`; what was learned is `decoder [m, d]` or the
latents `[N, m]`. Every question is asked both ways: of each feature whether it was found, and of
each latent whether it is a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._detection.joint_recovery import JointRecovery, joint_recovery
from toysae.metrics._detection.recovery_curve import RecoveryCurve, recovery_curve
from toysae.metrics._dictionaries.best_partners import best_partners
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics._inputs import refuse_nan

__all__ = [
    "AngleToNearest",
    "FeatureRecovery",
    "JointRecovery",
    "RecoveryCurve",
    "angle_to_nearest",
    "feature_recovery",
    "joint_recovery",
    "recovery_curve",
]


@dataclass(frozen=True)
class FeatureRecovery:
    """Which features have a latent that points their way."""

    cosine: Tensor
    """Cosine of each feature with its best latent, `[n]`; NaN for no such latent."""
    latent: Tensor
    """That latent, `[n]`; -1 where NaN."""
    threshold: float
    """Cosine above which a feature is recovered, strictly."""

    @property
    def recovered(self) -> Tensor:
        """Features recovered, bool `[n]`; False where undefined."""
        return self.cosine > self.threshold

    @property
    def n_defined(self) -> int:
        """Features that have a best latent."""
        return int((~torch.isnan(self.cosine)).sum())

    @property
    def fraction(self) -> float:
        """Share of the defined features that are recovered; NaN if none is defined."""
        return int(self.recovered.sum()) / self.n_defined if self.n_defined else torch.nan


@dataclass(frozen=True)
class AngleToNearest:
    """How far each latent points away from the nearest of some directions."""

    degrees: Tensor
    """Angle of each latent with its nearest direction, `[m]`, in [0, 180]; NaN for none."""
    index: Tensor
    """That direction, `[m]`; -1 where NaN."""

    @property
    def mean(self) -> float:
        """Mean angle over defined latents."""
        return self.degrees.nanmean().item()


def feature_recovery(
    features: Tensor,
    decoder: Tensor,
    threshold: float = 0.9,
    *,
    alive: Tensor | None = None,
    block: int = 4096,
) -> FeatureRecovery:
    """Best latent of each feature, `max_j cos(f_i, d_j)`, and whether it is above a threshold.

    Signed, in [-1, 1]; the fraction is in [0, 1]. Several features may share a latent. Not
    symmetric: surplus latents never lower it, so read it beside `angle_to_nearest`.

    Args:
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        threshold: cosine above which a feature is recovered, strictly.
        alive: bool mask `[m]`; other latents are left out.
        block: features compared at once.

    Returns:
        Cosine and latent of each feature; all NaN where there is no latent with a direction.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either, or a threshold that is NaN.

    Source: recall of features, SAE folklore.
    """
    refuse_nan(threshold, "threshold")
    truth, latents = unit_rows_of_pair(features, decoder, None, alive, ("features", "decoder"))
    best, _ = best_partners(truth, latents, block=block, similarity=torch.positive)
    return FeatureRecovery(best.similarity, best.partner, threshold)


def angle_to_nearest(
    decoder: Tensor,
    directions: Tensor,
    *,
    alive: Tensor | None = None,
    block: int = 4096,
) -> AngleToNearest:
    """Angle of each latent with the nearest of `directions`, in degrees.

    `min_i arccos cos(d_j, r_i)`, signed (the opposite direction is 180 degrees away), in [0, 180],
    0 is best. `directions` may be the features, or candidates such as sums of features. Accurate
    for tiny angles, where the arc cosine is not.

    Args:
        decoder: learned `[m, d]`.
        directions: `[k, d]`, the rows `r_i` to compare with.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.

    Returns:
        Angle and direction of each latent; NaN for zero and left-out latents, or no directions.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: textbook.
    """
    latents, targets = unit_rows_of_pair(
        decoder, directions, alive, names=("decoder", "directions")
    )
    best, _ = best_partners(latents, targets, block=block, similarity=torch.positive)
    degrees = best.similarity.clone()
    found = best.partner >= 0
    u = latents.spread(latents.unit, torch.nan)[found]
    v = targets.spread(targets.unit, torch.nan)[best.partner[found]]
    half = torch.atan2(
        torch.linalg.vector_norm(u - v, dim=1), torch.linalg.vector_norm(u + v, dim=1)
    )
    degrees[found] = torch.rad2deg(2 * half)
    return AngleToNearest(degrees, best.partner)
