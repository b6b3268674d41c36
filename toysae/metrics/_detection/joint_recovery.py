"""Features that a latent both points along and fires with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._detection.columns import Activations, above
from toysae.metrics._detection.pair_tables import Cosines, F1s, require_one_a_column
from toysae.metrics._inputs import refuse_nan, require_weights
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks


@dataclass(frozen=True)
class JointRecovery:
    """Features found by direction, by firing, and by one latent in both; bool, `[n]` each."""

    joint: Tensor
    """Some latent is above both thresholds; False where undefined."""
    by_cosine: Tensor
    """Some latent points closer than the threshold."""
    by_f1: Tensor
    """Some latent detects better than the threshold."""
    defined: Tensor
    """The feature has a direction, is active on some sample, and some latent has a direction."""

    @property
    def n_defined(self) -> int:
        """Features that could be found."""
        return int(self.defined.sum())

    @property
    def fraction(self) -> float:
        """Share of the defined features that are jointly recovered; NaN if none is defined."""
        return int(self.joint.sum()) / self.n_defined if self.n_defined else torch.nan

    def weighted(self, weights: Tensor) -> float:
        """`fraction` with weights `[n]`, such as frequencies; NaN if they are 0 where defined.

        Raises:
            ShapeError: not one weight a feature.
            DataError: weights that are negative or not finite.
        """
        if weights.shape != self.joint.shape:
            raise ShapeError(
                f"weights have shape {tuple(weights.shape)}: expected one a feature, "
                f"{list(self.joint.shape)}"
            )
        require_weights(weights, "weights")
        total = weights[self.defined].double().sum()
        return (weights[self.joint].double().sum() / total).item()


def joint_recovery(
    features: Tensor,
    decoder: Tensor,
    coefficients: Activations,
    latents: Activations,
    *,
    cosine_threshold: float = 0.9,
    f1_threshold: float = 0.8,
    threshold: float = 0.0,
    alive: Tensor | None = None,
    block: int = 256,
    report: Report | None = None,
) -> JointRecovery:
    """Whether one latent has both the direction of a feature and its firing.

    `[max_j min(cos(f_i, d_j) - a, F1_ij - b) > 0]`: the same latent must do both, strictly. Either
    alone is not enough: a latent of two features that fire together detects both without pointing
    along one, and one that points along a feature may fire on noise. The fraction is in [0, 1].

    Args:
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        coefficients: truth `[N, n]`, a table or `SparseCodes`.
        latents: activations `[N, m]` of the same samples.
        cosine_threshold: cosine that a latent must exceed.
        f1_threshold: F1 that it must exceed.
        threshold: activation above which a latent fires, strictly.
        alive: bool mask `[m]`; other latents are left out, by direction and by firing.
        block: features compared at once.
        report: called with the blocks done and all blocks.

    Returns:
        Which features are found; the fraction is over those that could be, NaN without any.

    Raises:
        ShapeError: dictionaries and tables that do not belong together.
        DataError: NaN or infinity, a firing threshold that is negative or not finite, or another
            one that is NaN.

    Source: toysae.
    """
    refuse_nan(cosine_threshold, "cosine_threshold")
    refuse_nan(f1_threshold, "f1_threshold")
    truth, learned = require_one_a_column(features, decoder, coefficients, latents)
    cosines, f1s = Cosines(features, decoder, alive), F1s(truth, above(learned, threshold), alive)
    found = torch.zeros(4, len(features), dtype=torch.bool)
    blocks = list(row_blocks(len(features), block))
    for rows in reported(blocks, len(blocks), report):
        cosine, f1 = cosines.of(rows), f1s.of(rows)
        close, detected = cosine > cosine_threshold, f1 > f1_threshold
        active = (f1s.positives[rows, None] > 0) & ~cosine.isnan()
        for which, mask in enumerate((close & detected, close, detected, active)):
            found[which, rows] = mask.any(dim=1)
    return JointRecovery(*found.to(features.device))
