"""Recovered against true: ranking without a threshold."""

from __future__ import annotations

from toysae.metrics import ranking
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        ranking.ranking,
        formula="AUROC = U / (n+ n-), sum_k (R_k - R_{k-1}) P_k, max_v F1(y, [z >= v]) of pairs",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, "scale_columns"),
        degenerate="NaN for features never active, AUROC also for features always active",
        source="Hanley and McNeil 1982; Manning, Raghavan and Schuetze 2008",
        summaries=("mean_auroc", "mean_average_precision", "mean_best_f1"),
    ),
    Metric(
        ranking.ranking_table,
        formula="AUROC = U / (n+ n-), sum_k (R_k - R_{k-1}) P_k, max_v F1(y, [z >= v]), all pairs",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for features never active, AUROC also for features always active",
        source="Hanley and McNeil 1982; Manning, Raghavan and Schuetze 2008",
        summaries=("mean_auroc", "mean_average_precision", "mean_best_f1"),
    ),
)
