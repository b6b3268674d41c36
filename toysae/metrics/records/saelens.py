"""As SAELens reports it: for comparison only."""

from __future__ import annotations

from math import inf

from toysae.metrics import saelens
from toysae.metrics._metric import ROWS, SAMPLES, SPACE, Metric

RECORDS = (
    Metric(
        saelens.saelens_agreement,
        formula="max_pi sum_j |cos(d_j, f_pi(j))| / min(n, m); #{argmax_i |cos(d_j, f_i)|} / m",
        range=(0, 1),
        orientation="features are the truth and come first; blind to missing features",
        symmetric=False,
        invariances=(*ROWS, *SPACE, "flip_rows"),
        degenerate="NaN and 0 without latents; zero rows have cosine 0; raises without features",
        source="SAELens 6.54.12, sae_lens.synthetic.evals",
        summaries=("mean_correlation_coefficient", "uniqueness"),
    ),
    Metric(
        saelens.saelens_classification,
        formula="mean_j of precision, recall, F1, accuracy for i = argmax_i |cos(d_j, f_i)|",
        range=(0, 1),
        orientation="features are the truth and come first; blind to missing features",
        symmetric=False,
        invariances=("scale_rows",),
        degenerate="0 for dead latents, absent features and without latents",
        source="SAELens 6.54.12, sae_lens.synthetic.evals",
        summaries=("mean_precision", "mean_recall", "mean_f1", "mean_accuracy"),
    ),
    Metric(
        saelens.saelens_reconstruction,
        formula="L0, dead latents, mean |x_hat| / |x|, 1 - E|x - x_hat|^2 / Var x",
        range=(-inf, inf),
        orientation="x is the truth and comes first",
        symmetric=False,
        invariances=SAMPLES,
        degenerate="0 where there is nothing to divide by; 1 for no error where nothing varies",
        source="SAELens 6.54.12, sae_lens.synthetic.evals and sae_lens.evals",
        summaries=("true_l0", "sae_l0", "dead_latents", "shrinkage", "explained_variance"),
    ),
)
