"""Recovered against true: monosemanticity."""

from __future__ import annotations

from toysae.metrics import monosemanticity
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        monosemanticity.monosemanticity,
        formula="mean_j max_i a_ij / (1e-10 + sum_i a_ij)",
        range=(0, 1),
        orientation="rows are true features; 1 is best",
        symmetric=None,
        invariances=("permute_rows_a", "permute_columns_a", "scale_columns"),
        degenerate="NaN for latents silent on all features",
        source="Jermyn, Schiefer and Hubinger 2022 (arXiv 2211.09169), eq. 7",
        summaries=("mean", "published_mean"),
    ),
    Metric(
        monosemanticity.purity,
        formula="max_i sum |z_j| [c_i] / sum |z_j|; max_i P(c_i | z_j fires); 1 - H(p_j) / ln n",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for dead latents and without features; selectivity also for one feature",
        source="toysae; normalised entropy, Shannon 1948",
        summaries=("mean_purity", "mean_token_precision", "mean_selectivity"),
    ),
)
