from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.metrics.draw import SEEDS
from toysae.errors import DataError, ShapeError
from toysae.metrics.chance import Simulated, expected_max_cosine
from toysae.metrics.dictionary import cosine_matrix, max_cosine
from toysae.metrics.nulls import NULLS, NullComparison, null_ladder, reference_null

NAN = math.nan


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def best(a: Tensor, b: Tensor) -> float:
    return max_cosine(a, b).mean_a_to_b


def paired(a: Tensor, b: Tensor) -> float:
    """Mean cosine of row i with row i."""
    return cosine_matrix(a, b).diagonal().nanmean().item()


def drawn(name: str, a: Tensor, b: Tensor, n_draws: int = 3) -> list[Tensor]:
    """What takes the place of `b`, draw by draw."""
    seen: list[Tensor] = []
    null_ladder(lambda _, c: float(seen.append(c) or 0), a, b, [name], n_draws=n_draws)
    assert torch.equal(seen[0], b)
    return seen[1:]


def comparison(value: float, *draws: float) -> NullComparison:
    return NullComparison(value, Simulated(torch.tensor(draws, dtype=torch.float64)))


class TestComparison:
    def test_numbers(self) -> None:
        found = comparison(0.6, 0.1, 0.2, 0.3)
        assert found.mean == pytest.approx(0.2)
        assert found.sd == pytest.approx(0.1)
        assert found.q95 == pytest.approx(0.29)
        assert found.corrected == pytest.approx(0.5)  # (0.6 - 0.2) / 0.8

    @pytest.mark.parametrize(
        ("value", "p"), [(0.31, 0.25), (0.3, 0.5), (0.2, 0.75), (0.15, 0.75), (0.05, 1.0)]
    )
    def test_p_value_counts_ties_and_itself(self, value: float, p: float) -> None:
        assert comparison(value, 0.1, 0.2, 0.3).p_value == p

    def test_p_value_is_of_defined_draws(self) -> None:
        assert comparison(0.5, 0.1, NAN, 0.9).p_value == pytest.approx(2 / 3)

    def test_rounding_is_no_evidence(self) -> None:
        assert comparison(0.3 + 1e-12, 0.3, 0.3, 0.3).p_value == 1

    def test_undefined(self) -> None:
        assert math.isnan(comparison(NAN, 0.1, 0.2).p_value)
        assert math.isnan(comparison(NAN, 0.1, 0.2).corrected)
        for number in ("mean", "sd", "q95", "p_value", "corrected"):
            assert math.isnan(getattr(comparison(0.5, NAN), number))

    def test_a_perfect_null_leaves_nothing_to_correct(self) -> None:
        assert math.isnan(comparison(1.0, 1.0, 1.0 + 1e-12).corrected)
        assert comparison(1.0, 1.0, 0.9).corrected == pytest.approx(1)


class TestNulls:
    A, B = normal(0, 6, 5), normal(1, 9, 5) * torch.arange(9)[:, None]  # the first row is zero

    def test_all_keep_number_and_norms_of_rows(self) -> None:
        norms = self.B.norm(dim=1)
        for name in NULLS:
            for b in drawn(name, self.A, self.B):
                assert not torch.allclose(b, self.B)
                kept = b.norm(dim=1).sort().values if name == "permuted" else b.norm(dim=1)
                expected = norms.sort().values if name == "permuted" else norms
                torch.testing.assert_close(kept, expected)

    def test_draws_differ_from_each_other_and_from_null_to_null(self) -> None:
        draws = [b for name in NULLS for b in drawn(name, self.A, self.B)]
        for i, first in enumerate(draws):
            assert not any(torch.allclose(first, other) for other in draws[:i])

    def test_rotation_keeps_all_cosines_within(self) -> None:
        for b in drawn("rotated", self.A, self.B):
            torch.testing.assert_close(b @ b.T, self.B @ self.B.T)

    def test_rotation_is_uniform(self) -> None:
        """A fixed row goes anywhere on the sphere: every coordinate has mean 0, square 1/3."""
        b = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
        rows = torch.cat(drawn("rotated", b, b, 2000))
        assert rows.mean(dim=0).abs().max() < 5 / math.sqrt(3 * 2000)
        second = rows.T @ rows / 2000
        torch.testing.assert_close(second, torch.eye(3).double() / 3, atol=0.04, rtol=0)

    def test_rotations_and_reflections_are_equally_likely(self) -> None:
        turned = drawn("rotated", torch.eye(3).double(), torch.eye(3).double(), 300)
        proper = sum(float(torch.linalg.det(q)) > 0 for q in turned)
        assert 110 < proper < 190

    def test_permutation_keeps_the_rows(self) -> None:
        for b in drawn("permuted", self.A, self.B):
            first = cosine_matrix(b, self.B).nan_to_num(nan=0)
            assert (first > 1 - 1e-12).sum() == 8
            assert sorted(b[:, 0].tolist()) == sorted(self.B[:, 0].tolist())

    def test_covariance_keeps_mean_and_covariance_of_directions(self) -> None:
        """Rows close to an ellipse around one direction: normalising hardly changes them."""
        spread = torch.tensor([0.001, 0.03, 0.003]).double()
        b = torch.tensor([1.0, 0, 0]) + normal(3, 20_000, 3) * spread
        unit = b / b.norm(dim=1, keepdim=True)
        (made,) = drawn("covariance", b[:2], b, 1)
        made = made / made.norm(dim=1, keepdim=True)
        torch.testing.assert_close(made.mean(0), unit.mean(0), atol=1e-3, rtol=0)
        torch.testing.assert_close(made.T.cov(), unit.T.cov(), rtol=0.05, atol=2e-6)

    def test_covariance_stays_in_the_span(self) -> None:
        plane = torch.cat([normal(2, 30, 2), torch.zeros(30, 3)], dim=1)
        for b in drawn("covariance", self.A, plane):
            assert b[:, 2:].abs().max() < 1e-6

    def test_isotropic_directions_leave_the_span(self) -> None:
        plane = torch.cat([normal(2, 300, 2), torch.zeros(300, 3)], dim=1)
        (b,) = drawn("isotropic", self.A, plane, 1)
        unit = b / b.norm(dim=1, keepdim=True)
        torch.testing.assert_close(
            unit.T @ unit / 300, torch.eye(5).double() / 5, atol=0.06, rtol=0
        )

    def test_dictionary_without_directions(self) -> None:
        for name in NULLS:
            for b in drawn(name, self.A, torch.zeros(3, 5).double()):
                assert not b.any()
            assert drawn(name, self.A, torch.zeros(0, 5).double())[0].shape == (0, 5)


class TestLadder:
    def test_isotropic_level_is_the_formula(self) -> None:
        found = null_ladder(best, normal(0, 30, 8), normal(1, 40, 8), ["isotropic"], n_draws=100)
        level = found["isotropic"]
        expected = expected_max_cosine(8, 40)
        assert level.mean == pytest.approx(expected, abs=5 * level.null.standard_error)

    def test_each_null_has_its_name_in_the_order_that_was_asked_for(self) -> None:
        found = null_ladder(best, normal(0, 3, 4), normal(1, 3, 4), ["rotated", "isotropic"])
        assert list(found) == ["rotated", "isotropic"]
        assert list(null_ladder(best, normal(0, 3, 4), normal(1, 3, 4), n_draws=1)) == list(NULLS)

    def test_found_features_are_beyond_every_null_but_the_order(self) -> None:
        truth = normal(0, 30, 16)
        found = null_ladder(best, truth, truth.flip(0), n_draws=39)
        for name in ("isotropic", "covariance", "rotated"):
            assert found[name].value == pytest.approx(1)
            assert found[name].p_value == 1 / 40
            assert found[name].mean < 0.6
            assert found[name].corrected == pytest.approx(1)
        assert found["permuted"].p_value == 1
        assert found["permuted"].mean == pytest.approx(1)
        assert math.isnan(found["permuted"].corrected)

    def test_order_matters_to_statistics_of_pairs(self) -> None:
        encoder = normal(0, 12, 10)
        decoder = encoder + 0.3 * normal(1, 12, 10)
        found = null_ladder(paired, encoder, decoder, ["permuted"], n_draws=39)["permuted"]
        assert found.value > 0.9
        assert found.p_value == 1 / 40
        assert abs(found.mean) < 0.2

    def test_anisotropy_alone_passes_the_weakest_null_only(self) -> None:
        """Two dictionaries that share nothing but a cone: beyond random directions, and no more."""
        mean = torch.tensor([3.0] + [0.0] * 7).double()
        a, b = mean + normal(0, 40, 8), mean + normal(1, 40, 8)
        found = null_ladder(best, a, b, n_draws=39)
        assert found["isotropic"].p_value == 1 / 40
        assert found["isotropic"].corrected > 0.5
        assert found["covariance"].p_value > 0.05
        assert abs(found["covariance"].corrected) < 0.3

    @given(seed=SEEDS)
    def test_p_values_are_multiples_of_one_over_draws_plus_one(self, seed: int) -> None:
        """With nine draws p is one of 1/10 ... 1."""
        found = null_ladder(best, normal(seed, 4, 3), normal(seed + 10**9, 4, 3), n_draws=9)
        assert all(round(10 * rung.p_value) in range(1, 11) for rung in found.values())

    def test_p_of_independent_dictionaries_is_calibrated(self) -> None:
        p = [
            null_ladder(best, normal(k, 4, 3), normal(10**6 + k, 4, 3), ["rotated"], n_draws=9)[
                "rotated"
            ].p_value
            for k in range(200)
        ]
        assert np.mean(p) == pytest.approx(0.55, abs=5 * 0.287 / math.sqrt(200))

    def test_draws_are_functions_of_seed_null_and_index(self) -> None:
        a, b = normal(0, 3, 4), normal(1, 5, 4)
        long = null_ladder(best, a, b, seed=7, n_draws=6)
        short = null_ladder(best, a, b, ["rotated"], seed=7, n_draws=2)
        assert torch.equal(short["rotated"].null.draws, long["rotated"].null.draws[:2])
        other = null_ladder(best, a, b, ["rotated"], seed=8, n_draws=2)
        assert not torch.equal(short["rotated"].null.draws, other["rotated"].null.draws)

    def test_low_precision_is_raised_first(self) -> None:
        a, b = normal(0, 3, 4).bfloat16(), normal(1, 5, 4).bfloat16()
        low = null_ladder(best, a, b, n_draws=2)
        high = null_ladder(best, a.double(), b.double(), n_draws=2)
        for name in NULLS:
            assert low[name].value == high[name].value
            assert torch.equal(low[name].null.draws, high[name].null.draws)

    def test_undefined_statistics_stay_undefined(self) -> None:
        found = null_ladder(best, normal(0, 2, 3), torch.zeros(2, 3).double(), n_draws=2)
        for level in found.values():
            assert math.isnan(level.value)
            assert level.null.n_defined == 0

    def test_progress_and_refusals(self) -> None:
        a, b = normal(0, 3, 4), normal(1, 5, 4)
        seen: list[tuple[int, int]] = []
        null_ladder(
            best, a, b, ["rotated", "permuted"], n_draws=2, report=lambda *done: seen.append(done)
        )
        assert seen == [(1, 2), (2, 2), (1, 2), (2, 2)]
        with pytest.raises(DataError, match=r"\['shuffled'\] are unknown; known are isotropic"):
            null_ladder(best, a, b, ["isotropic", "shuffled"])
        with pytest.raises(ShapeError, match="n_draws=0"):
            null_ladder(best, a, b, n_draws=0)
        with pytest.raises(ShapeError, match="must be equal"):
            null_ladder(best, a, b[:, :3])
        with pytest.raises(DataError, match="NaN"):
            null_ladder(best, a, b.masked_fill(b > 0, NAN))


class TestReferences:
    def test_each_takes_the_place_of_b(self) -> None:
        axes = torch.eye(3).double()
        half = torch.tensor([[1.0, 1, 0]]).double()
        found = reference_null(best, axes[:1], axes, [half, axes[1:]])
        assert found.value == 1
        assert found.null.draws.tolist() == pytest.approx([math.sqrt(0.5), 0])
        assert found.p_value == pytest.approx(1 / 3)
        assert found.corrected == pytest.approx(1)

    def test_a_latent_that_did_not_learn_is_no_discovery(self) -> None:
        """Weights that hardly left their start agree with it as well as with themselves."""
        start = normal(0, 6, 5)
        final = start + 1e-12 * normal(1, 6, 5)
        assert reference_null(paired, final, final, [start]).p_value == 1

    def test_refusals(self) -> None:
        a = normal(0, 3, 4)
        with pytest.raises(ShapeError, match="n_draws=0"):
            reference_null(best, a, a, [])
        with pytest.raises(ShapeError, match="reference 1 of 3"):
            reference_null(best, a, a, [a, a[:, :3]])
        with pytest.raises(DataError, match="reference 0"):
            reference_null(best, a, a, [a.masked_fill(a > 0, NAN)])
