"""Agreement of subspaces."""

from __future__ import annotations

import math

from toysae.metrics import subspaces
from toysae.metrics._metric import COLUMNS, ROWS, SPACE, Metric

RECORDS = (
    Metric(
        subspaces.principal_angles,
        formula="cos t_k = singular values of U V^T; sum cos^2 / k; sqrt(sum sin^2)",
        range=(0, math.inf),
        orientation="either side may be the truth; overlap 1, chordal 0 are best; chance is k / d",
        symmetric=True,
        invariances=(*ROWS, *SPACE[:2], "flip_rows"),
        degenerate="NaN where a side has only zero rows",
        source="Bjorck and Golub 1973",
        summaries=("angles", "overlap", "expected_overlap", "chordal"),
    ),
    Metric(
        subspaces.linear_cka,
        formula="HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)), linear kernel; biased and unbiased",
        range=(-1, 1),
        orientation="either side may be the truth; 1 is best; read the debiased one",
        symmetric=True,
        invariances=(
            "permute_samples",
            *COLUMNS,
            "joint_rotation",
            "pad_dimensions",
            "joint_scale",
            "joint_shift",
        ),
        degenerate="NaN where a side is constant; debiased NaN below 4 samples",
        source="Kornblith et al. 2019 (arXiv 1905.00414); Song et al. 2012",
        summaries=("biased", "debiased"),
    ),
)
