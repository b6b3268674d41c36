from __future__ import annotations

from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, normal

TOKENS = (*SAMPLES, "joint_scale", "joint_shift")


def sequences(rng: Rng) -> list[Tensor]:
    x = normal(rng, 7, 4, 3) + 1
    return [x, x + 0.5 * normal(rng, 7, 4, 3)]


CASES = {
    "per_position": Case(lambda rng: [normal(rng, 7, 4)], "a", applicable=TOKENS),
    "explained_variance_by_position": Case(sequences, "ab", applicable=TOKENS),
}
