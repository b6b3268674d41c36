"""Chance levels."""

from __future__ import annotations

import math

from toysae.metrics import chance
from toysae.metrics._metric import Metric

_SPHERE = "law of the cosine on the sphere, Beta((d - 1)/2, (d - 1)/2)"

RECORDS = (
    Metric(
        chance.expected_max_cosine,
        formula="1 - integral_{-1}^{1} F_d(t)^m dt",
        range=(0, 1),
        orientation="chance level of max_cosine",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.expected_max_abs_cosine,
        formula="1 - integral_0^1 G_d(t)^m dt",
        range=(0, 1),
        orientation="chance level of max_abs_cosine",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.prob_max_cosine_above,
        formula="1 - F_d(t)^m",
        range=(0, 1),
        orientation="small is beyond chance",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.chance_corrected,
        formula="(value - chance) / (1 - chance)",
        range=(-math.inf, 1),
        orientation="value first; 1 is perfect, 0 is chance",
        symmetric=False,
        invariances=(),
        degenerate="NaN for chance = 1",
        source="Cohen 1960, kappa",
    ),
)
