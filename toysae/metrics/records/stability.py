"""Agreement of many seeds."""

from __future__ import annotations

from toysae.metrics import stability
from toysae.metrics._metric import SPACE, Metric

RECORDS = (
    Metric(
        stability.feature_stability,
        formula="mean_r [max_j C_ij^(r) > t] per feature, with its Wilson interval",
        range=(0, 1),
        orientation="features of the truth or of one seed, over other seeds; 1 is always found",
        symmetric=None,
        invariances=("permute_samples",),
        degenerate="NaN for a feature without a defined seed",
        source="Wilson 1927",
        summaries=("mean", "share", "low", "high"),
    ),
    Metric(
        stability.pairwise_agreement,
        formula="mean over pairs r < s of the mean of max(cos, 0) over the pairs of hungarian",
        range=(0, 1),
        orientation="dictionaries of several seeds in any order; 1 is best",
        symmetric=None,
        invariances=("permute_rows_a", *SPACE),
        degenerate="NaN for pairs with nothing to match, and without pairs",
        source="Song et al. 2025 (arXiv 2505.20254), there unclipped",
        summaries=("mean_over_min", "mean_over_max"),
    ),
    Metric(
        stability.cycle_consistency,
        formula="#{i: p_bc(p_ab(i)) = p_ac(i)} / n_a",
        range=(0, 1),
        orientation="matchings of a with b, b with c, a with c; 1 is best",
        symmetric=None,
        invariances=("permute_rows_a", *SPACE),
        degenerate="NaN where a has nothing to match",
        source="cycle consistency; Paulo and Belrose's three seeds (arXiv 2501.16615)",
        summaries=("share",),
    ),
)
