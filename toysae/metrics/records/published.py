"""What other code calls explained variance or error, for comparison only."""

from __future__ import annotations

import math

from toysae.metrics import published
from toysae.metrics._metric import SAMPLES, Metric

_TRUTH_FIRST = "x is the truth and comes first; 1 is best; for comparison only"
_LIKE_OURS = (*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale", "joint_shift")

RECORDS = (
    Metric(
        published.legacy_explained_variance,
        formula="mean_t (1 - |x - x_hat|^2 / |x - mean(x)|^2)",
        range=(-math.inf, 1),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=_LIKE_OURS,
        degenerate="NaN for samples at the mean, where others have minus infinity",
        source="SAELens up to 5.7; the SAEBench paper and Neuronpedia; e2e_sae",
        summaries=("mean",),
    ),
    Metric(
        published.e2e_sae_explained_variance,
        formula="mean_t (1 - |x - x_hat|^2 / |x_hat - mean(x_hat)|^2)",
        range=(-math.inf, 1),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=_LIKE_OURS,
        degenerate="NaN for reconstructions at their mean",
        source="e2e_sae 2.1.1, whose OutToIn metrics swap the arguments",
        summaries=("mean",),
    ),
    Metric(
        published.saelens_5_8_explained_variance,
        formula="1 - E |x - x_hat|^2 / (E |x|^2 - (mean_d E x_d^2)^2)",
        range=(-math.inf, math.inf),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation"),
        degenerate="NaN where the denominator is 0; above 1 where E |x|^2 > d^2",
        source="a defect of SAELens 5.8.0 to 6.45.0 and of SAEBench 0.6.0",
    ),
    Metric(
        published.dictionary_learning_explained_variance,
        formula="mean over batches of 1 - sum_d Var(x - x_hat) / sum_d Var(x)",
        range=(-math.inf, 1),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=_LIKE_OURS,
        degenerate="NaN if x does not vary in a batch; blind to a constant error",
        source="dictionary_learning 0.1.0, frac_variance_explained",
    ),
    Metric(
        published.uniform_explained_variance,
        formula="mean_d (1 - sum_t (x_d - x_hat_d)^2 / sum_t (x_d - mean(x_d))^2)",
        range=(-math.inf, 1),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=(*SAMPLES, "pad_dimensions", "joint_scale", "joint_shift"),
        degenerate="NaN for dimensions that do not vary",
        source="scikit-learn's default r2_score; torchmetrics 1.9.0",
        summaries=("mean",),
    ),
    Metric(
        published.uncentred_explained_variance,
        formula="1 - mean_t |x - x_hat|^2 / |x|^2; 1 - sum |x - x_hat|^2 / sum |x|^2",
        range=(-math.inf, 1),
        orientation=_TRUTH_FIRST,
        symmetric=False,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_scale"),
        degenerate="NaN for zero samples",
        source="OpenAI sparse_autoencoder; Gao et al. 2024 (arXiv 2406.04093)",
        summaries=("mean_of_ratios", "ratio_of_sums"),
    ),
    Metric(
        published.doubly_divided_mse,
        formula="mean_t |x - x_hat|^2 / N",
        range=(0, math.inf),
        orientation="either side may be the truth; 0 is best; for comparison only",
        symmetric=True,
        invariances=("permute_samples", "joint_rotation", "pad_dimensions", "joint_shift"),
        degenerate="NaN without samples",
        source="a defect of the mse of SAELens up to 6.45.1 and of SAEBench 0.6.0",
    ),
    Metric(
        published.dictionary_learning_l2_loss,
        formula="mean_t |x - x_hat|",
        range=(0, math.inf),
        orientation="either side may be the truth; 0 is best; for comparison only",
        symmetric=True,
        invariances=(*SAMPLES, "joint_rotation", "pad_dimensions", "joint_shift"),
        degenerate="NaN without samples",
        source="dictionary_learning 0.1.0, l2_loss",
        summaries=("mean",),
    ),
)
