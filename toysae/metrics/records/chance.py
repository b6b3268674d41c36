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
        chance.prob_max_abs_cosine_above,
        formula="1 - G_d(t)^m",
        range=(0, 1),
        orientation="small is beyond chance",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.max_cosine_quantile,
        formula="smallest t with F_d(t)^m >= p",
        range=(-1, 1),
        orientation="level of max_cosine that chance stays within, with probability p",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.max_abs_cosine_quantile,
        formula="smallest t with G_d(t)^m >= p",
        range=(0, 1),
        orientation="level of max_abs_cosine that chance stays within, with probability p",
        symmetric=None,
        invariances=(),
        degenerate="NaN for m = 0",
        source=_SPHERE,
    ),
    Metric(
        chance.expected_hungarian,
        formula="E of hungarian(A, B) for independent uniform rows, by simulation",
        range=(0, 1),
        orientation="chance level of hungarian, over matched pairs and over the larger side",
        symmetric=None,
        invariances=(),
        degenerate="NaN for n = 0 or m = 0",
        source="no closed form is known",
        summaries=("over_matched.mean", "over_max.mean"),
    ),
    Metric(
        chance.simulated_chance,
        formula="E of statistic(A, B) for independent uniform rows, by simulation",
        range=(-math.inf, math.inf),
        orientation="chance level of any statistic of two dictionaries",
        symmetric=None,
        invariances=(),
        degenerate="NaN where the statistic is",
        source="isotropic null",
        summaries=("mean", "q95"),
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
