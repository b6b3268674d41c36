from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.coefficient_fit import CoefficientFit, coefficient_fit

from .draw import SEEDS, normal, tensor

C = tensor([0, 0, 0, 0, 1, 2, 0.5, 1.5])
NAN = math.nan


def one(c: Tensor, z: Tensor, threshold: float = 0.0) -> CoefficientFit:
    zero = torch.tensor([0])
    return coefficient_fit(c[:, None], z[:, None], zero, zero, threshold=threshold)


def numbers(fit: CoefficientFit, *names: str) -> list[float]:
    return [getattr(fit, name).item() for name in names]


class TestCoefficientFit:
    @pytest.mark.parametrize(
        ("latent", "identity", "r2_gain", "r2", "gain"),
        [
            ([0, 0, 0, 0, 0.8, 1.6, 0.4, 1.2], 0.931429, 1, 1, 1.25),
            ([0.3, 0, 0, 0.1, 0.9, 1.6, 0.4, 1.2], 0.915429, 0.963257, 0.973046, 1.203156),
            ([0, 0, 0, 0, 1, 2, 0, 0], 0.428571, 0.428571, 0.576037, 1),
            ([0, 0.6, 0, 0, 1, 0, 0.2, 1.1], -0.053714, -0.051998, 0.128881, 1.053640),
            ([0, 0, 0, 0, 0, 0, 0, 0], -0.714286, NAN, NAN, NAN),
            ([0.1, 0.1, 0.1, 0.1, 1, 2, 0.5, 1.5], 0.990857, 0.990906, 0.998533, 0.994695),
        ],
    )
    def test_golden(
        self, latent: list[float], identity: float, r2_gain: float, r2: float, gain: float
    ) -> None:
        found = numbers(one(C, tensor(latent)), "r2_identity", "r2_gain", "r2", "gain")
        assert found == pytest.approx([identity, r2_gain, r2, gain], abs=1e-6, nan_ok=True)

    def test_shrinkage_is_free_of_misses_and_false_alarms(self) -> None:
        # Detected: (1, .5), (2, 1); missed: .5; false: .6.
        fit = one(tensor([0, 1, 2, 0.5]), tensor([0.6, 0.5, 1, 0]))
        assert fit.n_detected.item() == 2
        assert fit.slope_detected.item() == pytest.approx(0.5)
        assert fit.gain_detected.item() == pytest.approx(2)
        assert fit.gain.item() == pytest.approx(2.5 / 1.61)

    def test_slope_and_gain_regress_in_opposite_directions(self) -> None:
        # c = (1, 1), z = (1, 2): cz = 3, cc = 2, zz = 5.
        fit = one(tensor([1, 1]), tensor([1, 2]))
        assert fit.slope_detected.item() == pytest.approx(1.5)
        assert fit.gain_detected.item() == pytest.approx(0.6)

    def test_a_shrunk_copy_has_its_factor_as_slope(self) -> None:
        fit = one(C, 0.8 * C)
        assert numbers(fit, "slope_detected", "gain_detected") == pytest.approx([0.8, 1.25])
        assert fit.n_detected.item() == 4

    def test_only_detection_knows_the_threshold(self) -> None:
        z = tensor([0, 0, 0, 0, 0.5, 2, 0.1, 1])
        low, high = one(C, z), one(C, z, threshold=0.5)
        assert (low.n_detected.item(), high.n_detected.item()) == (4, 2)
        assert high.slope_detected.item() == pytest.approx((2 * 2 + 1.5 * 1) / (4 + 2.25))
        for name in ("r2_identity", "r2_gain", "r2", "gain"):
            assert getattr(low, name).item() == getattr(high, name).item()

    @settings(max_examples=15)
    @given(SEEDS, st.integers(3, 30))
    def test_scores_are_those_of_regressions(self, seed: int, n_samples: int) -> None:
        c = normal(seed, n_samples, 2).abs()
        z = 0.7 * c + normal(seed + 1, n_samples, 2).abs()
        fit = coefficient_fit(c, z, torch.tensor([0, 1]), torch.tensor([1, 1]))
        for k in (0, 1):
            y, x = c[:, k].numpy(), z[:, 1:].numpy()
            through_0 = LinearRegression(fit_intercept=False).fit(x, y)
            affine = LinearRegression().fit(x, y)
            assert fit.gain[k].item() == pytest.approx(through_0.coef_[0])
            for found, prediction in (
                (fit.r2_identity[k], x[:, 0]),
                (fit.r2_gain[k], through_0.predict(x)),
                (fit.r2[k], affine.predict(x)),
            ):
                assert found.item() == pytest.approx(r2_score(y, prediction), abs=1e-9)

    @given(SEEDS)
    def test_the_three_are_ordered_at_their_top(self, seed: int) -> None:
        c, z = normal(seed, 20).clamp(min=0), normal(seed + 1, 20).clamp(min=0)
        fit = one(c, z)
        assert fit.r2_identity.item() <= fit.r2_gain.item() + 1e-12
        assert fit.r2_gain.item() <= fit.r2.item() + 1e-12
        assert 0 <= fit.r2.item() <= 1

    def test_constant_columns(self) -> None:
        # A mean of .1 that rounds must not count as variation.
        flat, other = torch.full((7,), 0.1, dtype=torch.float64), normal(0, 7)
        assert np.isnan(numbers(one(flat, other), "r2_identity", "r2_gain", "r2")).all()
        fit = one(other, flat)
        assert math.isnan(fit.r2.item())
        assert fit.r2_identity.item() < 0

    def test_pairs_without_partner(self) -> None:
        table = torch.stack([C, 0 * C], dim=1)
        fit = coefficient_fit(
            table, table, torch.tensor([0, -1, 1, 0]), torch.tensor([0, 0, 1, -1])
        )
        assert fit.r2.isnan().tolist() == [False, True, True, True]
        assert fit.n_detected.tolist() == [4, 0, 0, 0]
        assert fit.n_defined == 1
        assert fit.mean_r2 == fit.mean_r2_gain == fit.mean_r2_identity == 1
        assert math.isnan(fit.slope_detected[2])

    def test_sparse_codes_give_the_same(self) -> None:
        c, z = normal(0, 30, 3).clamp(min=0), normal(1, 30, 3).clamp(min=0)
        index = torch.arange(3)
        dense = coefficient_fit(c, z, index, index)
        sparse = coefficient_fit(SparseCodes.from_dense(c), SparseCodes.from_dense(z), index, index)
        assert torch.equal(dense.r2_gain, sparse.r2_gain)
        assert torch.equal(dense.slope_detected, sparse.slope_detected)

    def test_without_samples(self) -> None:
        fit = one(C[:0], C[:0])
        for value in (fit.r2, fit.r2_identity, fit.r2_gain, fit.gain, fit.slope_detected):
            assert math.isnan(value.item())
        assert (fit.n_defined, fit.n_samples) == (0, 0)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="feature from 1 to 1: expected 0 to 0"):
            coefficient_fit(C[:, None], C[:, None], torch.tensor([1]), torch.tensor([0]))
        with pytest.raises(ShapeError, match="8 samples"):
            one(C, C[:7])
