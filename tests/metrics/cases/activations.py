from __future__ import annotations

from tests.metrics.case import ONE_TABLE, TABLES, Case, a_table, counts, two_firing_tables

CASES = {
    "density": Case(a_table, "a", applicable=ONE_TABLE),
    "mean_l0": Case(a_table, "a", applicable=ONE_TABLE),
    "jaccard": Case(two_firing_tables, "ab", applicable=TABLES),
    "cofiring": Case(counts, "-ab-", applicable=("repeat_samples",)),
    "expected_jaccard": Case(lambda rng: rng.random(2).tolist(), "ab"),
}
