from __future__ import annotations

from torch import Tensor

from tests.metrics.case import SEED_LIST, Case, Rng, normal, seed_values

TABLE = (*SEED_LIST, "permute_columns_a")


def items_and_seeds(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 1) + normal(rng, 1, 6) + normal(rng, 5, 6)]


CASES = {
    "reseed_variation": Case(seed_values, "a", applicable=SEED_LIST),
    "signal_to_noise": Case(items_and_seeds, "a", applicable=TABLE),
    "smallest_claimable_difference": Case(items_and_seeds, "a", applicable=TABLE),
    "intraclass_correlation": Case(items_and_seeds, "a", applicable=TABLE),
    "clustering": Case(items_and_seeds, "a", applicable=TABLE),
    "design_effect": Case(lambda rng: [1 + 100 * rng.random(), 2 * rng.random() - 1], "--"),
    "spearman_brown": Case(lambda rng: [rng.random(), 5 * rng.random() + 0.1], "--"),
}
