"""The same readout on four sets of predictors."""

from __future__ import annotations

import math

from toysae.diagnostics import readouts
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        readouts.readout_fits,
        formula="R^2 of y = <a, h> on features, on latents, on matched latents, on PCs",
        range=(0, 1),
        orientation="coefficients are the truth; 1 is best, and says nothing about the betas",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN for a readout, and for coefficients of components, without variation",
        source="toysae",
        summaries=(
            "features.r_squared",
            "latents.r_squared",
            "matched.r_squared",
            "components.r_squared",
        ),
    ),
    Metric(
        readouts.readout_estimators,
        formula="least squares, marginal slopes, ridge and lasso of y on the four sets",
        range=(-math.inf, math.inf),
        orientation="coefficients are the truth; signs that the estimators agree on can be wrong",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="as estimators; raises for fewer than 5 samples",
        source="ridge: Hoerl and Kennard 1970; lasso: Tibshirani 1996, as in scikit-learn",
        summaries=("features.ridge", "latents.ridge", "matched.ridge", "matched.marginal"),
    ),
)
