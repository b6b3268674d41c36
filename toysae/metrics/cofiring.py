"""How often latents fire together, from counts: of all pairs, or of the pairs that matter.

A latent fires where `fires` says so; `cofiring` computes every association from four counts.
`firing_counts` and `jaccard` take dense tables `[samples, latents]`; at the size of real SAEs
`sparse_firing_counts`, `best_cofiring` and `cofiring_pairs` take `SparseCodes` and give the same
numbers. One table may be of true features. Everything here is invariant to the order of samples
and, but for the treatment of rare latents, to repeating all of them.
"""

from __future__ import annotations

from toysae.metrics._firing.association import Cofiring, cofiring, fisher_p_value
from toysae.metrics._firing.best_cofiring import (
    BestCofiring,
    BothWays,
    CofiringPairs,
    best_cofiring,
    best_cofiring_within,
    cofiring_pairs,
)
from toysae.metrics._firing.chance_overlap import (
    exact_expected_jaccard,
    expected_jaccard,
    survival_probability,
)
from toysae.metrics._firing.cofiring_ties import (
    BestCofiringTies,
    best_cofiring_ties,
)
from toysae.metrics._firing.count_blocks import sparse_firing_counts
from toysae.metrics._firing.firing import FiringCounts, firing_counts
from toysae.metrics._firing.jaccard import JaccardTable, jaccard, shrunken_jaccard, wilson_jaccard
from toysae.metrics._firing.magnitudes import MagnitudeSimilarity, magnitude_similarity
from toysae.metrics._ties import Ties

__all__ = [
    "BestCofiring",
    "BestCofiringTies",
    "BothWays",
    "Cofiring",
    "CofiringPairs",
    "FiringCounts",
    "JaccardTable",
    "MagnitudeSimilarity",
    "Ties",
    "best_cofiring",
    "best_cofiring_ties",
    "best_cofiring_within",
    "cofiring",
    "cofiring_pairs",
    "exact_expected_jaccard",
    "expected_jaccard",
    "firing_counts",
    "fisher_p_value",
    "jaccard",
    "magnitude_similarity",
    "shrunken_jaccard",
    "sparse_firing_counts",
    "survival_probability",
    "wilson_jaccard",
]
