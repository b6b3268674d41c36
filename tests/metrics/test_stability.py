from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.dictionary import Matching, greedy, hungarian
from toysae.metrics.stability import cycle_consistency, feature_stability, pairwise_agreement

from .draw import SEEDS, normal, tensor


class TestFeatureStability:
    def test_golden(self) -> None:
        best = tensor([[0.9]] * 7 + [[0.2]] * 2)
        found = feature_stability(best, 0.7)
        assert found.share.tolist() == pytest.approx([7 / 9])
        assert found.low.tolist() == pytest.approx([0.452589], abs=1e-6)
        assert found.high.tolist() == pytest.approx([0.936775], abs=1e-6)
        assert found.n_defined.tolist() == [9]

    def test_threshold_is_strict_and_nan_is_not_counted(self) -> None:
        nan = math.nan
        found = feature_stability(tensor([[0.7, 0.8, nan, nan], [0.9, 0.9, 0.9, nan]]), 0.7)
        assert found.share[:3].tolist() == [0.5, 1, 1]
        assert found.n_defined.tolist() == [2, 2, 1, 0]
        for value in (found.share, found.low, found.high):
            assert torch.isnan(value).tolist() == [False, False, False, True]
        assert found.mean == pytest.approx(2.5 / 3)
        assert found.low[1] > found.low[2]

    @given(SEEDS, st.integers(1, 8), st.floats(0.5, 0.99))
    def test_intervals_are_statsmodels(self, seed: int, n_seeds: int, confidence: float) -> None:
        best = normal(seed, n_seeds, 6)
        found = feature_stability(best, 0.3, confidence=confidence)
        counts = (best > 0.3).sum(dim=0).numpy()
        low, high = proportion_confint(counts, n_seeds, alpha=1 - confidence, method="wilson")
        assert found.share.tolist() == pytest.approx((counts / n_seeds).tolist())
        assert found.low.tolist() == pytest.approx(low.tolist(), abs=1e-9)
        assert found.high.tolist() == pytest.approx(high.tolist(), abs=1e-9)

    def test_without_seeds_or_features(self) -> None:
        found = feature_stability(torch.empty(0, 2), 0.7)
        assert torch.isnan(found.share).tolist() == [True, True]
        assert found.n_defined.tolist() == [0, 0]
        assert feature_stability(torch.empty(3, 0), 0.7).share.shape == (0,)
        assert math.isnan(feature_stability(torch.empty(3, 0), 0.7).mean)

    def test_wrong_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"two axes, \[seeds, features\]"):
            feature_stability(torch.ones(3), 0.7)
        with pytest.raises(DataError, match="best: 1 of 1"):
            feature_stability(tensor([[math.inf]]), 0.7)


class TestPairwiseAgreement:
    def test_by_hand(self) -> None:
        e = torch.eye(2, dtype=torch.float64)
        tilted = tensor([[0.6, 0.8], [0, 0], [-0.8, 0.6]])
        found = pairwise_agreement([e, e[:1], tilted])
        # Against e: .8 + 0 of two rows (then .6 and 0, or -.8), against e[:1]: .6.
        assert found.over_min[0, 1] == 1
        assert found.over_max[0, 1] == 0.5
        assert found.over_min[0, 2] == pytest.approx(max(0.6 + 0.6, 0.8) / 2)
        assert found.over_min[1, 2] == pytest.approx(0.6)
        assert found.over_max[1, 2] == pytest.approx(0.3)
        assert found.mean_over_min == pytest.approx((1 + 0.6 + 0.6) / 3)
        assert found.mean_over_max == pytest.approx((0.5 + 0.6 + 0.3) / 3)
        assert found.n_defined == 3
        assert torch.isnan(found.over_min.diagonal()).all()
        assert torch.equal(found.over_min.nan_to_num(), found.over_min.T.nan_to_num())
        assert torch.equal(found.over_max.nan_to_num(), found.over_max.T.nan_to_num())

    @given(SEEDS)
    def test_is_the_mean_over_pairs_of_matchings(self, seed: int) -> None:
        a, b, c = (normal(seed + k, 4 + k, 3) for k in range(3))
        mean = pairwise_agreement([a, b, c]).mean_over_max
        expected = [hungarian(x, y).mean_over_max for x, y in ((a, b), (a, c), (b, c))]
        assert mean == pytest.approx(sum(expected) / 3)
        assert pairwise_agreement([c, a, b]).mean_over_max == pytest.approx(mean)

    def test_masks_and_progress(self) -> None:
        e, told = torch.eye(3), []
        alive = torch.tensor([True, False, True])
        found = pairwise_agreement(
            [e, e, e],
            alive=[alive, None, alive],
            report=lambda done, n: told.append((done, n)),
        )
        assert found.over_max[0, 1] == pytest.approx(2 / 3)
        assert found.over_max[1, 2] == pytest.approx(2 / 3)
        assert found.over_max[0, 2] == 1
        assert told == [(1, 3), (2, 3), (3, 3)]

    def test_undefined_values(self) -> None:
        for few in ([], [torch.eye(2)]):
            found = pairwise_agreement(few)
            assert math.isnan(found.mean_over_min)
            assert found.n_defined == 0
        e = torch.eye(2)
        found = pairwise_agreement([e, torch.zeros(1, 2), e])
        assert found.n_defined == 1
        assert found.mean_over_min == 1

    def test_masks_must_fit(self) -> None:
        with pytest.raises(ShapeError, match="1 alive masks for 2 dictionaries"):
            pairwise_agreement([torch.eye(2)] * 2, alive=[None])


def matching(pairs: dict[int, int], n_rows: int = 4, n_cols: int = 4) -> Matching:
    rows, cols = torch.tensor(list(pairs)).long(), torch.tensor(list(pairs.values())).long()
    return Matching(rows, cols, torch.ones(len(rows)), n_rows, n_cols)


class TestCycleConsistency:
    def test_by_hand(self) -> None:
        found = cycle_consistency(
            matching({0: 1, 1: 0, 2: 3}),
            matching({0: 2, 1: 1, 2: 0, 3: 3}),
            matching({0: 1, 1: 0, 2: 3, 3: 2}),
        )
        # 0 -> 1 -> 1 as directly; 1 -> 0 -> 2, not 0; 2 -> 3 -> 3 as directly; 3 has no detour.
        assert found.rows.tolist() == [0, 2]
        assert (found.n_detours, found.n_a) == (3, 4)
        assert found.share == 0.5

    def test_chains_that_break_are_not_consistent(self) -> None:
        broken = cycle_consistency(matching({0: 0, 3: 3}), matching({0: 1}), matching({3: 3}))
        assert (broken.rows.tolist(), broken.n_detours, broken.share) == ([], 1, 0)
        no_way = cycle_consistency(matching({}), matching({}), matching({1: 1}))
        assert (no_way.rows.tolist(), no_way.n_detours, no_way.share) == ([], 0, 0)
        nothing = cycle_consistency(matching({}), matching({}), matching({}))
        assert nothing.share == 0

    def test_the_same_dictionary_three_times(self) -> None:
        a = normal(0, 5, 4)
        order = torch.tensor([3, 1, 4, 0, 2])
        b, c = a[order], 2 * a[order.flip(0)]
        found = cycle_consistency(hungarian(a, b), hungarian(b, c), hungarian(a, c))
        assert found.share == 1
        assert found.n_detours == 5

    @given(SEEDS)
    def test_the_order_of_the_dictionaries_does_not_matter(self, seed: int) -> None:
        common = normal(seed, 4, 3)
        seeds = [
            torch.cat([common + 0.4 * normal(seed + k, 4, 3), normal(seed + 9 + k, k, 3)])
            for k in (1, 2, 3)
        ]

        def n_consistent(a: Tensor, b: Tensor, c: Tensor) -> int:
            return len(cycle_consistency(greedy(a, b), greedy(b, c), greedy(a, c)).rows)

        assert len({n_consistent(*order) for order in permutations(seeds)}) == 1

    def test_undefined_without_rows(self) -> None:
        nothing = matching({}, 0, 4)
        assert math.isnan(cycle_consistency(nothing, matching({}), nothing).share)

    @pytest.mark.parametrize("wrong", range(3))
    def test_matchings_must_fit(self, wrong: int) -> None:
        matchings = [matching({0: 0}) for _ in range(3)]
        matchings[wrong] = matching({0: 0}, n_rows=5)
        with pytest.raises(ShapeError, match="expected a with b, b with c and a with c"):
            cycle_consistency(*matchings)
        matchings[wrong] = matching({0: 0}, n_cols=5)
        with pytest.raises(ShapeError, match="expected a with b"):
            cycle_consistency(*matchings)
