from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import DataError, ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.monosemanticity import monosemanticity, purity

from .draw import SEEDS, normal, tensor


class TestMonosemanticity:
    def test_golden(self) -> None:
        responses = tensor([[3, 1, 0, 0.7], [0, 1, 0, 0.2], [0, 1, 0, 0.1], [0, 1, 0, 0]])
        result = monosemanticity(responses)
        assert result.score[[0, 1, 3]].tolist() == pytest.approx([1, 0.25, 0.7])
        assert result.feature.tolist() == [0, 0, -1, 0]
        assert result.n_silent == 1
        assert result.mean == pytest.approx(0.65)
        assert result.published_mean == pytest.approx(0.4875)

    @given(SEEDS, st.integers(1, 6), st.integers(1, 6))
    def test_between_alike_and_alone(self, seed: int, n: int, m: int) -> None:
        score = monosemanticity(normal(seed, n, m).abs() + 0.01).score
        assert (score <= 1).all()
        assert (score >= 1 / n - 1e-6).all()

    def test_nothing_to_respond_to(self) -> None:
        empty = monosemanticity(torch.ones(0, 2))
        assert torch.isnan(empty.score).all()
        assert empty.feature.tolist() == [-1, -1]
        assert math.isnan(monosemanticity(torch.ones(2, 0)).published_mean)

    def test_negative_responses_are_refused(self) -> None:
        with pytest.raises(DataError, match="go down to -1"):
            monosemanticity(tensor([[1, -1]]))


class TestPurity:
    # Fires on four samples; on the first three, with 7 of 10 of its activation, the feature is on.
    C = tensor([[1, 0], [2, 0], [1, 0], [0, 3], [0, 0]])
    Z = tensor([[1], [2], [4], [3], [0]])

    def test_golden(self) -> None:
        found = purity(self.C, self.Z)
        assert found.purity.tolist() == pytest.approx([0.7])
        assert found.token_precision.tolist() == [0.75]
        assert (found.purest_feature.item(), found.precise_feature.item()) == (0, 0)
        assert found.baseline == pytest.approx(0.6)
        entropy = -(0.7 * math.log(0.7) + 0.3 * math.log(0.3))
        assert found.selectivity.tolist() == pytest.approx([1 - entropy / math.log(2)])

    def test_purest_and_most_precise_may_differ(self) -> None:
        found = purity(tensor([[1, 0], [0, 1], [0, 1]]), tensor([[8], [1], [1]]))
        assert found.purity.item() == pytest.approx(0.8)
        assert found.token_precision.item() == pytest.approx(2 / 3)
        assert (found.purest_feature.item(), found.precise_feature.item()) == (0, 1)

    def test_features_that_fire_together_share_the_attribution(self) -> None:
        found = purity(torch.ones(4, 3), torch.ones(4, 1))
        assert found.purity.item() == 1
        assert found.selectivity.item() == pytest.approx(0)
        assert found.baseline == 1

    def test_dead_latents_and_features_without_sense(self) -> None:
        found = purity(self.C, torch.cat([self.Z, 0 * self.Z, self.Z.flip(0) * (self.Z == 0)], 1))
        assert torch.isnan(found.purity).tolist() == [False, True, False]
        assert found.purest_feature.tolist()[1] == -1
        assert found.purity[2].item() == 0
        assert torch.isnan(found.selectivity).tolist() == [False, True, True]
        assert found.n_defined == 2
        assert found.mean_purity == pytest.approx(0.35)
        assert found.mean_token_precision == pytest.approx(0.375)
        none = purity(self.C[:, :0], self.Z)
        assert math.isnan(none.purity)
        assert math.isnan(none.baseline)
        assert math.isnan(purity(self.C[:, :1], self.Z).selectivity)

    def test_threshold_is_strict_and_sign_is_left_out(self) -> None:
        assert purity(self.C, -self.Z).purity.item() == pytest.approx(0.7)
        found = purity(self.C, self.Z, threshold=2)
        assert found.purity.item() == pytest.approx(4 / 7)
        assert found.token_precision.item() == 0.5

    def test_sparse_codes_give_the_same(self) -> None:
        dense = purity(self.C, self.Z)
        sparse = purity(SparseCodes.from_dense(self.C), SparseCodes.from_dense(self.Z))
        assert dense.purity.tolist() == sparse.purity.tolist()
        assert dense.selectivity.tolist() == sparse.selectivity.tolist()

    @given(SEEDS)
    def test_bounds(self, seed: int) -> None:
        c, z = normal(seed, 30, 3).clamp(min=0), normal(seed + 1, 30, 4).clamp(min=0)
        found = purity(c, z)
        for share in (found.purity, found.token_precision):
            assert ((share >= 0) & (share <= 1 + 1e-12)).all()
        assert ((found.selectivity >= -1e-12) & (found.selectivity <= 1)).all()

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 5 samples and latents has 4"):
            purity(self.C, self.Z[:4])
        with pytest.raises(DataError, match="threshold"):
            purity(self.C, self.Z, threshold=-1)
