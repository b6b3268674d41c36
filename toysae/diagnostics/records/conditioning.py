"""What condition indices say."""

from __future__ import annotations

import math

from toysae.diagnostics import conditioning
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        conditioning.harmful_relations,
        formula="eta_k > 30 and #{j: pi_kj > .5} >= 2",
        range=(0, math.inf),
        orientation="0 is best: no near relation spoils two coefficients",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale", "permute_columns_a"),
        degenerate="indices that are equal are judged together, exact relations among them",
        source="Belsley, Kuh & Welsch 1980",
        summaries=("n_harmful",),
    ),
    Metric(
        conditioning.centered_condition_indices,
        formula="sqrt(eig_max(R) / eig_k(R)) of the correlation matrix R",
        range=(1, math.inf),
        orientation="1 is best; the last is sqrt(kappa(R))",
        symmetric=None,
        invariances=(
            *SAMPLES,
            "scale_columns",
            "joint_scale",
            "joint_shift",
            "permute_columns_a",
        ),
        degenerate="infinite for exact relations; constant columns are left out",
        source="Belsley, Kuh & Welsch 1980",
    ),
)
