"""Does a coefficient keep its sign: over resamples, checkpoints, data, seeds and estimators?"""

from __future__ import annotations

import math

from toysae.diagnostics import coefficient_stability
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        coefficient_stability.coefficient_stability,
        formula="#{r: sign b_r = sign b} / R; 2 R_+ R_- / (R (R - 1)); mean and sd over r",
        range=(0, 1),
        orientation="replicates first; agreement 1 and flips 0 are stable, right or wrong",
        symmetric=None,
        invariances=("permute_samples", "joint_scale"),
        degenerate="NaN for estimates that are 0 or undefined, sd and flips for one replicate",
        source="toysae",
        summaries=("sign_agreement", "sign_flip_rate"),
    ),
    Metric(
        coefficient_stability.bootstrap_coefficients,
        formula="least squares on sequences drawn with replacement",
        range=(-math.inf, math.inf),
        orientation="one row a resample",
        symmetric=None,
        invariances=("joint_scale", "joint_shift"),
        degenerate="NaN where a resample does not identify a coefficient",
        source="Efron 1979",
    ),
    Metric(
        coefficient_stability.estimators,
        formula="(X'X)^-1 X'y; x_j'y / x_j'x_j; (R + l I)^-1 r for each l",
        range=(-math.inf, math.inf),
        orientation="predictors first",
        symmetric=None,
        invariances=(*SAMPLES, "joint_scale", "joint_shift"),
        degenerate="NaN where not identifiable, marginal NaN and ridge 0 for constant predictors",
        source="ridge: Hoerl and Kennard 1970; lasso: Tibshirani 1996, as in scikit-learn",
        summaries=("least_squares", "marginal", "ridge"),
    ),
)
