"""Why a coefficient on a latent is not that of its feature."""

from __future__ import annotations

import math

from toysae.diagnostics import coefficient_errors
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        coefficient_errors.coefficient_errors,
        formula="g b_j - w_i = g OLS(eps)_j + (<a, d_j> - w_i) + (g l_j - 1) w_i + the rest",
        range=(-math.inf, math.inf),
        orientation="coefficients and features are the truth; 0 is best",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN for unmatched and unidentifiable latents and zero decoder rows",
        source="toysae; omitted variables and errors in variables: Fuller 1987",
        summaries=("error", "sampling", "definition", "attenuation", "omission", "vif"),
        ranges={"vif": (1, math.inf)},
    ),
    Metric(
        coefficient_errors.attenuation_factor,
        formula="var / (var + var_e)",
        range=(0, 1),
        orientation="variance first; 1 is no measurement error",
        symmetric=False,
        invariances=("joint_scale",),
        degenerate="NaN where both variances are 0",
        source="Fuller 1987, Measurement Error Models",
    ),
    Metric(
        coefficient_errors.omitted_variable_coefficient,
        formula="b_1 + b_2 d",
        range=(-math.inf, math.inf),
        orientation="own coefficient first",
        symmetric=None,
        invariances=(),
        degenerate="raises on NaN",
        source="textbook",
    ),
)
