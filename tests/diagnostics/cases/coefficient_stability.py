from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SEED_LIST, Case, Rng, normal
from toysae.diagnostics import coefficient_stability


def replicates(rng: Rng) -> list[Tensor]:
    return [normal(rng, 9, 4) + torch.tensor([0.0, 0.5, -1.0, 2.0])]


def predictors_and_target(rng: Rng) -> list[Tensor]:
    predictors = normal(rng, 30, 3) + normal(rng, 30, 1)
    return [torch.cat([predictors, predictors.sum(1, keepdim=True) + normal(rng, 30, 1)], dim=1)]


CASES = {
    "coefficient_stability": Case(
        replicates,
        "-",
        lambda r: coefficient_stability.coefficient_stability(
            r, torch.tensor([1.0, 1.0, -1.0, torch.nan])
        ),
        applicable=SEED_LIST,
    ),
    "bootstrap_coefficients": Case(
        predictors_and_target,
        "-",
        lambda t: coefficient_stability.bootstrap_coefficients(t[:, :3], t[:, 3], n_resamples=5),
        applicable=SEED_LIST,
    ),
    "estimators": Case(
        predictors_and_target,
        "-",
        lambda t: coefficient_stability.estimators(t[:, :3], t[:, 3]),
        applicable=SEED_LIST,
    ),
}
