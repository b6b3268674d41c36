"""Collinearity under regularisation."""

from __future__ import annotations

import math

from toysae.diagnostics import ridge
from toysae.metrics._metric import SAMPLES, Metric

_CENTERED = (*SAMPLES, "scale_columns", "joint_scale", "joint_shift")

RECORDS = (
    Metric(
        ridge.ridge_vif,
        formula="diag[(R + l)^-1 R (R + l)^-1]",
        range=(0, math.inf),
        orientation="falls with the penalty; at 0 it is the centred VIF",
        symmetric=None,
        invariances=_CENTERED,
        degenerate="NaN for constant columns, and at penalty 0 with exact relations",
        source="Marquardt 1970",
        summaries=("vif", "degrees_of_freedom"),
    ),
    Metric(
        ridge.ridge_trace,
        formula="(R + l)^-1 X'y with columns of X at unit length",
        range=(-math.inf, math.inf),
        orientation="a sign that changes along the penalties is not to be trusted",
        symmetric=None,
        invariances=("permute_samples", "joint_shift"),
        degenerate="NaN for constant columns, and at penalty 0 with exact relations",
        source="Hoerl & Kennard 1970",
        summaries=("beta",),
    ),
    Metric(
        ridge.regularized_vif,
        formula="diag[((1 - l) R + l)^-1]",
        range=(1, math.inf),
        orientation="1 is best; at most 1 / l",
        symmetric=None,
        invariances=_CENTERED,
        degenerate="NaN for constant columns, and at share 0 with exact relations",
        source="Ledoit & Wolf 2004, shrinkage to the identity",
        summaries=("vif",),
    ),
)
