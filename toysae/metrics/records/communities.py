"""Which latents belong together."""

from __future__ import annotations

import math

from toysae.metrics import communities
from toysae.metrics._metric import Metric

_ONE_DICTIONARY = ("permute_rows_a", "scale_rows", "joint_rotation", "pad_dimensions")

RECORDS = (
    Metric(
        communities.cofiring_graph,
        formula="i - j where Fisher's p is rejected by Benjamini and Hochberg and phi_ij > above",
        range=(0, 1),
        orientation="share of the pairs that are edges",
        symmetric=None,
        invariances=("permute_samples", "permute_columns_a"),
        degenerate="NaN where no pair fires often enough",
        source="Li et al. 2024, arXiv 2410.19750; Benjamini and Hochberg 1995",
        summaries=("share",),
    ),
    Metric(
        communities.cosine_graph,
        formula="i - j where cos(d_i, d_j) > above",
        range=(0, 1),
        orientation="share of the pairs that are edges",
        symmetric=None,
        invariances=_ONE_DICTIONARY,
        degenerate="zero rows have no edge; NaN without a pair",
        source="textbook",
        summaries=("share",),
    ),
    Metric(
        communities.connected_communities,
        formula="connected components with more than one latent",
        range=(0, math.inf),
        orientation="neither end is best",
        symmetric=None,
        invariances=_ONE_DICTIONARY,
        degenerate="no community without an edge; covered is NaN without latents",
        source="scipy.sparse.csgraph",
        summaries=("n_communities", "covered"),
        ranges={"covered": (0, 1)},
    ),
    Metric(
        communities.spectral_communities,
        formula="normalised cuts by eigenvectors of the normalised Laplacian",
        range=(0, math.inf),
        orientation="neither end is best",
        symmetric=None,
        invariances=_ONE_DICTIONARY,
        degenerate="raises for more communities than latents with an edge or fewer than components",
        source="Shi and Malik 2000; Damle et al. 2019; sklearn.cluster.SpectralClustering",
        summaries=("n_communities", "covered"),
        ranges={"covered": (0, 1)},
    ),
    Metric(
        communities.community_agreement,
        formula="(MI - E MI) / (mean(H1, H2) - E MI)",
        range=(-1, 1),
        orientation="1 for the same communities, 0 by chance",
        symmetric=True,
        invariances=("permute_samples",),
        degenerate="NaN for no latent in both, one community of all, or all alone",
        source="Vinh et al. 2010; sklearn.metrics.adjusted_mutual_info_score",
        summaries=("adjusted_mutual_information",),
    ),
    Metric(
        communities.cosine_tree,
        formula="average linkage of 1 - cos(d_i, d_j)",
        range=(-1, 1),
        orientation="cophenetic correlation: 1 where the tree says what the distances say",
        symmetric=None,
        invariances=_ONE_DICTIONARY,
        degenerate="NaN for fewer than three latents or equal distances",
        source="Sokal and Michener 1958; scipy.cluster.hierarchy",
        summaries=("cophenetic",),
    ),
    Metric(
        communities.cofiring_tree,
        formula="average linkage of 1 - J_ij",
        range=(-1, 1),
        orientation="cophenetic correlation: 1 where the tree says what the distances say",
        symmetric=None,
        invariances=("permute_samples",),
        degenerate="NaN for fewer than three latents or equal distances",
        source="Sokal and Michener 1958; scipy.cluster.hierarchy",
        summaries=("cophenetic",),
    ),
)
