from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.metrics.case import Case, Rng, sizes
from toysae.metrics.chance import Simulated, expected_hungarian, simulated_chance
from toysae.metrics.dictionary import max_cosine


def few_rows(rng: Rng) -> list[Any]:
    return rng.integers(1, 6, 3).tolist()


def worse_level(d: int, n: int, m: int) -> Simulated:
    def worse_direction(a: Tensor, b: Tensor) -> float:
        return max_cosine(a, b).minimum

    return simulated_chance(worse_direction, d, n, m, n_draws=3)


CASES = {
    "expected_max_cosine": Case(sizes, "--"),
    "expected_max_abs_cosine": Case(sizes, "--"),
    "prob_max_cosine_above": Case(lambda rng: [float(rng.uniform(-1, 1)), *sizes(rng)], "---"),
    "prob_max_abs_cosine_above": Case(lambda rng: [float(rng.uniform(-1, 1)), *sizes(rng)], "---"),
    "max_cosine_quantile": Case(lambda rng: [float(rng.uniform(0.01, 0.99)), *sizes(rng)], "---"),
    "max_abs_cosine_quantile": Case(
        lambda rng: [float(rng.uniform(0.01, 0.99)), *sizes(rng)], "---"
    ),
    "expected_hungarian": Case(
        few_rows, "---", lambda d, n, m: expected_hungarian(d, n, m, n_draws=3)
    ),
    "simulated_chance": Case(few_rows, "---", worse_level),
    "chance_corrected": Case(lambda rng: rng.random(2).tolist(), "ab"),
}
