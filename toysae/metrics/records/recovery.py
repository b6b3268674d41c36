"""Recovered against true features."""

from __future__ import annotations

from toysae.metrics import recovery
from toysae.metrics._metric import COLUMNS, ROWS, SAMPLES, SPACE, Metric

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
        recovery.composed_score,
        formula="s_k = max_{|S| <= k, w >= 0} cos(d, sum_S w_i f_i); p = 1 - F_{d-1}(t)^{n-1}",
        range=(0, 1),
        orientation="features are the truth and come second; share of composed latents",
        symmetric=False,
        invariances=(*ROWS, "scale_rows", "joint_rotation"),
        degenerate="NaN where no latent is decided, as for gains in d <= 2",
        source="toysae",
        summaries=("fraction_composed",),
    ),
    Metric(
        recovery.monosemanticity,
        formula="mean_j max_i a_ij / (1e-10 + sum_i a_ij)",
        range=(0, 1),
        orientation="rows are true features; 1 is best",
        symmetric=None,
        invariances=("permute_rows_a", "permute_columns_a", "scale_columns"),
        degenerate="NaN for latents silent on all features",
        source="Jermyn, Schiefer and Hubinger 2022 (arXiv 2211.09169), eq. 7",
        summaries=("mean", "published_mean"),
    ),
    Metric(
        recovery.detection,
        formula="TP / #f, TP / #y, 2 TP / (#y + #f), phi of y = [c != 0] and f = [|z| > t]",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for silent latents or absent features, each where it divides by them",
        source="van Rijsbergen 1979; Matthews 1975 for phi",
        summaries=("mean_best_f1_per_feature", "mean_best_f1_per_latent"),
    ),
)
