from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.metrics.case import (
    DICTIONARIES,
    ROWS,
    SAMPLES,
    Case,
    Rng,
    mixtures_and_features,
    normal,
    sparse,
)
from toysae.metrics import composition


def features_and_mixtures(rng: Rng) -> list[Tensor]:
    return mixtures_and_features(rng)[::-1]


def mixtures_of_several(rng: Rng) -> list[Tensor]:
    """Latents of one to three features, some with noise that may hide the weakest."""
    features = normal(rng, 7, 9)
    mixing = torch.zeros(8, 7, dtype=torch.float64)
    for j in range(8):
        chosen = rng.choice(7, 1 + j % 3, replace=False)
        mixing[j, chosen] = torch.from_numpy(rng.uniform(0.3, 1, len(chosen)))
    return [mixing @ features + 0.3 * normal(rng, 8, 9), features]


def differences_and_features(rng: Rng) -> list[Tensor]:
    """Differences of two features, some too noisy to be significant in so few dimensions."""
    features = normal(rng, 6, 5)
    noise = torch.tensor([[0.1], [0.3], [0.6]], dtype=torch.float64)
    differences = features[:3] - features[3:] + noise * normal(rng, 3, 5)
    return [torch.cat([differences, features[:2] + features[2:4], normal(rng, 2, 5)]), features]


def pointing_alike(features: Tensor) -> Tensor:
    unit = features.double() / features.double().norm(dim=1, keepdim=True)
    return unit @ unit.T > 0


def coefficients_and_latents(rng: Rng) -> list[Tensor]:
    """Four features, the first two an island at times; latents of their own, and of pairs."""
    c = sparse(rng, 30, 4)
    if rng.random() < 0.5:
        c[:, 1] = c[:, 0] * (1 if rng.random() < 0.5 else torch.from_numpy(rng.random(30) + 0.1))
    return [c, torch.stack([c[:, 0], c[:, 2] * c[:, 3], c[:, 2] + c[:, 3], c[:, 0]], dim=1)]


SIXTEEN = torch.eye(16, dtype=torch.float64)
PAIRS = torch.stack([SIXTEEN[0] + SIXTEEN[1], *(SIXTEEN[2] + SIXTEEN[3],) * 2, SIXTEEN[0]])


def kinds(c: Tensor, z: Tensor) -> composition.CompositionKinds:
    return composition.composition_kinds(c, z, composition.composed_score(PAIRS, SIXTEEN[:4]))


def largest_share(d: Tensor, f: Tensor) -> Tensor:
    atoms = torch.arange(len(f)).expand(len(d), -1)
    shares = composition.shapley_shares(d, f, atoms)
    return shares.amax(dim=1).mean() if shares.numel() else torch.tensor(torch.nan)


def a_probability(rng: Rng) -> list[Any]:
    return [float(rng.random())]


CASES = {
    "composed_score": Case(mixtures_and_features, "ab", applicable=DICTIONARIES),
    "composed_scores": Case(
        mixtures_and_features,
        "ab",
        lambda d, f: composition.composed_scores(d, f, pointing_alike(f)),
        applicable=DICTIONARIES,
    ),
    "exact_composition": Case(mixtures_of_several, "ab", applicable=DICTIONARIES),
    "greedy_composition": Case(mixtures_of_several, "ab", applicable=DICTIONARIES),
    "energy": Case(
        lambda rng: [normal(rng, 5, 4)],
        "a",
        applicable=(
            "permute_rows_a",
            "permute_columns_a",
            "scale_rows",
            "flip_rows",
            "joint_scale",
            "scale_columns",
        ),
    ),
    "shapley_shares": Case(
        lambda rng: [normal(rng, 3, 6), normal(rng, 4, 6)],
        "ab",
        largest_share,
        applicable=DICTIONARIES,
    ),
    "anti_composed_score": Case(differences_and_features, "ab", applicable=DICTIONARIES),
    "diagonal_score": Case(mixtures_and_features, "ab", applicable=DICTIONARIES),
    "composition_kinds": Case(
        coefficients_and_latents, "ab", kinds, applicable=(*SAMPLES, "scale_columns")
    ),
    "composed_features": Case(
        features_and_mixtures,
        "ab",
        lambda f, d: composition.composed_features(f, d, composition.composed_score(d, f)),
        applicable=DICTIONARIES,
    ),
    "rotated_null": Case(
        mixtures_and_features,
        "ab",
        lambda d, f: composition.rotated_null(d, f, 2),
        applicable=(*ROWS, "scale_rows"),
    ),
    "simulated_p_value": Case(
        mixtures_and_features,
        "ab",
        lambda d, f: composition.simulated_p_value(d, f, 49).nanmean(),
        applicable=(*ROWS, "scale_rows", "joint_rotation"),
    ),
    "recall_beside_diagonal": Case(a_probability, "a"),
}
