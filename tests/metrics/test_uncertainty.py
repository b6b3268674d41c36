from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toysae.errors import DataError, ShapeError
from toysae.metrics import uncertainty

from .draw import SEEDS, normal, tensor

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


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low"),
        [(1, 1, 0.206549), (2, 2, 0.342380), (9, 10, 0.595850), (15, 35, 0.279846)],
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


class TestBenjaminiHochberg:
    def test_golden(self) -> None:
        # .01 * 4/1, .02 * 4/2, .03 * 4/3, .5 * 4/4, each at most the next.
        adjusted = uncertainty.benjamini_hochberg(tensor([0.03, 0.5, 0.01, 0.02]))
        assert adjusted.tolist() == pytest.approx([0.04, 0.5, 0.04, 0.04])

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_step_up_definition(self, p_values: list[float]) -> None:
        adjusted = uncertainty.benjamini_hochberg(tensor(p_values)).tolist()
        order = np.argsort(p_values)
        smallest = 1.0
        for rank in range(len(order), 0, -1):
            i = order[rank - 1]
            smallest = min(smallest, p_values[i] * len(order) / rank)
            assert adjusted[i] == pytest.approx(smallest)

    def test_undefined_tests_are_no_tests(self) -> None:
        adjusted = uncertainty.benjamini_hochberg(tensor([[0.01, math.nan], [0.04, math.nan]]))
        assert adjusted[:, 0].tolist() == pytest.approx([0.02, 0.04])
        assert torch.isnan(adjusted[:, 1]).all()
        assert uncertainty.benjamini_hochberg(torch.ones(0)).shape == (0,)

    def test_the_input_is_left_alone(self) -> None:
        p_values = tensor([0.01, 0.04])
        uncertainty.benjamini_hochberg(p_values)
        assert p_values.tolist() == [0.01, 0.04]

    def test_bad_input_is_refused(self) -> None:
        for bad in (-0.1, 1.1, math.inf):
            with pytest.raises(DataError):
                uncertainty.benjamini_hochberg(tensor([0.5, bad]))
