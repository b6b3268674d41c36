from __future__ import annotations

from torch import Tensor

from tests.metrics.case import DICTIONARIES, TABLES, Case, Rng, normal

ACTIVATIONS = (
    *TABLES,
    "scale_columns",
    "joint_rotation",
    "pad_dimensions",
    "joint_scale",
    "joint_shift",
)


def two_planes(rng: Rng) -> list[Tensor]:
    return [normal(rng, 2, 5), normal(rng, 3, 5)]


def two_activations(rng: Rng) -> list[Tensor]:
    return [normal(rng, 9, 4), normal(rng, 9, 4)]


CASES = {
    "principal_angles": Case(two_planes, "ab", applicable=DICTIONARIES),
    "linear_cka": Case(two_activations, "ab", applicable=ACTIVATIONS),
}
