from __future__ import annotations

from itertools import combinations

import torch

from tests.metrics.case import SEED_LIST, Case, seed_values
from toysae.metrics import uncertainty

CASES = {
    "seed_interval": Case(seed_values, "a", applicable=SEED_LIST),
    "bootstrap_interval": Case(
        seed_values,
        "a",
        lambda v: uncertainty.bootstrap_interval(v, n_resamples=99),
        applicable=SEED_LIST,
    ),
    "exact_bootstrap": Case(seed_values, "a", applicable=("permute_samples", "joint_scale")),
    "hierarchical_bootstrap": Case(
        lambda rng: [rng.normal(size=(4, 9))],
        "a",
        lambda items: uncertainty.hierarchical_bootstrap(items, n_resamples=99),
    ),
    "jackknife_over_seeds": Case(
        lambda rng: [dict(zip(combinations("abcde", 2), rng.random(10)))], "a"
    ),
    "wilson": Case(lambda rng: sorted(rng.integers(0, 40, 2).tolist()), "--"),
    "sign_flip_test": Case(seed_values, "a", applicable=("permute_samples", "joint_scale")),
    "wilcoxon_test": Case(seed_values, "a", applicable=("permute_samples", "joint_scale")),
    "paired_t_test": Case(seed_values, "a", applicable=SEED_LIST),
    "minimum_p": Case(lambda rng: [int(rng.integers(0, 20))], "-"),
    "bonferroni": Case(lambda rng: [torch.from_numpy(rng.random(6))], "a"),
    "holm": Case(lambda rng: [torch.from_numpy(rng.random(6))], "a"),
    "bonferroni_z": Case(lambda rng: [int(rng.integers(1, 30000))], "-"),
    "benjamini_hochberg": Case(lambda rng: [torch.from_numpy(rng.random(6))], "a"),
}
