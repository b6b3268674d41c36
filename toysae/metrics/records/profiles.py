"""Where in a sequence latents fire."""

from __future__ import annotations

import math

from toysae.metrics import profiles
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        profiles.position_profile,
        formula="for each position: #{t there: |z_tj| > threshold} / #{t there}, and mean of z_tj",
        range=(-math.inf, math.inf),
        orientation="neither end is best; a flat profile does not know the position",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN at positions without samples",
        source="textbook",
        summaries=("rate", "mean", "mean_when_firing"),
        ranges={"rate": (0, 1)},
    ),
)
