"""Collinearity of sparse latents at real size."""

from __future__ import annotations

import math

from toysae.diagnostics import large
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        large.sparse_collinearity,
        formula="vif_j = sum_i (L^-1)_ij^2 with L L' = Gram; sqrt(eig_max / eig_k)",
        range=(1, math.inf),
        orientation="1 is best",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale"),
        degenerate="NaN for dropped latents (silent, too few firings, constant), with a reason; "
        "infinite exactly for latents in an exact relation",
        source="Marquardt 1970; Belsley, Kuh & Welsch 1980",
        summaries=("centered.vif", "uncentered.vif", "condition_indices"),
    ),
)
