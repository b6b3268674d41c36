from __future__ import annotations

from tests.metrics.case import SPACE, Case, Rng, normal, two_dictionaries

HIDDEN = (
    "permute_samples",
    "repeat_samples",
    "scale_rows",
    "joint_rotation",
    "pad_dimensions",
    "joint_scale",
    "joint_shift",
)
SPECTRUM = ("permute_samples", "repeat_samples", "joint_scale")


def hidden(rng: Rng) -> list:
    return [normal(rng, 20, 3) * normal(rng, 3) + 1]


def _spectrum(rng: Rng) -> list:
    return [normal(rng, 6).square()]


CASES = {
    "pca": Case(hidden, "a", applicable=HIDDEN),
    "alignment": Case(two_dictionaries, "ab", applicable=SPACE),
    "participation_ratio": Case(_spectrum, "a", applicable=SPECTRUM),
    "effective_rank": Case(_spectrum, "a", applicable=SPECTRUM),
    "stable_rank": Case(_spectrum, "a", applicable=SPECTRUM),
}
