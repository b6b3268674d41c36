"""Null models."""

from __future__ import annotations

import math

from toysae.metrics import nulls
from toysae.metrics._metric import ROWS, Metric

_SUMMARIES = ("value", "mean", "sd", "q95", "p_value", "corrected")

RECORDS = (
    Metric(
        nulls.null_ladder,
        formula="statistic(a, b') for b' in turn isotropic, with the covariance of b, rotated, "
        "permuted; p = (1 + #{null >= value}) / (1 + n_draws), "
        "corrected = (value - E0) / (1 - E0)",
        range=(-math.inf, math.inf),
        orientation="a stays and b is replaced; a value above q95, a small p and a corrected value "
        "near 1 are beyond chance",
        symmetric=False,
        invariances=(*ROWS, "scale_rows"),
        degenerate="NaN where the statistic is; corrected NaN where the null reaches 1; zero rows "
        "stay zero",
        source="Gaussian, rotation and permutation nulls; (1 + r) / (1 + n): Davison and Hinkley "
        "1997",
        summaries=_SUMMARIES,
    ),
    Metric(
        nulls.reference_null,
        formula="statistic(a, b') for each given b'",
        range=(-math.inf, math.inf),
        orientation="a stays and b is replaced; a value above q95, a small p and a corrected value "
        "near 1 are beyond what the references reach",
        symmetric=False,
        invariances=(*ROWS, "scale_rows"),
        degenerate="NaN where the statistic is; sd NaN for one reference",
        source='frozen and random dictionaries: "Sanity Checks", arXiv 2602.14111',
        summaries=_SUMMARIES,
    ),
)
