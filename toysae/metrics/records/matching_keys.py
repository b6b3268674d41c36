"""Recovered against true: which latent belongs to which feature."""

from __future__ import annotations

from toysae.metrics import matching_keys
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        matching_keys.matching_keys,
        formula="share of items with one partner by cos(f_i, d_j), |Pearson(c_i, z_j)| and F1_ij",
        range=(0, 1),
        orientation="features and coefficients are the truth; 1 is full agreement of the keys",
        symmetric=False,
        invariances=(),
        degenerate="NaN where no item has a partner by every key",
        source="toysae",
        summaries=("all_agree_on_features", "all_agree_on_latents"),
    ),
)
