from __future__ import annotations

from tests.metrics.case import Case, sizes

CASES = {
    "expected_max_cosine": Case(sizes, "--"),
    "expected_max_abs_cosine": Case(sizes, "--"),
    "prob_max_cosine_above": Case(lambda rng: [float(rng.uniform(-1, 1)), *sizes(rng)], "---"),
    "chance_corrected": Case(lambda rng: rng.random(2).tolist(), "ab"),
}
