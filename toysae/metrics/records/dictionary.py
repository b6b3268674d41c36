"""Agreement of two dictionaries."""

from __future__ import annotations

import math

from toysae.metrics import dictionary
from toysae.metrics._metric import ROWS, SPACE, Metric

_MAX_COSINE = ("mean_a_to_b", "mean_b_to_a")
_MATCHED = ("mean_over_min", "mean_over_max")

RECORDS = (
    Metric(
        dictionary.cosine_matrix,
        formula="<a_i, b_j> / (|a_i| |b_j|)",
        range=(-1, 1),
        orientation="either side may be the truth; 1 is best",
        symmetric=False,
        invariances=SPACE,
        degenerate="NaN for zero rows",
        source="textbook",
    ),
    Metric(
        dictionary.max_cosine,
        formula="mean_i max_j cos(a_i, b_j), and mean_j max_i",
        range=(-1, 1),
        orientation="a is the truth: a_to_b is recall-like, b_to_a precision-like; 1 is best",
        symmetric=False,
        invariances=ROWS + SPACE,
        degenerate="NaN for zero rows and empty dictionaries",
        source="Sharkey, Braun and Millidge 2022",
        summaries=_MAX_COSINE,
    ),
    Metric(
        dictionary.max_abs_cosine,
        formula="mean_i max_j |cos(a_i, b_j)|, and mean_j max_i",
        range=(0, 1),
        orientation="a is the truth; 1 is best; only for vectors without a sign",
        symmetric=False,
        invariances=(*ROWS, *SPACE, "flip_rows"),
        degenerate="NaN for zero rows and empty dictionaries",
        source="max_cosine of absolute values",
        summaries=_MAX_COSINE,
    ),
    Metric(
        dictionary.hungarian,
        formula="max over one-to-one matchings p of sum_i max(cos(a_i, b_p(i)), 0)",
        range=(0, 1),
        orientation="either side may be the truth; 1 is best",
        symmetric=True,
        invariances=ROWS + SPACE,
        degenerate="NaN for empty dictionaries",
        source="Kuhn 1955",
        summaries=_MATCHED,
    ),
    Metric(
        dictionary.hungarian_abs,
        formula="max over one-to-one matchings p of sum_i |cos(a_i, b_p(i))|",
        range=(0, 1),
        orientation="either side may be the truth; 1 is best; only for vectors without a sign",
        symmetric=True,
        invariances=(*ROWS, *SPACE, "flip_rows"),
        degenerate="NaN for empty dictionaries",
        source="SAELens synthetic evaluation",
        summaries=_MATCHED,
    ),
    Metric(
        dictionary.mutual_nearest,
        formula="2 #{(i, j): j = argmax_j' C_ij', i = argmax_i' C_i'j} / (n + m)",
        range=(0, 1),
        orientation="either side may be the truth; 1 is best",
        symmetric=True,
        invariances=ROWS + SPACE,
        degenerate="NaN for empty dictionaries",
        source="mutual nearest neighbours",
        summaries=("rate",),
    ),
    Metric(
        dictionary.multiplicity,
        formula="k_j = #{i: argmax_j' C_ij' = j, C_ij > t}; #{k_j > 0} / m; 1 / sum (k_j / k)^2",
        range=(0, math.inf),
        orientation="on_a counts votes for a; coverage 1 is best",
        symmetric=False,
        invariances=ROWS + SPACE,
        degenerate="NaN for empty dictionaries, effective number NaN without votes",
        source="Simpson 1949 for the effective number",
        summaries=("on_a.coverage", "on_b.coverage", "on_b.effective_number"),
    ),
    Metric(
        dictionary.fraction_above,
        formula="#{v > t} / #{v defined}",
        range=(0, 1),
        orientation="1 is all above",
        symmetric=None,
        invariances=("permute_samples", "repeat_samples"),
        degenerate="NaN without defined values",
        source="empirical survival function",
        summaries=("fraction",),
    ),
    Metric(
        dictionary.within_dictionary,
        formula="mean_i max_{j != i} cos(a_i, a_j); mean_{i < j} |cos(a_i, a_j)|",
        range=(-1, 1),
        orientation="one dictionary; low is spread out",
        symmetric=None,
        invariances=("permute_rows_a", *SPACE),
        degenerate="NaN for zero rows and for a single row",
        source="SAEBench; Chanin and Garriga-Alonso 2025 (arXiv 2508.16560)",
        summaries=("mean_max_cosine", "mean_abs_cosine"),
    ),
    Metric(
        dictionary.matching_agreement,
        formula="mean_i [p_dec(i) = p_enc(i)], and with both cosines > t",
        range=(0, 1),
        orientation="rates over the latents of a; 1 is best",
        symmetric=False,
        invariances=ROWS + SPACE,
        degenerate="NaN for no matchable latents",
        source="Paulo and Belrose 2025 (arXiv 2501.16615)",
        summaries=("agreement", "shared_fraction"),
    ),
)
