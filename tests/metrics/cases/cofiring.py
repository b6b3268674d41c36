from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, TABLES, Case, Rng, counts, two_firing_tables, two_tables
from toysae.metrics import cofiring
from toysae.metrics.codes import SparseCodes

sparse = SparseCodes.from_dense


def two_counts(rng: Rng) -> list[Any]:
    return [int(rng.integers(0, 15)), int(rng.integers(15, 30)), 30]


def best(a: Tensor, b: Tensor) -> cofiring.BestCofiring:
    return cofiring.best_cofiring(sparse(a), sparse(b))


def pairs(a: Tensor, b: Tensor) -> cofiring.CofiringPairs:
    return cofiring.cofiring_pairs(sparse(a), sparse(b), 0.25)


def with_copies(rng: Rng) -> list[Tensor]:
    first, second = two_tables(rng)
    return [first, torch.cat([second, second[:, :3]], dim=1)]


CASES = {
    "cofiring": Case(counts, "-ab-", applicable=("repeat_samples",)),
    "expected_jaccard": Case(lambda rng: rng.random(2).tolist(), "ab"),
    "exact_expected_jaccard": Case(two_counts, "ab-"),
    "fisher_p_value": Case(counts, "-ab-", applicable=("repeat_samples",)),
    "survival_probability": Case(lambda rng: [rng.random(), int(rng.integers(1, 60))], "--"),
    "jaccard": Case(two_firing_tables, "ab", applicable=TABLES),
    "wilson_jaccard": Case(two_firing_tables, "ab", applicable=TABLES),
    "shrunken_jaccard": Case(two_firing_tables, "ab", applicable=TABLES),
    "magnitude_similarity": Case(two_tables, "ab", applicable=SAMPLES),
    "sparse_firing_counts": Case(
        two_tables,
        "ab",
        lambda a, b: cofiring.sparse_firing_counts(sparse(a), sparse(b)),
        SAMPLES,
    ),
    "best_cofiring": Case(two_tables, "ab", best, TABLES),
    "best_cofiring_ties": Case(
        with_copies,
        "ab",
        lambda a, b: cofiring.best_cofiring_ties(sparse(a), sparse(b)),
        TABLES,
    ),
    "best_cofiring_within": Case(
        lambda rng: two_tables(rng)[1:],
        "a",
        lambda z: cofiring.best_cofiring_within(sparse(z)),
        (*SAMPLES, "permute_columns_a"),
    ),
    "cofiring_pairs": Case(two_tables, "ab", pairs, TABLES),
}
