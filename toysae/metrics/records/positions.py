"""Position by position."""

from __future__ import annotations

import math

from toysae.metrics import positions
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        positions.per_position,
        formula="sum_s v_st / #{s: v_st defined}; intervals resample the sequences s",
        range=(-math.inf, math.inf),
        orientation="one value a token [sequences, positions]",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN with a count of 0 where no sequence has a value",
        source="Chamandy et al. 2012 (bootstrap over streams)",
        summaries=("value",),
    ),
    Metric(
        positions.explained_variance_by_position,
        formula="1 - sum_s |x_st - x_hat_st|^2 / sum_s |x_st - mean_s(x_t)|^2",
        range=(-math.inf, 1),
        orientation="x is the truth and comes first; 1 is best, 0 is the mean of the position",
        symmetric=False,
        invariances=(*SAMPLES, "joint_scale", "joint_shift"),
        degenerate="NaN where the tokens of a position do not vary, as for BOS",
        source="explained variance of the tokens at one position",
    ),
)
