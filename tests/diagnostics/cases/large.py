from __future__ import annotations

from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, sparse
from toysae.diagnostics import large
from toysae.metrics.codes import SparseCodes

CASES = {
    "sparse_collinearity": Case(
        lambda rng: _codes(rng),
        "a",
        lambda x: large.sparse_collinearity(SparseCodes.from_dense(x), min_firings=0),
        applicable=(*SAMPLES, "scale_columns", "joint_scale", "joint_shift"),
    ),
}


def _codes(rng: Rng) -> list[Tensor]:
    return [sparse(rng, 30, 5)]
