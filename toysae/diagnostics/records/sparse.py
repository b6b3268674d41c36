"""Regularised and block-local variance inflation of sparse latents."""

from __future__ import annotations

import math

from toysae.diagnostics import sparse
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        sparse.sparse_regularized_vif,
        formula="diag[((1 - l) R + l)^-1] of sparse latents",
        range=(1, math.inf),
        orientation="1 is best; at most 1 / l",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale", "joint_shift"),
        degenerate="NaN for dropped latents (silent, too few firings) and constant ones",
        source="Ledoit & Wolf 2004, shrinkage to the identity",
        summaries=("vif",),
    ),
    Metric(
        sparse.sparse_block_local_vif,
        formula="[B^-1]_jj <= vif_j <= [(B - e)^-1]_jj within a component of |phi| > threshold",
        range=(1, math.inf),
        orientation="1 is best",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale"),
        degenerate="NaN for dropped and constant latents; no upper bound where blocks are tied",
        source="Schur complement; Weyl's inequality",
        summaries=("lowest", "highest"),
    ),
)
