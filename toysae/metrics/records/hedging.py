"""Latents that lean towards features without a latent."""

from __future__ import annotations

import math

from toysae.metrics import hedging
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        hedging.hedging,
        formula="mean_j sqrt(sum_k <d_j, f_k^dual>^2) over unassigned features k",
        range=(0, math.inf),
        orientation="features are the truth and come second; 0 is best",
        symmetric=False,
        invariances=("scale_rows", "flip_rows", "joint_rotation", "pad_dimensions"),
        degenerate="NaN where no latent is assigned; 0 where all features are",
        source="Chanin, Dulka and Garriga-Alonso 2025 (arXiv 2505.11756), with the truth",
        summaries=("mean_norm",),
    ),
    Metric(
        hedging.one_latent_optimum,
        formula="first eigenvector of E[c c^T], and of Cov(c)",
        range=(-1, 1),
        orientation="direction by features; an axis is no hedging",
        symmetric=None,
        invariances=(),
        degenerate="NaN where the first two eigenvalues are equal",
        source="Eckart and Young 1936; arXiv 2505.11756",
        summaries=("without_bias", "with_bias"),
    ),
)
