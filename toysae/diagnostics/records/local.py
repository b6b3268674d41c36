"""Variance inflation within blocks."""

from __future__ import annotations

import math

from toysae.diagnostics import local
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        local.block_local_vif,
        formula="[B^-1]_jj <= vif_j <= [(B - e)^-1]_jj within a component of |phi| > threshold",
        range=(1, math.inf),
        orientation="1 is best",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale"),
        degenerate="NaN for constant columns; no upper bound where blocks are tied too strongly",
        source="Schur complement; Weyl's inequality",
        summaries=("lowest", "highest"),
    ),
)
