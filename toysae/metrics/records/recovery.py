"""Recovered against true features."""

from __future__ import annotations

from toysae.metrics import recovery
from toysae.metrics._metric import ROWS, SAMPLES, SPACE, Metric

RECORDS = (
    Metric(
        recovery.feature_recovery,
        formula="mean_i [max_j cos(f_i, d_j) > t]",
        range=(0, 1),
        orientation="features are the truth and come first; 1 is best",
        symmetric=False,
        invariances=ROWS + SPACE,
        degenerate="NaN without features or latents",
        source="recall of features, SAE folklore",
        summaries=("fraction",),
    ),
    Metric(
        recovery.angle_to_nearest,
        formula="mean_j min_i arccos cos(d_j, r_i), degrees",
        range=(0, 180),
        orientation="directions are the reference and come second; 0 is best",
        symmetric=False,
        invariances=ROWS + SPACE,
        degenerate="NaN for zero latents and no directions",
        source="textbook",
        summaries=("mean",),
    ),
    Metric(
        recovery.recovery_curve,
        formula="Rec(t) = sum_i w_i [cos_i > t] / sum_i w_i; area = mean over t in [.5, 1]",
        range=(0, 1),
        orientation="one cosine a true feature; 1 is best",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN if no feature has a cosine and a weight",
        source="toysae",
        summaries=("area", "at_70", "at_90", "at_95"),
    ),
    Metric(
        recovery.joint_recovery,
        formula="mean_i [some j has cos(f_i, d_j) > a and F1_ij > b]",
        range=(0, 1),
        orientation="features and coefficients are the truth; 1 is best",
        symmetric=False,
        invariances=("scale_rows",),
        degenerate="NaN if no feature has a direction and is active, or no latent has a direction",
        source="toysae",
        summaries=("fraction",),
    ),
)
