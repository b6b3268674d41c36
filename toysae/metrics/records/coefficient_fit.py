"""Recovered against true: coefficients and shrinkage."""

from __future__ import annotations

from math import inf

from toysae.metrics import coefficient_fit
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        coefficient_fit.coefficient_fit,
        formula="1 - |c - z|^2 / |c - mean c|^2, the same of c - g z with g = cz / zz, Pearson^2",
        range=(-inf, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN for constant features; gain, R2 of it and r2 also for dead latents",
        source="textbook; Wright and Sharkey 2024 for shrinkage",
        summaries=("mean_r2_identity", "mean_r2_gain", "mean_r2"),
    ),
)
