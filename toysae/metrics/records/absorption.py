"""Parents absorbed by the latents of their children."""

from __future__ import annotations

from toysae.metrics import absorption
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        absorption.absorption,
        formula="P(all main z = 0, some z_j <d_j, f_p^dual> >= 0.4 c_p | p and c active)",
        range=(-1, 1),
        orientation="coefficients are the truth and come first; 0 is best",
        symmetric=False,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN without a main latent, or samples with both",
        source="Chanin et al. 2024 (arXiv 2409.14507)",
        summaries=("mean_rate", "mean_asymmetry"),
    ),
    Metric(
        absorption.saebench_absorption,
        formula="a / (a + M), M of main latents and a = min(top 3 others, P - M); full if M silent",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 0 is best",
        symmetric=False,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN without a main latent, or samples with both",
        source="SAEBench 0.6.0; Chanin et al. 2024 (arXiv 2409.14507)",
        summaries=("mean_fraction", "mean_full"),
    ),
)
