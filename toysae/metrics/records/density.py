"""How often latents fire."""

from __future__ import annotations

import math

from toysae.metrics import density
from toysae.metrics._metric import SAMPLES, Metric

_ONE_TABLE = (*SAMPLES, "permute_columns_a", "scale_columns")

RECORDS = (
    Metric(
        density.density,
        formula="#{t: |z_tj| > threshold} / N",
        range=(0, 1),
        orientation="neither end is best; 0 is dead",
        symmetric=None,
        invariances=_ONE_TABLE,
        degenerate="NaN without samples",
        source="textbook",
        summaries=("mean",),
    ),
    Metric(
        density.mean_l0,
        formula="mean_t #{j: |z_tj| > threshold}",
        range=(0, math.inf),
        orientation="near the true number of active features is best",
        symmetric=None,
        invariances=_ONE_TABLE,
        degenerate="NaN without samples",
        source="textbook",
    ),
    Metric(
        density.l0_by_definition,
        formula="mean_t #{j: z_tj != 0}, #{j: z_tj > 0}, #{j: |z_tj| > threshold}",
        range=(0, math.inf),
        orientation="for comparison with published numbers; mean_l0 is the one to use",
        symmetric=None,
        invariances=(*SAMPLES, "permute_columns_a"),
        degenerate="NaN without samples",
        source="SAELens 6.54.12; SAELens 6.50.0 and SAEBench; with a threshold",
        summaries=("nonzero", "positive", "above_threshold"),
    ),
    Metric(
        density.mean_weighted_l1,
        formula="mean_t sum_j |z_tj| |d_j|",
        range=(0, math.inf),
        orientation="lower is sparser at equal reconstruction",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="NaN without samples",
        source="invariant to z_j s with d_j / s, as plain L1 is not",
    ),
    Metric(
        density.dead_upper_bound,
        formula="1 - (1 - confidence)^(1 / N)",
        range=(0, 1),
        orientation="frequency that a latent silent on N samples may still have; lower is surer",
        symmetric=None,
        invariances=(),
        degenerate="1 without samples",
        source="Clopper and Pearson 1934",
    ),
    Metric(
        density.alive_by_definition,
        formula="share with z != 0 ever; z > 0 ever; sum_t z != 0; z != 0 at least 10 times",
        range=(0, 1),
        orientation="for comparison with published numbers; 1 is no dead latent",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a", "scale_columns"),
        degenerate="0 without samples, NaN without latents",
        source="e2e_sae; SAEBench; dictionary_learning; Logan Riggs",
        summaries=("shares",),
    ),
    Metric(
        density.density_histogram,
        formula="#{j: log10 f_j in bin} above log10(.5 / N); #{j: f_j = 0} apart",
        range=(0, math.inf),
        orientation="neither end is best",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a", "scale_columns"),
        degenerate="raises without samples",
        source="textbook; the floor is half a firing",
        summaries=("counts", "n_zero"),
    ),
    Metric(
        density.dense_latents,
        formula="f_j > above: their share of latents, and of all firings",
        range=(0, 1),
        orientation="neither end is best; see antipodal_pairs before dropping any",
        symmetric=None,
        invariances=_ONE_TABLE,
        degenerate="NaN without latents, without samples, and for the firings without any",
        source="SAEBench (.1 and .01); Sun et al. 2025, arXiv 2506.15679",
        summaries=("share_of_latents", "share_of_density"),
    ),
    Metric(
        density.antipodal_pairs,
        formula="pairs with cos(d_i, d_j) < below",
        range=(0, 1),
        orientation="1 where every latent has an opposite one",
        symmetric=None,
        invariances=("permute_rows_a", "scale_rows", "joint_rotation", "pad_dimensions"),
        degenerate="zero rows are left out and counted; NaN without latents",
        source="Sun et al. 2025, arXiv 2506.15679",
        summaries=("share_of_latents",),
    ),
)
