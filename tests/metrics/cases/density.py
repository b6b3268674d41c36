from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import ONE_TABLE, SPACE, Case, Rng, a_table, normal
from toysae.metrics import density

DECODER = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0], [6.0, 8.0], [0.5, 0.0]]).double()


def signed_table(rng: Rng) -> list[Tensor]:
    return [a_table(rng)[0] * torch.from_numpy(rng.choice([-1.0, 1.0], 5))]


def antipodes(rng: Rng) -> list[Tensor]:
    directions = normal(rng, 4, 3)
    return [torch.cat([directions, -directions[:2]])]


CASES = {
    "density": Case(a_table, "a", applicable=ONE_TABLE),
    "mean_l0": Case(a_table, "a", applicable=ONE_TABLE),
    "l0_by_definition": Case(
        signed_table, "a", lambda z: density.l0_by_definition(z, 0.5), ONE_TABLE
    ),
    "mean_weighted_l1": Case(
        a_table, "a", lambda z: density.mean_weighted_l1(z, DECODER), ONE_TABLE
    ),
    "dead_upper_bound": Case(lambda rng: [int(rng.integers(0, 10_000))], "-"),
    "alive_by_definition": Case(signed_table, "a", applicable=ONE_TABLE),
    "density_histogram": Case(
        a_table, "a", lambda z: density.density_histogram(density.density(z)), ONE_TABLE
    ),
    "dense_latents": Case(
        a_table, "a", lambda z: density.dense_latents(density.density(z), 0.4), ONE_TABLE
    ),
    "antipodal_pairs": Case(antipodes, "a", applicable=("permute_rows_a", *SPACE)),
}
