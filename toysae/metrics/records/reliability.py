"""Whether a metric tells conditions apart."""

from __future__ import annotations

import math

from toysae.metrics import reliability
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        reliability.reseed_variation,
        formula="sd / |mean| over seeds",
        range=(0, math.inf),
        orientation="one value a seed; 0 is best",
        symmetric=None,
        invariances=("permute_samples", "joint_scale"),
        degenerate="NaN for fewer than two seeds or a mean of 0",
        source="arXiv 2605.18229",
    ),
    Metric(
        reliability.signal_to_noise,
        formula="var_c(mean_s v) / mean_c var_s(v)",
        range=(0, math.inf),
        orientation="[conditions, seeds]; large is good, 1 / seeds is about chance",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a", "joint_scale"),
        degenerate="NaN for fewer than two conditions or seeds, or equal seeds",
        source="arXiv 2605.18229",
        summaries=("ratio",),
    ),
    Metric(
        reliability.smallest_claimable_difference,
        formula="2 sqrt(2 mean_c var_s(v))",
        range=(0, math.inf),
        orientation="[conditions, seeds]; claim nothing smaller from two single runs",
        symmetric=None,
        invariances=("permute_samples", "repeat_samples", "permute_columns_a"),
        degenerate="NaN for fewer than two seeds",
        source="twice the standard deviation of the difference of two runs",
    ),
    Metric(
        reliability.intraclass_correlation,
        formula="(B - W) / (B + (k-1) W), and with seeds as a second factor",
        range=(-1, 1),
        orientation="[items, seeds]; 1 is best, 0 is chance",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a", "joint_scale"),
        degenerate="NaN for fewer than two items or seeds, or where nothing varies",
        source="Shrout and Fleiss 1979",
        summaries=("one_way", "agreement", "consistency"),
    ),
    Metric(
        reliability.clustering,
        formula="(B - W) / (B + (n_0 - 1) W); design effect 1 + (m - 1) icc",
        range=(-math.inf, math.inf),
        orientation="[sequences, positions]; 0 is independent, 1 is copies",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a", "joint_scale"),
        degenerate="NaN for fewer than two sequences or where nothing varies",
        source="Donner 1986; Kish 1965",
        summaries=("icc", "design_effect"),
        ranges={"icc": (-math.inf, 1)},
    ),
    Metric(
        reliability.design_effect,
        formula="1 + (m - 1) icc",
        range=(-math.inf, math.inf),
        orientation="factor on the variance of a mean; 1 is independent",
        symmetric=None,
        invariances=(),
        degenerate="1 for clusters of one value",
        source="Kish 1965",
    ),
    Metric(
        reliability.spearman_brown,
        formula="k r / (1 + (k - 1) r)",
        range=(0, 1),
        orientation="reliability of the mean of k times as many seeds; 1 is best",
        symmetric=None,
        invariances=(),
        degenerate="0 for a reliability of 0",
        source="Spearman 1910; Brown 1910",
    ),
)
