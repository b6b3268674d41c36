from __future__ import annotations

from torch import Tensor

from tests.metrics.case import (
    DICTIONARIES,
    SEED_LIST,
    Case,
    Rng,
    features_and_noisy_latents,
    normal,
    sparse,
    two_dictionaries,
)
from toysae.metrics import recovery


def trained_on_features(rng: Rng) -> list[Tensor]:
    """Features and decoder, coefficients and latents: three latents are features."""
    features, coefficients = normal(rng, 5, 4), sparse(rng, 25, 5)
    decoder = features[[0, 1, 2, 0]] + 0.05 * normal(rng, 4, 4)
    latents = coefficients[:, [0, 1, 2, 3]] * (normal(rng, 25, 4) > -2)
    return [features, decoder, coefficients, latents]


CASES = {
    "feature_recovery": Case(
        features_and_noisy_latents,
        "ab",
        lambda f, d: recovery.feature_recovery(f, d, 0.8),
        applicable=DICTIONARIES,
    ),
    "angle_to_nearest": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "recovery_curve": Case(lambda rng: [normal(rng, 9) / 3 + 0.8], "a", applicable=SEED_LIST),
    "joint_recovery": Case(trained_on_features, "abab", applicable=("scale_rows", "flip_rows")),
}
