from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, SPACE, Case, Rng, normal
from toysae.metrics.dictionary import hungarian
from toysae.metrics.stability import (
    CycleConsistency,
    PairwiseAgreement,
    cycle_consistency,
    feature_stability,
    pairwise_agreement,
)


def best_cosines(rng: Rng) -> list[Tensor]:
    return [torch.from_numpy(rng.random((7, 4)))]


def three_seeds(rng: Rng) -> list[Tensor]:
    """Three dictionaries with some latents in common."""
    common = normal(rng, 3, 4)
    return [torch.cat([common + 0.3 * normal(rng, 3, 4), normal(rng, 3, 4)]) for _ in range(3)]


def around_the_cycle(a: Tensor, b: Tensor, c: Tensor) -> CycleConsistency:
    return cycle_consistency(hungarian(a, b), hungarian(b, c), hungarian(a, c))


def among_all(*dictionaries: Tensor) -> PairwiseAgreement:
    return pairwise_agreement(dictionaries)


CASES = {
    "feature_stability": Case(
        best_cosines,
        "a",
        lambda best: feature_stability(best, 0.5),
        applicable=(*SAMPLES, "permute_columns_a"),
    ),
    "pairwise_agreement": Case(
        three_seeds, "aaa", among_all, applicable=("permute_rows_a", *SPACE)
    ),
    "cycle_consistency": Case(
        three_seeds, "aaa", around_the_cycle, applicable=("permute_rows_a", *SPACE)
    ),
}
