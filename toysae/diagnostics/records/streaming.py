"""PCA of data that comes in batches."""

from __future__ import annotations

import math

from toysae.diagnostics import streaming
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        streaming.pca_of_moments,
        formula="eigenvectors of merged moments, S = S1 + S2 + (N1 N2 / N) (m2 - m1)(m2 - m1)'",
        range=(1, math.inf),
        orientation="as pca, without the tests, which take the samples",
        symmetric=None,
        invariances=(
            "permute_samples",
            "repeat_samples",
            "joint_rotation",
            "pad_dimensions",
            "joint_scale",
            "joint_shift",
        ),
        degenerate="NaN ratios and ranks for data without variance",
        source="Chan, Golub & LeVeque 1983",
        summaries=("participation_ratio", "effective_rank", "stable_rank"),
    ),
)
