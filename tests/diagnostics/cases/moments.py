from __future__ import annotations

import torch

from tests.diagnostics.cases.pca import HIDDEN
from tests.metrics.case import SAMPLES, Case, normal
from toysae.diagnostics import moments

_DIRECTIONS = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, -2, 3]], dtype=torch.float64)
PLANE = (*SAMPLES, "scale_rows", "joint_rotation", "joint_scale", "joint_shift")

CASES = {
    "projection_kurtosis": Case(
        lambda rng: [normal(rng, 15, 3)],
        "a",
        lambda x: moments.projection_kurtosis(x, _DIRECTIONS),
        applicable=tuple(name for name in HIDDEN if name != "pad_dimensions"),
    ),
    "fourth_angular_moment": Case(lambda rng: [normal(rng, 15, 2)], "a", applicable=PLANE),
    "ica": Case(
        lambda rng: [torch.from_numpy(rng.uniform(size=(60, 3)))],
        "a",
        lambda x: moments.ica(x, 2, seed=0),
    ),
}
