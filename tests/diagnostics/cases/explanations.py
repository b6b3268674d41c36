from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import DICTIONARIES, SPACE, Case, Rng, normal, two_dictionaries
from toysae.diagnostics import explanations
from toysae.diagnostics.pca import pca

_SPREAD = torch.tensor([9.0, 3.0, 1.0], dtype=torch.float64)


def _two_samples(rng: Rng) -> list[Tensor]:
    return [normal(rng, 200, 3) * _SPREAD, normal(rng, 200, 3) * _SPREAD[[1, 0, 2]]]


CASES = {
    "class_alignment": Case(two_dictionaries, "ab", applicable=("permute_rows_b", *SPACE)),
    "expected_max_abs_cosine_of_basis": Case(
        lambda rng: sorted(rng.integers(1, 900, 2).tolist(), reverse=True), "--"
    ),
    "explain_latents": Case(
        two_dictionaries,
        "ab",
        lambda a, b: explanations.explain_latents(a, b, pca(b)),
        applicable=DICTIONARIES,
    ),
    "eigenspace_overlap": Case(
        _two_samples,
        "ab",
        lambda a, b: explanations.eigenspace_overlap(pca(a), pca(b), 2),
        applicable=(
            "permute_samples",
            "scale_rows",
            "joint_rotation",
            "joint_scale",
            "joint_shift",
        ),
    ),
}
