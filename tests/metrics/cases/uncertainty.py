from __future__ import annotations

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
    "wilson": Case(lambda rng: sorted(rng.integers(0, 40, 2).tolist()), "--"),
    "sign_flip_test": Case(seed_values, "a", applicable=("permute_samples", "joint_scale")),
    "minimum_p": Case(lambda rng: [int(rng.integers(0, 20))], "-"),
    "benjamini_hochberg": Case(lambda rng: [torch.from_numpy(rng.random(6))], "a"),
}
