from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, normal
from toysae.diagnostics import collinearity

COLUMNS = (*SAMPLES, "scale_columns", "joint_scale", "joint_shift")


def a_design(rng: Rng) -> list[Tensor]:
    return [normal(rng, 12, 4) @ normal(rng, 4, 4) + 1]


def _with_a_copy(rng: Rng) -> list[Tensor]:
    (x,) = a_design(rng)
    return [torch.cat([x, x[:, :1]], dim=1)]


CASES = {
    "correlation": Case(a_design, "a", applicable=COLUMNS),
    "vif": Case(a_design, "a", applicable=COLUMNS),
    "vif_uncentered": Case(a_design, "a", applicable=COLUMNS),
    "identifiable": Case(_with_a_copy, "a", applicable=COLUMNS),
    "condition_indices": Case(a_design, "a", applicable=(*COLUMNS, "permute_columns_a")),
    "diagnose": Case(a_design, "a", applicable=COLUMNS),
    "gvif": Case(
        a_design,
        "a",
        lambda x: collinearity.gvif(x, [0, 2]),
        applicable=(*COLUMNS, "permute_columns_a"),
    ),
}
