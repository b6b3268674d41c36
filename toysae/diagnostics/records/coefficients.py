"""Can the coefficients of a readout be trusted?"""

from __future__ import annotations

import math

from toysae.diagnostics import coefficients
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        coefficients.readout_regression,
        formula="least squares; NaN for coefficients that exact relations leave open",
        range=(0, 1),
        orientation="predictors first; r_squared 1 is a perfect fit, with right signs or wrong",
        symmetric=None,
        invariances=(*SAMPLES, "scale_columns", "joint_scale", "joint_shift"),
        degenerate="r_squared is NaN for a target without variation",
        source="textbook",
        summaries=("r_squared",),
    ),
    Metric(
        coefficients.implied_coefficients,
        formula="<a, d_j>",
        range=(-math.inf, math.inf),
        orientation="decoder rows first; the exact coefficients where reconstruction is exact",
        symmetric=None,
        invariances=("joint_rotation", "pad_dimensions"),
        degenerate="0 for a zero row",
        source="y = <a, h> and h = z D",
    ),
    Metric(
        coefficients.sign_errors,
        formula="share of estimates whose sign is not that of the reference",
        range=(0, 1),
        orientation="estimate first, reference second; 0 is best",
        symmetric=None,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN where no reference has a sign",
        source="textbook",
        summaries=("rate",),
    ),
)
