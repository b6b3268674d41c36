from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, normal, sparse
from toysae.metrics.coefficient_fit import CoefficientFit, coefficient_fit


def coefficients_and_estimates(rng: Rng) -> list[Tensor]:
    coefficients = sparse(rng, 25, 4)
    return [coefficients, (0.8 * coefficients + 0.3 * normal(rng, 25, 4)).clamp(min=0)]


def of_equal_index(coefficients: Tensor, latents: Tensor) -> CoefficientFit:
    index = torch.arange(coefficients.shape[-1])
    return coefficient_fit(coefficients, latents, index, index)


CASES = {
    "coefficient_fit": Case(
        coefficients_and_estimates,
        "ab",
        of_equal_index,
        applicable=(*SAMPLES, "scale_columns", "joint_scale", "joint_shift"),
    ),
}
