from __future__ import annotations

import torch

from tests.metrics.case import SAMPLES, Case, sparse
from toysae.diagnostics.sparse import sparse_block_local_vif, sparse_regularized_vif
from toysae.metrics.codes import SparseCodes

_APPLICABLE = (*SAMPLES, "scale_columns", "joint_scale", "joint_shift")

CASES = {
    "sparse_regularized_vif": Case(
        lambda rng: [sparse(rng, 30, 5)],
        "a",
        lambda x: sparse_regularized_vif(
            SparseCodes.from_dense(x), torch.tensor([0.01, 0.5]), min_firings=0
        ),
        applicable=_APPLICABLE,
    ),
    "sparse_block_local_vif": Case(
        lambda rng: [sparse(rng, 60, 5)],
        "a",
        lambda x: sparse_block_local_vif(SparseCodes.from_dense(x), min_firings=0),
        applicable=_APPLICABLE,
    ),
}
