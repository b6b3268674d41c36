from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, normal, sparse
from toysae.diagnostics import coefficient_errors

FEATURES = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], dtype=torch.float64)
DECODER = torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0.1, 1]], dtype=torch.float64)
READOUT = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
MATCH = torch.tensor([0, 1, 2])


def samples(rng: Rng) -> list[Tensor]:
    """Coefficients, latents that measure them with error, and noise, side by side."""
    coefficients = sparse(rng, 40, 3)
    latents = coefficients + 0.1 * normal(rng, 40, 3)
    return [torch.cat([coefficients, latents, 0.1 * normal(rng, 40, 1)], dim=1)]


def errors(table: Tensor) -> Any:
    coefficients, latents, noise = table[:, :3], table[:, 3:6], table[:, 6]
    return coefficient_errors.coefficient_errors(
        latents, DECODER, coefficients, FEATURES, READOUT, MATCH, noise=noise
    )


CASES = {
    "coefficient_errors": Case(samples, "-", errors, applicable=SAMPLES),
    "attenuation_factor": Case(
        lambda rng: [torch.tensor(v) for v in rng.random(2)],
        "ab",
        lambda a, b: coefficient_errors.attenuation_factor(float(a), float(b)),
        applicable=("joint_scale",),
    ),
    "omitted_variable_coefficient": Case(lambda rng: rng.normal(size=3).tolist(), "---"),
}
