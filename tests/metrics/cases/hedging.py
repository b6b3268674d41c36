from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.metrics.case import SPACE, Case, Rng, normal, sparse
from toysae.metrics import hedging

COEFFICIENTS = sparse(np.random.default_rng(0), 30, 6)


def assigned_in_order(d: Tensor, f: Tensor) -> hedging.Hedging:
    features = torch.arange(len(d))
    return hedging.hedging(
        d, f, features.masked_fill(features >= len(f), -1), COEFFICIENTS[:, : len(f)]
    )


def moments(rng: Rng) -> list[Tensor]:
    c = sparse(rng, 30, 3)
    return [c.T @ c / 30, c.mean(dim=0)]


CASES = {
    "hedging": Case(
        lambda rng: [normal(rng, 4, 7), normal(rng, 6, 7)],
        "ab",
        assigned_in_order,
        applicable=SPACE,
    ),
    "one_latent_optimum": Case(moments, "aa", applicable=("joint_scale",)),
}
