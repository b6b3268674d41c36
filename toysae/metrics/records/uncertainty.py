"""How sure a result is."""

from __future__ import annotations

import math

from toysae.metrics import uncertainty
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        uncertainty.seed_interval,
        formula="mean +- t_{n-1} sd / sqrt(n)",
        range=(-math.inf, math.inf),
        orientation="one value a seed",
        symmetric=None,
        invariances=("permute_samples",),
        degenerate="NaN bounds for fewer than two seeds",
        source="Student 1908",
        summaries=("mean", "low", "high"),
    ),
    Metric(
        uncertainty.bootstrap_interval,
        formula="BCa bootstrap of a statistic",
        range=(-math.inf, math.inf),
        orientation="one value a seed",
        symmetric=None,
        invariances=(),
        degenerate="NaN bounds for fewer than two seeds or equal values",
        source="Efron 1987",
        summaries=("mean", "low", "high"),
    ),
    Metric(
        uncertainty.wilson,
        formula="roots q of |successes/n - q| = z sqrt(q (1 - q) / n)",
        range=(0, 1),
        orientation="a share of seeds",
        symmetric=None,
        invariances=(),
        degenerate="NaN for n = 0",
        source="Wilson 1927",
        summaries=("mean", "low", "high"),
    ),
    Metric(
        uncertainty.sign_flip_test,
        formula="#{s in {-1, 1}^n: |sum s_i d_i| >= |sum d_i|} / 2^n",
        range=(0, 1),
        orientation="one difference a seed; small is a real difference",
        symmetric=None,
        invariances=("permute_samples", "joint_scale"),
        degenerate="NaN without seeds",
        source="Fisher 1935",
        summaries=("p_value",),
    ),
    Metric(
        uncertainty.minimum_p,
        formula="2^(1 - n)",
        range=(0, 1),
        orientation="what a sign-flip test of n seeds can reach",
        symmetric=None,
        invariances=(),
        degenerate="1 for n = 0",
        source="smallest tail of the sign-flip distribution",
    ),
    Metric(
        uncertainty.benjamini_hochberg,
        formula="q_(i) = min_{j >= i} min(1, p_(j) k / j)",
        range=(0, 1),
        orientation="small is a discovery",
        symmetric=None,
        invariances=(),
        degenerate="NaN stays NaN and is no test",
        source="Benjamini and Hochberg 1995",
    ),
)
