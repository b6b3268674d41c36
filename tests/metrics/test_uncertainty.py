from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import uncertainty

from .draw import SEEDS, normal

DIFFERENCES = [0.02, 0.05, 0.03, 0.01, 0.04, 0.06]
ONE_FLIPPED = [0.02, 0.05, -0.03, 0.01, 0.04, 0.06]


class TestSeedInterval:
    def test_golden(self) -> None:
        interval = uncertainty.seed_interval(DIFFERENCES)
        assert interval.mean == pytest.approx(0.035)
        assert (interval.low, interval.high) == pytest.approx((0.015367, 0.054633), abs=1e-6)
        assert interval.n == 6

    @given(SEEDS, st.integers(2, 10), st.floats(0.5, 0.999))
    def test_is_scipys(self, seed: int, n: int, confidence: float) -> None:
        values = normal(seed, n)
        interval = uncertainty.seed_interval(values, confidence)
        reference = stats.ttest_1samp(values.numpy(), 0).confidence_interval(confidence)
        assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high))

    def test_coverage(self) -> None:
        """95% of intervals over 6 normal seeds cover; the percentile bootstrap's fewer than 89%."""
        student = percentile = 0
        for seed in range(1000):
            values = normal(seed, 6)
            interval = uncertainty.seed_interval(values)
            student += interval.low <= 0 <= interval.high
            interval = uncertainty.exact_bootstrap(values).percentile_interval()
            percentile += interval.low <= 0 <= interval.high
        assert student / 1000 == pytest.approx(0.95, abs=0.02)
        assert 0.82 < percentile / 1000 < 0.89

    def test_one_seed_has_no_interval(self) -> None:
        interval = uncertainty.seed_interval([0.5])
        assert interval.mean == 0.5
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
        assert math.isnan(uncertainty.seed_interval([]).mean)

    def test_equal_values_have_a_point(self) -> None:
        interval = uncertainty.seed_interval([0.5, 0.5, 0.5])
        assert (interval.low, interval.high) == (0.5, 0.5)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(DataError, match="values: 1 of 2"):
            uncertainty.seed_interval([0.5, math.nan])
        with pytest.raises(ShapeError, match="one axis"):
            uncertainty.seed_interval(torch.ones(2, 2))
        for confidence in (0.0, 1.0, 95.0, math.nan):
            with pytest.raises(DataError, match="confidence"):
                uncertainty.seed_interval([0.5, 0.6], confidence)


class TestJackknife:
    def test_golden(self) -> None:
        """Without a: .4; without b: .3; without c: .2; t_2(.975) = 4.302653."""
        found = uncertainty.jackknife_over_seeds(
            {("a", "b"): 0.2, ("a", "c"): 0.3, ("b", "c"): 0.4}
        )
        assert found.mean == pytest.approx(0.3)
        error = math.sqrt(2 / 3 * 0.02)
        assert found.high - found.mean == pytest.approx(4.302653 * error, abs=1e-6)
        assert found.mean - found.low == pytest.approx(4.302653 * error, abs=1e-6)
        assert (found.n, found.method) == (3, "jackknife over seeds")

    def test_knows_that_pairs_share_seeds(self) -> None:
        """For `v_ab = u_a + u_b` it is, but for the factor 2, the t interval of the mean of u."""
        u = normal(0, 6).tolist()
        pairs = {(str(a), str(b)): u[a] + u[b] for a, b in itertools.combinations(range(6), 2)}
        found, direct = uncertainty.jackknife_over_seeds(pairs), uncertainty.seed_interval(u)
        assert found.mean == pytest.approx(2 * direct.mean)
        assert found.high - found.low == pytest.approx(2 * (direct.high - direct.low))

    def test_needs_three_seeds(self) -> None:
        found = uncertainty.jackknife_over_seeds({("a", "b"): 0.5})
        assert (found.mean, found.n) == (0.5, 2)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        star = uncertainty.jackknife_over_seeds({("a", "b"): 0.5, ("a", "c"): 0.6})
        assert math.isnan(star.low)
        assert math.isnan(uncertainty.jackknife_over_seeds({}).mean)

    def test_equal_pairs_have_no_width(self) -> None:
        pairs = dict.fromkeys((("a", "b"), ("a", "c"), ("b", "c")), 0.25)
        found = uncertainty.jackknife_over_seeds(pairs)
        assert (found.low, found.high) == (0.25, 0.25)
        with pytest.raises(DataError, match="confidence"):
            uncertainty.jackknife_over_seeds(pairs, 1.0)


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low"),
        [
            (1, 1, 0.206549),
            (2, 2, 0.342380),
            (9, 10, 0.595850),
            (15, 35, 0.279846),
            (100, 100, 0.963007),
        ],
    )
    def test_golden_lower_bounds(self, successes: int, n: int, low: float) -> None:
        assert uncertainty.wilson(successes, n).low == pytest.approx(low, abs=1e-6)

    def test_golden(self) -> None:
        interval = uncertainty.wilson(7, 9)
        assert (interval.low, interval.high) == pytest.approx((0.452589, 0.936775), abs=1e-6)
        assert interval.mean == pytest.approx(7 / 9)

    @given(st.integers(0, 30), st.integers(1, 30), st.floats(0.5, 0.99))
    def test_bounds_solve_the_score_equation(
        self, successes: int, n: int, confidence: float
    ) -> None:
        successes = min(successes, n)
        interval = uncertainty.wilson(successes, n, confidence)
        z = stats.norm.ppf((1 + confidence) / 2)
        for bound in (interval.low, interval.high):
            gap = abs(successes / n - bound)
            assert gap == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), abs=1e-6)
        assert interval.low <= interval.mean <= interval.high

    @pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
    def test_coverage(self, share: float) -> None:
        """Of 20 seeds, exactly: between 92 and 99% for shares that are not extreme."""
        intervals = [uncertainty.wilson(k, 20) for k in range(21)]
        covers = [interval.low <= share <= interval.high for interval in intervals]
        coverage = stats.binom.pmf(np.arange(21), 20, share)[covers].sum()
        assert 0.92 < coverage < 0.99

    def test_degenerate(self) -> None:
        nothing = uncertainty.wilson(0, 0)
        assert all(math.isnan(x) for x in (nothing.mean, nothing.low, nothing.high))
        with pytest.raises(DataError, match="3 successes of 2"):
            uncertainty.wilson(3, 2)


class TestSignFlip:
    def test_golden(self) -> None:
        assert uncertainty.sign_flip_test(DIFFERENCES).p_value == 0.03125
        assert uncertainty.sign_flip_test(DIFFERENCES).mean == pytest.approx(0.035)
        assert uncertainty.sign_flip_test(ONE_FLIPPED).p_value == 0.15625
        assert uncertainty.sign_flip_test(ONE_FLIPPED).mean == pytest.approx(0.025)

    @pytest.mark.parametrize(
        ("n", "p"), [(0, 1), (1, 1), (5, 0.0625), (6, 0.03125), (8, 0.0078125)]
    )
    def test_golden_minimum(self, n: int, p: float) -> None:
        assert uncertainty.minimum_p(n) == p

    @given(st.lists(st.integers(-4, 4), min_size=6, max_size=9))
    def test_counts_all_sign_patterns(self, differences: list[int]) -> None:
        n = len(differences)
        as_extreme = sum(
            abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            >= abs(sum(differences))
            for signs in itertools.product([-1, 1], repeat=n)
        )
        # A tenth is no binary fraction: ties must survive rounding.
        test = uncertainty.sign_flip_test([d / 10 for d in differences])
        assert test.p_value == as_extreme / 2**n
        assert test.minimum_p <= test.p_value <= 1

    def test_is_scipys(self) -> None:
        differences = normal(3, 8).numpy() + 0.5
        reference = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        found = uncertainty.sign_flip_test(differences)
        assert found.p_value == pytest.approx(reference.pvalue)

    def test_few_seeds_are_warned_about(self) -> None:
        with pytest.warns(UserWarning, match=r"5 seeds cannot reach a p-value below 0\.0625"):
            assert uncertainty.sign_flip_test(DIFFERENCES[:5]).p_value == 0.0625
        with pytest.warns(UserWarning, match="0 seeds"):
            assert math.isnan(uncertainty.sign_flip_test([]).p_value)

    def test_most_seeds(self) -> None:
        assert uncertainty.sign_flip_test([1.0] * 16).p_value == 2**-15
        with pytest.raises(ShapeError, match="at most 16"):
            uncertainty.sign_flip_test([1.0] * 17)
        with pytest.raises(ShapeError, match="n=-1"):
            uncertainty.minimum_p(-1)


class TestWilcoxon:
    def test_golden(self) -> None:
        found = uncertainty.wilcoxon_test(DIFFERENCES)
        assert (found.statistic, found.p_value, found.n) == (0, 0.03125, 6)
        assert (found.method, found.mean) == ("wilcoxon", pytest.approx(0.035))
        # The flipped .03 has rank 3: patterns of rank sum up to 3 are {}, {1}, {2}, {3}, {1, 2}.
        flipped = uncertainty.wilcoxon_test(ONE_FLIPPED)
        assert (flipped.statistic, flipped.p_value) == (3, 2 * 5 / 64)

    @given(SEEDS, st.integers(6, 12), st.floats(-1, 1))
    def test_is_scipys(self, seed: int, n: int, mean: float) -> None:
        differences = normal(seed, n).numpy() + mean
        reference = stats.wilcoxon(differences, method="exact")
        found = uncertainty.wilcoxon_test(differences)
        assert found.p_value == pytest.approx(reference.pvalue)
        assert found.statistic == reference.statistic

    def test_ties_and_zeros(self) -> None:
        """Ranks 1.5, 1.5, 3, 5, 5, 5, 7; only the first is negative: 1.5 or less in 3 patterns."""
        found = uncertainty.wilcoxon_test([-1, 1, 2, 3, 3, 3, 4, 0])
        assert (found.statistic, found.n) == (1.5, 7)
        assert found.p_value == pytest.approx(2 * 3 / 128)
        assert found.mean == pytest.approx(15 / 8)

    def test_few_seeds_are_warned_about(self) -> None:
        with pytest.warns(UserWarning, match="5 seeds with a difference cannot reach"):
            assert uncertainty.wilcoxon_test(DIFFERENCES[:5]).p_value == 0.0625
        with pytest.warns(UserWarning, match="0 seeds"):
            nothing = uncertainty.wilcoxon_test([0.0] * 6)
        assert (nothing.mean, nothing.n) == (0, 0)
        assert math.isnan(nothing.p_value)
        with pytest.warns(UserWarning, match="0 seeds"):
            assert math.isnan(uncertainty.wilcoxon_test([]).mean)
        with pytest.raises(ShapeError, match="at most 16"):
            uncertainty.wilcoxon_test([1.0] * 17)


class TestPairedT:
    def test_golden(self) -> None:
        found = uncertainty.paired_t_test(DIFFERENCES)
        assert found.statistic == pytest.approx(4.582576, abs=1e-6)
        assert found.p_value == pytest.approx(0.005934, abs=1e-6)
        assert (found.mean, found.n, found.method) == (pytest.approx(0.035), 6, "t")
        flipped = uncertainty.paired_t_test(ONE_FLIPPED)
        assert flipped.p_value == pytest.approx(0.120093, abs=1e-6)

    def test_few_seeds_are_warned_about(self) -> None:
        with pytest.warns(UserWarning, match="5 seeds cannot show whether"):
            assert uncertainty.paired_t_test(DIFFERENCES[:5]).p_value < 0.05
        for values in ([], [0.5]):
            with pytest.warns(UserWarning, match=f"{len(values)} seeds"):
                assert math.isnan(uncertainty.paired_t_test(values).p_value)
        assert math.isnan(uncertainty.paired_t_test([0.1] * 7).p_value)


@pytest.mark.parametrize(
    "test",
    [uncertainty.sign_flip_test, uncertainty.wilcoxon_test, uncertainty.paired_t_test],
)
def test_false_alarms_are_as_rare_as_promised(test: Callable[[Tensor], Any]) -> None:
    """At level .05, of 8 seeds without a difference, in 5% at most (within simulation error)."""
    alarms = np.mean([test(normal(seed, 8)).p_value <= 0.05 for seed in range(800)])
    assert 0.025 < alarms < 0.07
