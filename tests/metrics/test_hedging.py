from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import DataError, ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.hedging import Hedging, hedging, one_latent_optimum

from .draw import SEEDS, normal, rotation, tensor

E2 = torch.eye(2, dtype=torch.float64)
ONE = torch.tensor([0])


def fired(p1: float, p2: float, p11: float) -> torch.Tensor:
    """A thousand samples of two features of unit amplitude with these probabilities, exactly."""
    n = 1000
    c = torch.zeros(n, 2, dtype=torch.float64)
    both, first, second = round(n * p11), round(n * (p1 - p11)), round(n * (p2 - p11))
    c[: both + first, 0] = 1
    c[:both, 1] = 1
    c[both + first : both + first + second, 1] = 1
    return c


class TestOneLatentOptimum:
    @pytest.mark.parametrize(
        ("p11", "phi", "without", "with_bias"),
        [
            (0.1, 0.218218, (0.850651, 0.525731), (0.874642, 0.484769)),
            (0.06, 0, (0.905589, 0.424155), (1, 0)),
            (0, -0.327327, (1, 0), (0.832050, -0.554700)),
        ],
    )
    def test_golden(
        self,
        p11: float,
        phi: float,
        without: tuple[float, float],
        with_bias: tuple[float, float],
    ) -> None:
        mean = tensor([0.3, 0.2])
        assert (p11 - 0.06) / math.sqrt(0.3 * 0.7 * 0.2 * 0.8) == pytest.approx(phi, abs=1e-6)
        found = one_latent_optimum(tensor([[0.3, p11], [p11, 0.2]]), mean)
        assert found.without_bias.tolist() == pytest.approx(without, abs=1e-6)
        assert found.with_bias.tolist() == pytest.approx(with_bias, abs=1e-6)

    @given(SEEDS, st.integers(1, 5))
    def test_no_other_direction_explains_more(self, seed: int, n: int) -> None:
        c = normal(seed, 50, n).clamp(min=0)
        found = one_latent_optimum(c.T @ c / 50, c.mean(dim=0))
        other = normal(seed + 1, n)
        other /= other.norm()
        centred = c - c.mean(dim=0)
        assert (c @ found.without_bias).norm() >= (c @ other).norm() - 1e-9
        assert (centred @ found.with_bias).norm() >= (centred @ other).norm() - 1e-9
        for direction in found.without_bias, found.with_bias:
            assert direction.norm().item() == pytest.approx(1)
            assert direction[direction.abs().argmax()] > 0

    def test_equal_eigenvalues_have_no_first(self) -> None:
        found = one_latent_optimum(E2, torch.zeros(2))
        assert torch.isnan(found.without_bias).all()
        one = one_latent_optimum(tensor([[2]]), tensor([1]))
        assert one.without_bias.tolist() == one.with_bias.tolist() == [1]

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(DataError, match="symmetric"):
            one_latent_optimum(tensor([[1, 1], [0, 1]]), torch.zeros(2))
        with pytest.raises(ShapeError, match="expected \\[n, n\\] and \\[n\\]"):
            one_latent_optimum(E2, torch.zeros(3))
        with pytest.raises(ShapeError, match="at least 1"):
            one_latent_optimum(torch.zeros(0, 0), torch.zeros(0))
        with pytest.raises(DataError, match="mean"):
            one_latent_optimum(E2, tensor([0, math.nan]))


class TestHedging:
    @pytest.mark.parametrize(
        ("p11", "direction", "sign"),
        [(0.1, (0.874642, 0.484769), 1), (0, (0.832050, -0.554700), -1)],
    )
    def test_golden_hedging_has_the_sign_of_the_correlation(
        self, p11: float, direction: tuple[float, float], sign: int
    ) -> None:
        found = hedging(3 * tensor([direction]), 2 * E2, ONE, fired(0.3, 0.2, p11))
        assert found.unassigned.tolist() == [1]
        assert found.leaks.item() == pytest.approx(direction[1], abs=1e-6)
        assert found.norm.item() == pytest.approx(abs(direction[1]), abs=1e-6)
        assert math.copysign(1, found.correlation.item()) == sign
        assert found.sign_agreement == 1
        assert found.sign_p_value == 0.5

    def test_golden_a_missing_bias_fakes_hedging(self) -> None:
        """Independent features: a leak of .424155 that no correlation stands behind."""
        found = hedging(tensor([[0.905589, 0.424155]]), E2, ONE, fired(0.3, 0.2, 0.06))
        assert found.mean_norm == pytest.approx(0.424155, abs=1e-6)
        assert found.correlation.item() == pytest.approx(0, abs=1e-12)
        assert math.isnan(found.sign_agreement)
        assert math.isnan(found.sign_p_value)

    def test_correlation_is_pearsons(self) -> None:
        c = normal(0, 200, 4).clamp(min=0)
        assigned = torch.tensor([2, -1, 0])
        for given_as in (c, SparseCodes.from_dense(c)):
            found = hedging(normal(1, 3, 4), normal(2, 4, 4), assigned, given_as)
            expected = np.corrcoef(c.T.numpy())
            assert found.unassigned.tolist() == [1, 3]
            assert found.correlation[0].tolist() == pytest.approx(expected[2, [1, 3]])
            assert found.correlation[2].tolist() == pytest.approx(expected[0, [1, 3]])
            assert torch.isnan(found.correlation[1]).all()
            assert torch.isnan(found.leaks[1]).all()

    @given(SEEDS, st.integers(1, 4), st.integers(1, 4))
    def test_leaks_are_the_weights_of_unassigned_features(self, seed: int, m: int, u: int) -> None:
        features = normal(seed, m + u, m + u + 1)
        unit = features / features.norm(dim=1, keepdim=True)
        weights = normal(seed + 1, m, m + u)
        decoder = weights @ unit
        found = hedging(decoder, features, torch.arange(m), normal(seed + 2, 20, m + u))
        expected = weights[:, m:] / decoder.norm(dim=1, keepdim=True)
        assert torch.allclose(found.leaks, expected, atol=1e-6)
        assert torch.allclose(found.norm, expected.norm(dim=1), atol=1e-6)
        q = rotation(seed + 3, m + u + 1)
        turned = hedging(decoder @ q, features @ q, torch.arange(m), normal(seed + 2, 20, m + u))
        assert torch.allclose(found.leaks, turned.leaks, atol=1e-6)

    def test_signs_are_counted_where_both_have_one(self) -> None:
        leaks = tensor([[0.5, -0.5, 0.001, 0.5, -0.2], [math.nan] * 5])
        correlation = tensor([[0.2, 0.035, 0.9, 0.03, -0.4], [math.nan] * 5])
        found = Hedging(leaks, torch.arange(5), correlation, 10_000)
        assert found.is_tested[0].tolist() == [True, True, False, False, True]
        assert found.agrees[0].tolist() == [True, False, False, False, True]
        assert found.sign_agreement == pytest.approx(2 / 3)
        # Of three coins two or more: (3 + 1) / 8.
        assert found.sign_p_value == pytest.approx(0.5)
        assert found.mean_norm == pytest.approx(math.sqrt(3 * 0.25 + 0.04 + 1e-6))

    @pytest.mark.parametrize("constant", [0.1, 0.3, 0.7, 1e-9, 1e9])
    def test_what_never_varies_correlates_with_nothing(self, constant: float) -> None:
        """Rounding leaves the variance of equal numbers a little above or below 0."""
        c = normal(0, 999, 2)
        c[:, 1] = constant
        found = hedging(tensor([[1, 0.5]]), E2, ONE, c)
        assert found.correlation.isnan().all()
        assert not found.is_tested.any()
        c[:, 1] += 1e-3 * constant * c[:, 0]
        assert hedging(tensor([[1, 0.5]]), E2, ONE, c).correlation.item() == pytest.approx(1)

    def test_nothing_left_unassigned(self) -> None:
        found = hedging(E2, E2, torch.tensor([1, 0]), torch.ones(3, 2))
        assert found.norm.tolist() == [0, 0]
        assert math.isnan(found.sign_agreement)
        nobody = hedging(E2, E2, torch.tensor([-1, -1]), torch.ones(3, 2))
        assert math.isnan(nobody.mean_norm)

    def test_without_features(self) -> None:
        nobody = torch.tensor([-1, -1])
        found = hedging(E2, E2[:0], nobody, torch.zeros(5, 0))
        assert found.leaks.shape == found.correlation.shape == (2, 0)
        assert math.isnan(found.sign_agreement)
        assert found.n_samples == 5

    def test_constant_features_and_zero_latents(self) -> None:
        found = hedging(torch.zeros(1, 2), E2, ONE, torch.ones(4, 2) * 0.1)
        assert torch.isnan(found.correlation).all()
        assert math.isnan(found.mean_norm)
        assert not found.is_tested.any()

    def test_what_does_not_fit_is_refused(self) -> None:
        c = torch.ones(3, 2)
        with pytest.raises(ShapeError, match="assigned has shape"):
            hedging(E2, E2, ONE, c)
        with pytest.raises(ShapeError, match="int64"):
            hedging(E2, E2, torch.zeros(2), c)
        for outside in (-2, 2):
            with pytest.raises(ShapeError, match="expected -1 to 1"):
                hedging(E2, E2, torch.tensor([0, outside]), c)
        with pytest.raises(ShapeError, match="coefficients has 3 columns"):
            hedging(E2, E2, torch.tensor([0, 1]), torch.ones(3, 3))
        with pytest.raises(ShapeError, match="decoder"):
            hedging(torch.ones(2, 3), E2, torch.tensor([0, 1]), c)
