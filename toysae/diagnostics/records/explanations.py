"""What latents look like: true, composed, principal or random directions."""

from __future__ import annotations

import math

from toysae.diagnostics import explanations
from toysae.metrics._metric import Metric

RECORDS = (
    Metric(
        explanations.class_alignment,
        formula="(max |cos| - E0) / (1 - E0), E0 for as many random directions",
        range=(-math.inf, 1),
        orientation="latents first; 1 is best, 0 is chance",
        symmetric=False,
        invariances=("permute_rows_b", "scale_rows", "flip_rows", "joint_rotation"),
        degenerate="NaN for zero latents, an empty class and in one dimension",
        source="law of the cosine on the sphere; Cohen 1960, kappa",
        summaries=("corrected",),
    ),
    Metric(
        explanations.expected_max_abs_cosine_of_basis,
        formula="E max_{i <= k} |g_i| / E |g| for g Gaussian in d dimensions",
        range=(0, 1),
        orientation="chance level of the best of k orthonormal directions",
        symmetric=None,
        invariances=(),
        degenerate="NaN for k = 0",
        source="length and direction of a Gaussian are independent",
    ),
    Metric(
        explanations.explain_latents,
        formula="mean corrected max |cos| to true, composed, principal and random directions",
        range=(-math.inf, 1),
        orientation="latents first; components win by more than .05 with resolved gaps, or not",
        symmetric=False,
        invariances=("permute_rows_a", "permute_rows_b", "joint_rotation"),
        degenerate="NaN for a class without candidates",
        source="law of the cosine on the sphere; Cohen 1960, kappa",
        summaries=("true.mean", "composed.mean", "components.mean"),
    ),
    Metric(
        explanations.eigenspace_overlap,
        formula="tr(P Q) / k of the spaces of the first k components",
        range=(0, 1),
        orientation="1 is the same space, k / d is chance",
        symmetric=True,
        invariances=("permute_samples", "joint_rotation", "joint_scale", "joint_shift"),
        degenerate="NaN where a PCA does not resolve the gap after component k",
        source="principal angles: Björck & Golub 1973",
    ),
)
