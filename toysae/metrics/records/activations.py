"""How often latents fire, and how often together."""

from __future__ import annotations

import math

from toysae.metrics import activations
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        activations.density,
        formula="#{t: |z_tj| > threshold} / N",
        range=(0, 1),
        orientation="neither end is best; 0 is dead",
        symmetric=None,
        invariances=(*SAMPLES, "permute_columns_a", "scale_columns"),
        degenerate="NaN without samples",
        source="textbook",
        summaries=("mean",),
    ),
    Metric(
        activations.mean_l0,
        formula="mean_t #{j: |z_tj| > threshold}",
        range=(0, math.inf),
        orientation="near the true number of active features is best",
        symmetric=None,
        invariances=(*SAMPLES, "permute_columns_a", "scale_columns"),
        degenerate="NaN without samples",
        source="textbook",
    ),
    Metric(
        activations.jaccard,
        formula="|T_i & T_j| / |T_i | T_j|, both sides firing at least `minimum` times",
        range=(0, 1),
        orientation="either side may be the truth; 1 is best",
        symmetric=False,
        invariances=("permute_samples", *COLUMNS),
        degenerate="NaN for latents that fire too rarely",
        source="Jaccard 1901",
        summaries=("mean_a_to_b", "mean_b_to_a", "surviving_a", "matching.mean_over_max"),
    ),
    Metric(
        activations.cofiring,
        formula="jaccard, dice, overlap, phi, lift, P(b|a), P(a|b) of n11, n1, n2, N",
        range=(-1, math.inf),
        orientation="P(b|a) is second_given_first; the others have no side",
        symmetric=False,
        invariances=("repeat_samples",),
        degenerate="NaN where a side never fires, or for phi never varies",
        source="textbook",
        summaries=("jaccard", "dice", "overlap", "phi", "lift", "second_given_first"),
    ),
    Metric(
        activations.expected_jaccard,
        formula="p1 p2 / (p1 + p2 - p1 p2)",
        range=(0, 1),
        orientation="chance level of jaccard",
        symmetric=True,
        invariances=(),
        degenerate="NaN where both probabilities are 0",
        source="independent firing",
    ),
)
