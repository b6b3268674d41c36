from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from toysae.errors import DataError, ShapeError
from toysae.metrics import uncertainty
from toysae.metrics._seeds.bootstrap import BootstrapDistribution

from .draw import SEEDS, normal

DIFFERENCES = [0.02, 0.05, 0.03, 0.01, 0.04, 0.06]


class TestBootstrapInterval:
    def test_golden(self) -> None:
        interval = uncertainty.bootstrap_interval(DIFFERENCES)
        assert (interval.low, interval.high) == pytest.approx((0.02, 0.048333), abs=1e-6)
        assert interval.mean == pytest.approx(0.035)

    def test_the_seed_decides(self) -> None:
        values = normal(0, 15)
        first, again, other = (
            uncertainty.bootstrap_interval(values, seed=seed, n_resamples=200) for seed in (1, 1, 2)
        )
        assert first == again
        assert first.low != other.low

    def test_any_statistic(self) -> None:
        interval = uncertainty.bootstrap_interval(normal(0, 20), np.median, n_resamples=300)
        assert interval.mean == float(np.median(normal(0, 20).numpy()))
        assert interval.low <= interval.mean <= interval.high

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0]])
    def test_nothing_to_resample(self, values: list[float]) -> None:
        interval = uncertainty.bootstrap_interval(values)
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)

    def test_a_constant_statistic_has_no_interval(self) -> None:
        interval = uncertainty.bootstrap_interval(
            [1.0, 2.0, 3.0], lambda sample, axis=-1: np.mean(0 * sample, axis=axis)
        )
        assert interval.mean == 0
        assert math.isnan(interval.low)


class TestExactBootstrap:
    def test_golden(self) -> None:
        found = uncertainty.exact_bootstrap([0.6, 0.7, 0.9])
        assert found.estimate == pytest.approx(2.2 / 3)
        assert found.sd == pytest.approx(0.072008, abs=1e-6)
        interval = found.percentile_interval()
        assert (interval.low, interval.high) == pytest.approx((0.621667, 0.856667), abs=1e-6)
        assert (interval.n, interval.confidence) == (3, 0.95)
        assert interval.method == "percentile, seeds, all resamples"

    def test_golden_is_too_narrow_for_six_seeds(self) -> None:
        """By symmetry .035 -+ .013333; 9,999 draws of the same give .02 for the lower bound."""
        interval = uncertainty.exact_bootstrap(DIFFERENCES).bca_interval()
        assert (interval.low, interval.high) == pytest.approx((0.021667, 0.048333), abs=1e-6)
        student = uncertainty.seed_interval(DIFFERENCES)
        assert student.low < interval.low < interval.high < student.high

    @given(SEEDS, st.integers(2, 5), st.floats(0.01, 0.99))
    def test_enumerates_all_resamples(self, seed: int, n: int, confidence: float) -> None:
        values = normal(seed, n).numpy()
        means = np.array([np.mean(sample) for sample in itertools.product(values, repeat=n)])
        found = uncertainty.exact_bootstrap(values)
        assert found.ways.sum() == n**n
        assert np.repeat(found.values, found.ways) == pytest.approx(np.sort(means))
        assert found.sd == pytest.approx(means.std())
        assert found.sd == pytest.approx(values.std() / math.sqrt(n))
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        interval = found.percentile_interval(confidence)
        assert [interval.low, interval.high] == pytest.approx(np.quantile(means, tails))

    @given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.floats(0.5, 0.95))
    def test_bca_by_its_definition(self, values: list[int], confidence: float) -> None:
        """In whole numbers, where no rounding parts the resamples that equal the estimate."""
        n, total = len(values), sum(values)
        assume(len(set(values)) > 1)
        sums = np.array([sum(sample) for sample in itertools.product(values, repeat=n)])
        bias = stats.norm.ppf(np.mean(sums < total) / 2 + np.mean(sums <= total) / 2)
        left = np.array([(total - v) / (n - 1) for v in values])
        gaps = left.mean() - left
        acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
        z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
        expected = np.quantile(sums / n, stats.norm.cdf(bias + z / (1 - acceleration * z)))
        interval = uncertainty.exact_bootstrap(values).bca_interval(confidence)
        assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-6)

    def test_bca_is_near_scipys_draws(self) -> None:
        values = np.random.default_rng(0).exponential(size=7)
        reference = stats.bootstrap(
            (values,), np.mean, method="BCa", n_resamples=40_000, random_state=0
        ).confidence_interval
        found = uncertainty.exact_bootstrap(values)
        bca, percentile = found.bca_interval(), found.percentile_interval()
        assert (bca.low, bca.high) == pytest.approx((reference.low, reference.high), abs=0.01)
        assert bca.low > percentile.low + 0.02
        assert bca.high > percentile.high + 0.02

    def test_any_statistic(self) -> None:
        found = uncertainty.exact_bootstrap([1, 2, 9], np.median)
        assert found.estimate == 2
        # 7 of 27 resamples hold two ones or more, 7 two nines or more.
        assert dict(zip(*np.unique(np.repeat(found.values, found.ways), return_counts=True))) == {
            1: 7,
            2: 13,
            9: 7,
        }
        assert found.leave_one_out.tolist() == [5.5, 5, 1.5]

    def test_eight_seeds_are_the_most(self) -> None:
        assert uncertainty.exact_bootstrap(normal(0, 8)).ways.sum() == 8**8
        with pytest.raises(ShapeError, match="at most 8"):
            uncertainty.exact_bootstrap(normal(0, 9))

    @pytest.mark.parametrize("values", [[], [1.0]])
    def test_nothing_to_resample(self, values: list[float]) -> None:
        found = uncertainty.exact_bootstrap(values)
        assert found.n == len(values)
        assert math.isnan(found.sd)
        for interval in (found.percentile_interval(), found.bca_interval()):
            assert math.isnan(interval.low)
            assert math.isnan(interval.high)
            assert interval.n == len(values)

    def test_resamples_that_round_off_the_estimate_are_at_it(self) -> None:
        """`.1 + .2` is not `.3`: whole numbers, which are exact, give ten times the interval."""
        ways, without = np.array([1, 1, 1]), np.array([0.1, 0.4])
        near = BootstrapDistribution(0.3, np.array([0.0, 0.1 + 0.2, 0.5]), ways, without, "")
        exact = BootstrapDistribution(3.0, np.array([0.0, 3.0, 5.0]), ways, 10 * without, "")
        first, second = near.bca_interval(0.5), exact.bca_interval(0.5)
        assert (10 * first.low, 10 * first.high) == pytest.approx((second.low, second.high))

    def test_equal_values(self) -> None:
        found = uncertainty.exact_bootstrap([0.1, 0.1, 0.1])
        assert found.percentile_interval().low == pytest.approx(0.1)
        assert math.isnan(found.bca_interval().low)
        for confidence in (0.0, 1.0):
            with pytest.raises(DataError, match="confidence"):
                found.percentile_interval(confidence)
            with pytest.raises(DataError, match="confidence"):
                found.bca_interval(confidence)


class TestHierarchicalBootstrap:
    @given(SEEDS, st.integers(2, 5))
    def test_one_item_a_seed_is_the_exact_bootstrap(self, seed: int, n: int) -> None:
        values = normal(seed, n)
        found = uncertainty.hierarchical_bootstrap(values[:, None], n_resamples=10)
        exact = uncertainty.exact_bootstrap(values)
        assert found.estimate == pytest.approx(exact.estimate)
        assert found.sd == pytest.approx(exact.sd)
        assert found.leave_one_out == pytest.approx(exact.leave_one_out)
        assert found.bca_interval().method == "BCa, all resamples of seeds, then items drawn"

    def test_every_seed_weighs_alike(self) -> None:
        found = uncertainty.hierarchical_bootstrap([[1.0], [2.0, 4.0, 3.0, 3.0]], n_resamples=20)
        assert found.estimate == 2
        assert found.leave_one_out.tolist() == [3, 1]

    @pytest.mark.parametrize("n", [6, 12])
    def test_its_variance_has_both_parts(self, n: int) -> None:
        """Of the seeds' means, `var / n`, and of the items, `mean var_items / (m n)`."""
        items = normal(0, n, 1).numpy() + 3 * normal(1, n, 25).numpy()
        seeds = items.mean(axis=1).var() / n
        within = items.var(axis=1).mean() / (25 * n)
        found = uncertainty.hierarchical_bootstrap(items)
        assert found.sd**2 == pytest.approx(seeds + within, rel=0.05)
        assert found.n == n

    def test_coverage(self) -> None:
        """Over 8 seeds of 20 items it covers in about 90%; over items as if free, in under 45%.

        Sequences of items share their seed: correlation .5 and 20 items give a design effect of
        10.5, and `P(|z| < 1.96 / sqrt(10.5))` is .455.
        """
        covered = flattered = 0
        for seed in range(200):
            items = normal(seed, 8, 1).numpy() + normal(seed + 10_000, 8, 20).numpy()
            found = uncertainty.hierarchical_bootstrap(items, n_resamples=400, seed=seed)
            interval = found.percentile_interval()
            covered += interval.low <= 0 <= interval.high
            flattered += abs(items.mean()) <= 1.96 * items.std() / math.sqrt(items.size)
        assert covered / 200 == pytest.approx(0.91, abs=0.05)
        assert flattered / 200 == pytest.approx(0.455, abs=0.09)

    def test_the_seed_decides_and_progress_is_told(self) -> None:
        items = normal(0, 3, 5)
        steps: list[tuple[int, int]] = []
        first, again, other = (
            uncertainty.hierarchical_bootstrap(
                items, seed=seed, n_resamples=60, report=lambda done, n: steps.append((done, n))
            )
            for seed in (1, 1, 2)
        )
        assert (first.values == again.values).all()
        assert (first.values != other.values).any()
        assert steps == [(1, 3), (2, 3), (3, 3)] * 3

    def test_resamples_are_at_least_as_many_as_asked_for(self) -> None:
        found = uncertainty.hierarchical_bootstrap(normal(0, 2, 5), n_resamples=100)
        # Three multisets of two seeds, 34 times, standing for 1 + 2 + 1 resamples each time.
        assert len(found.values) == 102
        assert found.ways.sum() == 34 * 4
        # All 6,435 multisets of eight; nine are too many.
        assert uncertainty.hierarchical_bootstrap(normal(0, 8, 2), n_resamples=9).ways.sum() == 8**8
        many = uncertainty.hierarchical_bootstrap(normal(0, 9, 5), n_resamples=100)
        assert (len(many.values), many.ways.sum()) == (100, 100)

    def test_degenerate(self) -> None:
        nothing = uncertainty.hierarchical_bootstrap([])
        assert math.isnan(nothing.estimate)
        assert math.isnan(nothing.percentile_interval().low)
        one = uncertainty.hierarchical_bootstrap([[1.0, 2.0]])
        assert one.estimate == 1.5
        assert math.isnan(one.bca_interval().high)
        with pytest.raises(DataError, match=r"items\[1\] is empty"):
            uncertainty.hierarchical_bootstrap([[1.0], []])
        with pytest.raises(DataError, match=r"items\[0\]: 1 of 2"):
            uncertainty.hierarchical_bootstrap([[1.0, math.nan], [1.0]])
