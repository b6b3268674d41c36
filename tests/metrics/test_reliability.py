from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toysae.errors import DataError, ShapeError
from toysae.metrics import reliability

from .draw import SEEDS, normal, tensor

# Shrout and Fleiss 1979, table 2: six targets by four judges.
TARGETS = tensor(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


class TestReseedVariation:
    def test_golden(self) -> None:
        # Deviations -.1, 0, .1 about .6.
        assert reliability.reseed_variation([0.5, 0.6, 0.7]) == pytest.approx(1 / 6)
        assert reliability.reseed_variation([-0.5, -0.6, -0.7]) == pytest.approx(1 / 6)

    @given(SEEDS, st.integers(2, 9))
    def test_is_scipys(self, seed: int, n: int) -> None:
        values = normal(seed, n).exp()
        expected = stats.variation(values.numpy(), ddof=1)
        assert reliability.reseed_variation(values) == pytest.approx(expected)

    def test_degenerate(self) -> None:
        assert reliability.reseed_variation([0.5, 0.5]) == 0
        for values in ([], [0.5], [-1.0, 1.0]):
            assert math.isnan(reliability.reseed_variation(values))
        with pytest.raises(DataError, match="values: 1 of 2"):
            reliability.reseed_variation([math.nan, 1])


class TestSignalToNoise:
    def test_golden(self) -> None:
        """Means 1 and 5, so 8 between; variances 2 and 8 within, 5 in the mean."""
        found = reliability.signal_to_noise(tensor([[0, 2], [3, 7]]))
        assert (found.between, found.within) == (8, 5)
        assert found.ratio == pytest.approx(1.6)
        assert (found.n_conditions, found.n_seeds) == (2, 2)
        assert math.isnan(found.chance)

    @given(SEEDS, st.integers(2, 5), st.integers(2, 5))
    def test_is_an_f_statistic(self, seed: int, conditions: int, seeds: int) -> None:
        values = normal(seed, conditions, seeds)
        f = stats.f_oneway(*values.numpy()).statistic
        assert seeds * reliability.signal_to_noise(values).ratio == pytest.approx(f)

    def test_chance(self) -> None:
        """4 conditions of 3 seeds: 8 degrees of freedom, 8 / 6 / 3."""
        found = reliability.signal_to_noise(normal(0, 4, 3))
        assert found.chance == pytest.approx(4 / 9)
        ratios = [reliability.signal_to_noise(normal(seed, 4, 3)).ratio for seed in range(3000)]
        assert np.mean(ratios) == pytest.approx(4 / 9, rel=0.08)

    def test_degenerate(self) -> None:
        assert math.isnan(reliability.signal_to_noise(tensor([[1, 1], [2, 2]])).ratio)
        one_seed = reliability.signal_to_noise(tensor([[1], [2]]))
        assert one_seed.between == 0.5
        assert math.isnan(one_seed.within)
        one_condition = reliability.signal_to_noise(tensor([[1, 2]]))
        assert math.isnan(one_condition.between)
        assert one_condition.within == 0.5
        for shape in ((0, 3), (3, 0), (0, 0)):
            assert math.isnan(reliability.signal_to_noise(torch.ones(shape)).ratio)
        with pytest.raises(ShapeError, match="conditions, seeds"):
            reliability.signal_to_noise(torch.ones(3))


class TestSmallestClaimableDifference:
    def test_golden(self) -> None:
        # sd = .1, so 2 sqrt(2) .1; variances .01 and .03 average to .02.
        single = reliability.smallest_claimable_difference
        assert single(tensor([0.5, 0.6, 0.7])) == pytest.approx(0.282843, abs=1e-6)
        spread = 0.03**0.5
        both = tensor([[0.5, 0.6, 0.7], [1 - spread, 1, 1 + spread]])
        assert single(both) == pytest.approx(0.4)

    def test_error_rate(self) -> None:
        """Two runs of one condition differ by more in 4.6%, and in 10% with the sd of 6 seeds."""
        assert 2 * stats.norm.sf(2) == pytest.approx(0.046, abs=1e-3)
        assert 2 * stats.t.sf(2, 5) == pytest.approx(0.102, abs=1e-3)
        claims = [
            abs(runs[0] - runs[1]) > reliability.smallest_claimable_difference(seeds)
            for runs, seeds in (normal(seed, 8).split([2, 6]) for seed in range(3000))
        ]
        assert np.mean(claims) == pytest.approx(0.102, abs=0.02)

    def test_degenerate(self) -> None:
        assert reliability.smallest_claimable_difference(tensor([1, 1])) == 0
        for values in (tensor([1]), torch.ones(0), torch.ones(0, 3), torch.ones(3, 1)):
            assert math.isnan(reliability.smallest_claimable_difference(values))
        with pytest.raises(ShapeError, match="conditions, seeds"):
            reliability.smallest_claimable_difference(torch.ones(2, 2, 2))


class TestIntraclassCorrelation:
    def test_golden(self) -> None:
        """The paper prints .17, .29, .71; mean squares 11.24, 32.49, 6.26 and 1.02."""
        found = reliability.intraclass_correlation(TARGETS)
        assert found.one_way == pytest.approx(0.165742, abs=1e-6)
        assert found.agreement == pytest.approx(0.289764, abs=1e-6)
        assert found.consistency == pytest.approx(0.714841, abs=1e-6)
        assert (found.n_items, found.n_seeds) == (6, 4)

    def test_golden_of_the_mean_of_four(self) -> None:
        """The paper prints .44, .62 and .91 for the mean of all four judges."""
        found = reliability.intraclass_correlation(TARGETS)
        for one, four in (
            (found.one_way, 0.442797),
            (found.agreement, 0.620051),
            (found.consistency, 0.909316),
        ):
            assert reliability.spearman_brown(one, 4) == pytest.approx(four, abs=1e-6)

    @given(SEEDS)
    def test_what_each_forgives(self, seed: int) -> None:
        items = normal(seed, 5, 1)
        copies = reliability.intraclass_correlation(items.expand(5, 3))
        assert copies.one_way == copies.agreement == copies.consistency == pytest.approx(1)
        shifted = reliability.intraclass_correlation(items + tensor([0, 3, 9]))
        assert shifted.consistency == pytest.approx(1)
        assert shifted.one_way < shifted.agreement < 0.9

    def test_is_a_share_of_variance(self) -> None:
        """Items of variance 3 and noise of variance 1: three quarters."""
        values = 3**0.5 * normal(0, 4000, 1) + normal(1, 4000, 3)
        found = reliability.intraclass_correlation(values)
        for value in (found.one_way, found.agreement, found.consistency):
            assert value == pytest.approx(0.75, abs=0.02)

    def test_degenerate(self) -> None:
        for values in (torch.ones(1, 3), torch.ones(3, 1), torch.ones(0, 0), torch.ones(3, 3)):
            found = reliability.intraclass_correlation(values)
            assert math.isnan(found.one_way)
            assert math.isnan(found.agreement)
            assert math.isnan(found.consistency)
        with pytest.raises(DataError, match="NaN"):
            reliability.intraclass_correlation(tensor([[1, math.nan], [1, 2]]))


class TestClustering:
    @given(SEEDS, st.integers(2, 6), st.integers(2, 6))
    def test_is_the_one_way_correlation(self, seed: int, n: int, m: int) -> None:
        values = normal(seed, n, 1) + normal(seed + 1, n, m)
        found = reliability.clustering(values)
        expected = reliability.intraclass_correlation(values).one_way
        assert found.icc == pytest.approx(expected)
        assert (found.size, found.n_defined) == (m, n * m)
        assert found.design_effect == pytest.approx(1 + (m - 1) * expected)
        assert found.effective_n == pytest.approx(n * m / found.design_effect, nan_ok=True)

    def test_golden_of_unequal_lengths(self) -> None:
        """Sequences (1, 3), (5, 7, 9), (4): B = 185 / 12, W = 10 / 3, n_0 = 11 / 6."""
        values = tensor([[1, 3, math.nan], [5, 7, 9], [math.nan, 4, math.nan], [math.nan] * 3])
        found = reliability.clustering(values)
        grand = 29 / 6
        between = (2 * (2 - grand) ** 2 + 3 * (7 - grand) ** 2 + (4 - grand) ** 2) / 2
        assert between == pytest.approx(15.416667, abs=1e-6)
        typical = (6 - 14 / 6) / 2
        within = 10 / 3
        expected = (between - within) / (between + (typical - 1) * within)
        assert found.icc == pytest.approx(expected)
        assert found.size == pytest.approx(14 / 6)
        assert found.n_defined == 6

    def test_lowest_of_unequal_lengths(self) -> None:
        """Sequences (0) and (-1, 1): equal means, n_0 = 4 / 3, tokens of a sequence 5 / 3."""
        found = reliability.clustering(tensor([[0, math.nan], [-1, 1]]))
        assert found.icc == pytest.approx(-3)
        assert found.design_effect == pytest.approx(-1)
        assert math.isnan(found.effective_n)

    def test_copies_are_worth_one(self) -> None:
        found = reliability.clustering(normal(0, 5, 1).expand(5, 4))
        assert found.icc == pytest.approx(1)
        assert found.effective_n == pytest.approx(5)

    def test_degenerate(self) -> None:
        for values in (torch.ones(0, 3), torch.ones(1, 3), torch.ones(3, 1), torch.ones(3, 3)):
            assert math.isnan(reliability.clustering(values).icc)
        nothing = reliability.clustering(torch.full((2, 2), math.nan))
        assert (nothing.n_defined, math.isnan(nothing.size)) == (0, True)
        with pytest.raises(DataError, match="infinite"):
            reliability.clustering(tensor([[math.inf, 1], [1, 2]]))


class TestDesignEffect:
    def test_golden(self) -> None:
        assert reliability.design_effect(128, 0.05) == pytest.approx(7.35)
        assert reliability.design_effect(1, 0.9) == 1
        assert reliability.design_effect(16, 1) == 16
        assert reliability.design_effect(2, -1) == 0

    def test_is_how_much_the_variance_of_a_mean_grows(self) -> None:
        """16 tokens of correlation .5 in each of 25 sequences: 8.5 times 1 / 400."""
        means = [
            (normal(seed, 25, 1) + normal(seed + 10_000, 25, 16)).mean().item() / 2**0.5
            for seed in range(2000)
        ]
        assert np.var(means) == pytest.approx(reliability.design_effect(16, 0.5) / 400, rel=0.1)

    def test_bad_input_is_refused(self) -> None:
        for size, icc in (
            (0.5, 0.1),
            (2, 1.1),
            (2, -1.1),
            (math.nan, 0.1),
            (math.inf, 0),
            (2, math.nan),
        ):
            with pytest.raises(DataError, match="expected a finite size"):
                reliability.design_effect(size, icc)


class TestSpearmanBrown:
    def test_golden(self) -> None:
        assert reliability.spearman_brown(0.5, 2) == pytest.approx(2 / 3)
        assert reliability.spearman_brown(2 / 3, 0.5) == pytest.approx(0.5)
        assert reliability.spearman_brown(0, 7) == 0
        assert reliability.spearman_brown(1, 7) == 1

    def test_bad_input_is_refused(self) -> None:
        for value, factor in ((-0.1, 2), (1.1, 2), (0.5, 0), (math.nan, 2), (0.5, math.nan)):
            with pytest.raises(DataError, match="reliability="):
                reliability.spearman_brown(value, factor)
