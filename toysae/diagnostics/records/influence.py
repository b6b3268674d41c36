"""What a regression rests on."""

from __future__ import annotations

from toysae.diagnostics import influence
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        influence.leverage,
        formula="diag X (X'X)^+ X'; sums to the rank",
        range=(0, 1),
        orientation="1 is a sample that is fitted exactly whatever its target",
        symmetric=None,
        invariances=("permute_columns_a", "scale_columns", "joint_scale", "joint_shift"),
        degenerate="exact relations among the columns change nothing",
        source="Hoaglin & Welsch 1978",
    ),
    Metric(
        influence.sign_probability,
        formula="Phi(|beta| / se)",
        range=(0.5, 1),
        orientation="1 is a sure sign, .5 a coin",
        symmetric=None,
        invariances=("joint_scale",),
        degenerate="NaN where either is undefined or both are 0",
        source="textbook",
    ),
)
