"""How well reconstructions fit."""

from __future__ import annotations

import math

from toysae.metrics import reconstruction
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        reconstruction.explained_variance,
        formula="1 - sum |x - x_hat|^2 / sum |x - mean(x)|^2",
        range=(-math.inf, 1),
        orientation="x is the truth and comes first; 1 is best, 0 is predicting the mean",
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale", "joint_shift"),
        degenerate="NaN where x does not vary",
        source="coefficient of determination; 1 - FVU",
    ),
    Metric(
        reconstruction.fraction_of_variance_unexplained,
        formula="sum |x - x_hat|^2 / sum |x - mean(x)|^2",
        range=(0, math.inf),
        orientation="x is the truth and comes first; 0 is best, 1 is predicting the mean",
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale", "joint_shift"),
        degenerate="NaN where x does not vary",
        source="1 - explained variance; sparse_coding and, within a batch, sparsify",
    ),
    Metric(
        reconstruction.squared_error,
        formula="mean_t |x - x_hat|^2, summed over dimensions",
        range=(0, math.inf),
        orientation="either side may be the truth; 0 is best",
        symmetric=True,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_shift"),
        degenerate="NaN without samples",
        source="textbook",
        summaries=("mean",),
    ),
    Metric(
        reconstruction.normalized_mse,
        formula="mean_t |x - x_hat|^2 / |x|^2; sum |x - x_hat|^2 / sum |x|^2",
        range=(0, math.inf),
        orientation="x is the truth and comes first; 0 is best, 1 is predicting zero",
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale"),
        degenerate="NaN for zero samples",
        source="Gao et al. 2024 (arXiv 2406.04093)",
        summaries=("mean", "ratio_of_sums"),
    ),
    Metric(
        reconstruction.mean_cosine,
        formula="mean_t <x, x_hat> / (|x| |x_hat|)",
        range=(-1, 1),
        orientation="either side may be the truth; 1 is best",
        symmetric=True,
        invariances=(*SAMPLES, "scale_rows", "joint_rotation", "pad_dimensions", "joint_scale"),
        degenerate="NaN for zero samples and zero reconstructions",
        source="textbook",
        summaries=("mean",),
    ),
    Metric(
        reconstruction.shrinkage,
        formula="mean |x_hat| / |x|; mean |x_hat| / mean |x|; E |x_hat|^2 / E <x, x_hat>",
        range=(-math.inf, math.inf),
        orientation="x is the truth and comes first; 1 is none, below 1 is shrinkage",
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale"),
        degenerate="NaN for zero samples, bias NaN where <x, x_hat> is 0",
        source="Rajamanoharan et al. 2024 (arXiv 2404.16014), eq. 10",
        summaries=("mean_norm_ratio", "ratio_of_means", "relative_bias"),
        ranges=dict.fromkeys(("mean_norm_ratio", "ratio_of_means"), (0, math.inf)),
    ),
)
