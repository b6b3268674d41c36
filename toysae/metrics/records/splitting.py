"""Features split among several latents."""

from __future__ import annotations

from toysae.metrics import splitting
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        splitting.splitting,
        formula=">= 2 latents of precision > 0.9 and J < 0.1; F1(union) - max F1 >= 0.03",
        range=(0, 1),
        orientation="coefficients are the truth and come first; share of split features, 0 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN for features that are never active",
        source="Chanin et al. 2024 (arXiv 2409.14507); SAEBench 0.6.0",
        summaries=("fraction",),
    ),
)
