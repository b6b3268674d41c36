from __future__ import annotations

import math

import pytest

from toysae.results.rows import interval_over_seeds, per_seed, select, share_over_seeds

ROWS = [
    {"seed": 1, "l1": 0.1, "world": "plane", "score": 1.0},
    {"seed": 0, "l1": 0.1, "world": "plane", "score": 3.0},
    {"seed": 0, "l1": 0.3, "world": "plane", "score": 5.0},
    {"seed": 0, "l1": 0.3, "world": "cube", "score": math.nan},
    {"seed": 2, "l1": 1, "world": "cube", "score": math.nan},
]


class TestSelect:
    def test_all_conditions_hold(self):
        assert select(ROWS, l1=0.3, world="plane") == [ROWS[2]]
        assert select(ROWS, l1=0.2) == []
        assert select(ROWS) == ROWS

    def test_numbers_are_equal_up_to_rounding(self):
        assert select(ROWS, l1=0.1 * 3) == ROWS[2:4]
        assert select(ROWS, l1=0.3 + 1e-6) == []
        assert select(ROWS, l1=1.0) == select(ROWS, l1=1) == [ROWS[4]]
        assert select([{"x": 0.0}], x=1e-13) == [{"x": 0.0}]

    def test_large_integers_are_compared_exactly(self):
        assert select([{"seed": 10**12}], seed=10**12 + 1) == []

    def test_text_is_no_number(self):
        assert select(ROWS, world=0.1) == []
        assert select([{"x": 0.5}], x=None) == []
        assert select([{"x": 0.5}], x="0.5") == []


class TestPerSeed:
    def test_is_the_mean_of_each_seed_in_order_of_seeds(self):
        means = per_seed(ROWS[:3], "score")
        assert means == {0: 4.0, 1: 1.0}
        assert list(means) == [0, 1]

    def test_undefined_values_are_left_out(self):
        means = per_seed(ROWS, "score")
        assert means[0] == 4.0
        assert math.isnan(means[2])

    def test_of_a_function_of_the_row(self):
        assert per_seed(ROWS[:3], lambda row: row["score"] > 2) == {0: 1.0, 1: 0.0}


class TestIntervalOverSeeds:
    def test_by_hand(self):
        """Means 4 and 1: 2.5 +- t_1(0.975) sd / sqrt 2 = 12.706 * 2.1213 / 1.4142."""
        interval = interval_over_seeds(ROWS, "score")
        assert interval.n == 2
        assert interval.mean == 2.5
        assert interval.low == pytest.approx(2.5 - 19.059, abs=0.01)
        assert interval.high == pytest.approx(2.5 + 19.059, abs=0.01)

    def test_without_a_defined_seed(self):
        interval = interval_over_seeds(ROWS[4:], "score")
        assert interval.n == 0
        assert math.isnan(interval.mean)

    def test_of_a_share_is_cut_to_the_unit_interval(self):
        rows = [{"seed": seed, "share": share} for seed, share in enumerate((1.0, 0.9, 1.0))]
        whole, share = interval_over_seeds(rows, "share"), share_over_seeds(rows, "share")
        assert whole.high > 1
        assert (share.mean, share.low, share.high) == (whole.mean, whole.low, 1.0)
        assert math.isnan(share_over_seeds(rows[:1], "share").low)
        nothing = share_over_seeds([{"seed": 0, "share": 0.0}, {"seed": 1, "share": 0.1}], "share")
        assert nothing.low == 0
