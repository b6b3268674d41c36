"""Recovered against true: detection."""

from __future__ import annotations

from toysae.metrics import detection
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        detection.detection,
        formula="TP / #f, TP / #y, 2 TP / (#y + #f), phi of y = [c != 0] and f = [|z| > t]",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for silent latents and absent features; 0 for features nothing detects",
        source="van Rijsbergen 1979; Matthews 1975 for phi",
        summaries=("mean_best_f1_per_feature", "mean_best_f1_per_latent"),
    ),
    Metric(
        detection.best_detection,
        formula="mean_i max_j F1_ij and mean_j max_i F1_ij, without the table of all pairs",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for silent latents and absent features; 0 for features nothing detects",
        source="van Rijsbergen 1979",
        summaries=("per_feature.mean_f1", "per_latent.mean_f1"),
    ),
)
