"""Whether latents are true features, or made of several.

Truth is `features [n, d]` and, where firing is asked for, their coefficients `[N, n]`; what was
learned is `decoder [m, d]` and its activations `[N, m]`. Features are `f`, latents `d`, all unit
vectors here. A latent is explained by a sum of features with positive weights, for coefficients
are positive and `-f` is another feature than `f`.
"""

from __future__ import annotations

from toysae.metrics._composition.composed import (
    MAX_P_VALUE,
    MIN_GAIN,
    ComposedScore,
    ComposedScores,
    composed_score,
    composed_scores,
)
from toysae.metrics._composition.composed_kinds import (
    ComposedFeatures,
    CompositionKinds,
    co_occurring,
    composed_features,
    composition_kinds,
)
from toysae.metrics._composition.composed_nulls import RotatedNull, rotated_null, simulated_p_value
from toysae.metrics._composition.energy import Energy, energy, shapley_shares
from toysae.metrics._composition.island_recall import IslandRecall, recall_beside_diagonal
from toysae.metrics._composition.orders import (
    UNDEFINED,
    UNEXPLAINED,
    Composition,
    exact_composition,
    greedy_composition,
)
from toysae.metrics._composition.signed_pairs import (
    AntiComposedScore,
    DiagonalScore,
    anti_composed_score,
    diagonal_score,
)

__all__ = [
    "MAX_P_VALUE",
    "MIN_GAIN",
    "UNDEFINED",
    "UNEXPLAINED",
    "AntiComposedScore",
    "ComposedFeatures",
    "ComposedScore",
    "ComposedScores",
    "Composition",
    "CompositionKinds",
    "DiagonalScore",
    "Energy",
    "IslandRecall",
    "RotatedNull",
    "anti_composed_score",
    "co_occurring",
    "composed_features",
    "composed_score",
    "composed_scores",
    "composition_kinds",
    "diagonal_score",
    "energy",
    "exact_composition",
    "greedy_composition",
    "recall_beside_diagonal",
    "rotated_null",
    "shapley_shares",
    "simulated_p_value",
]
