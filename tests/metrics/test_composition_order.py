from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import nnls
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import composition
from toysae.metrics._composition import subsets
from toysae.metrics._composition.residual import beyond, chance

from .draw import SEEDS, normal, rotation, tensor

E4 = torch.eye(4, dtype=torch.float64)
GOLDEN = tensor(
    [
        [1, 1, 0, 0],
        [0.8, 0.6, 0, 0],
        [0.95, 0.25, 0.15, 0.111803],
        [1, 1, 1, 0],
        [1, -1, 0, 0],
        [0.5, -0.5, 0.5, -0.5],
    ]
)
BOTH = pytest.mark.parametrize(
    "fitted", [composition.exact_composition, composition.greedy_composition]
)


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def brute_force(latent: np.ndarray, features: np.ndarray, size: int) -> float:
    """Largest cosine with a non-negative sum of at most `size` features; needs a positive one."""
    best = float((features @ latent).max())
    for chosen in itertools.combinations(range(len(features)), min(size, len(features))):
        _, error = nnls(features[list(chosen)].T, latent)
        best = max(best, math.sqrt(max(0.0, 1 - error**2)))
    return best


class TestGoldenScores:
    @BOTH
    def test_scores(self, fitted) -> None:
        found = fitted(GOLDEN, E4, 4).scores
        expected = [
            [0.707107, 1, 1, 1],
            [0.8, 1, 1, 1],
            [0.95, 0.982344, 0.993730, 1],
            [0.577350, 0.816497, 1, 1],
            [0.707107] * 4,
            [0.5, 0.707107, 0.707107, 0.707107],
        ]
        assert torch.allclose(found, tensor(expected), rtol=0, atol=1e-6)

    @BOTH
    def test_energy(self, fitted) -> None:
        energy = fitted(GOLDEN[:4], E4, 4).energy
        assert energy.shares[0].tolist() == pytest.approx([0.5, 0.5, 0, 0])
        assert energy.shares[1].tolist() == pytest.approx([0.64, 0.36, 0, 0])
        assert energy.entropy.tolist() == pytest.approx(
            [0.693147, 0.653418, 0.406017, 1.098612], abs=1e-6
        )
        assert energy.effective_order.tolist() == pytest.approx(
            [2, 1.922100, 1.500828, 3], abs=1e-6
        )
        assert energy.participation.tolist() == pytest.approx([2, 1.854599, 1.220889, 3], abs=1e-6)

    @BOTH
    def test_orders(self, fitted) -> None:
        # In four dimensions the two others of (1, 1, 1, 0) beat chance only together.
        fits = fitted(GOLDEN, E4, 4)
        assert fits.order.tolist() == [2, 2, 1, 0, 0, 0]
        assert fits.is_composed.tolist() == [True, True, False, False, False, False]
        assert fits.fraction_composed == pytest.approx(1 / 3)
        assert fits.fraction_unexplained == 0.5
        assert fits.n_defined == 6

    @BOTH
    def test_atoms_and_weights(self, fitted) -> None:
        fits = fitted(GOLDEN[1:2], E4, 3)
        assert fits.atoms[0].tolist() == [[0, -1, -1], [0, 1, -1], [0, 1, -1]]
        assert fits.weights[0].flatten().tolist() == pytest.approx(
            [0.8, 0, 0, 0.8, 0.6, 0, 0.8, 0.6, 0]
        )

    @BOTH
    def test_p_values(self, fitted) -> None:
        # A cosine is uniform on [-1, 1] in three dimensions; beyond e1 and e2 a plane is left,
        # where P(cos < t) = 1 - arccos(t) / pi.
        fits = fitted(tensor([[0.95, 0.25, 0.15, math.sqrt(0.0125)]]), E4, 3)
        a = 0.25 / math.sqrt(1 - 0.95**2)
        b = 0.15 / math.sqrt(0.15**2 + 0.0125)
        assert fits.p_values[0, 1].item() == pytest.approx(1 - ((1 + a) / 2) ** 3, abs=1e-6)
        assert fits.p_values[0, 2].item() == pytest.approx(
            1 - (1 - math.acos(b) / math.pi) ** 2, abs=1e-6
        )
        three = fitted(tensor([[0.6, 0.8, 0]]), torch.eye(3), 1)
        assert three.p_values.item() == pytest.approx(1 - 0.9**3)

    @BOTH
    def test_three_features_in_many_dimensions(self, fitted) -> None:
        e = torch.eye(30, dtype=torch.float64)
        latents = torch.stack([e[0] + e[1] + e[2], e[0] + e[1] + e[2] + e[3], e[4]])
        fits = fitted(latents, e, 3)
        assert fits.order.tolist() == [3, 0, 1]
        assert fits.is_composed.tolist() == [True, False, False]
        assert fits.atoms[0, 2].tolist() == [0, 1, 2]


class TestOrder:
    @BOTH
    @given(seed=SEEDS, d=st.integers(1, 5), n=st.integers(1, 6))
    def test_features_are_of_order_one(self, fitted, seed: int, d: int, n: int) -> None:
        features = normal(seed, n, d)
        fits = fitted(features, features, 3)
        assert (fits.order == 1).all()
        assert fits.fraction_composed == 0
        assert fits.fraction_unexplained == 0

    @BOTH
    def test_the_smallest_order_wins(self, fitted) -> None:
        """f2 = (.6, .8) equals .6 f1 + .8 f3."""
        fits = fitted(tensor([[0.6, 0.8]]), tensor([[1, 0], [0.6, 0.8], [0, 1]]), 2)
        assert fits.order.tolist() == [1]
        assert fits.atoms[0].tolist() == [[1, -1], [1, -1]]

    @BOTH
    def test_needed_p_values_that_are_undefined_leave_it_open(self, fitted) -> None:
        plane = fitted(tensor([[1, 1], [1, 0], [0, 0]]), torch.eye(2), 2)
        assert plane.order.tolist() == [composition.UNDEFINED, 1, composition.UNDEFINED]
        assert plane.n_defined == 1
        assert plane.fraction_composed == 0

    @BOTH
    def test_the_tolerance_is_reached_at_its_end(self, fitted) -> None:
        fits = fitted(tensor([[0.6, 0.8]]), torch.eye(2), 1, tolerance=0.2)
        assert fits.order.tolist() == [1]
        assert fitted(tensor([[0.6, 0.8]]), torch.eye(2), 1, tolerance=0.19).order.tolist() == [0]

    def test_labels_need_every_condition(self) -> None:
        """s_2 - s_1 > .05, the second feature not by chance, and together enough."""

        def made(scores: list[float], p: list[float]) -> composition.Composition:
            k = len(scores)
            return composition.Composition(
                tensor([scores]),
                torch.zeros(1, k, k, dtype=torch.long),
                torch.zeros(1, k, k),
                tensor([p]),
                0.05,
            )

        assert made([0.89, 0.96], [0.5, 0.009]).is_composed.item()
        assert not made([0.92, 0.96], [0, 0]).is_composed.item()
        assert made([0.92, 0.96], [0, 0]).order.item() == 2
        assert made([0, 0.95], [0, 0]).order.item() == 2
        assert made([0.89, 0.96], [0, 0.01]).order.item() == composition.UNEXPLAINED
        assert made([0.8, 0.94], [0, 0]).order.item() == composition.UNEXPLAINED
        assert made([0.5, 0.8, 0.96], [0, 0, 0.02]).order.item() == composition.UNEXPLAINED
        assert made([0.5, 0.8, 0.96], [0, 0.02, 0]).order.item() == composition.UNEXPLAINED
        assert made([0.5, 0.8, 0.96], [0, 0, math.nan]).order.item() == composition.UNDEFINED
        assert made([0.5, 0.8, 0.96], [0, 0.02, math.nan]).order.item() == composition.UNEXPLAINED
        assert made([0.5, 0.8, 0.96], [0.9, 0, 0]).order.item() == 3
        assert made([0.5, 0.97, 0.99], [0.9, 0, 0.9]).order.item() == 2
        assert made([0.96], [0.9]).order.item() == 1
        assert not made([0.96], [0.9]).is_composed.item()

    @BOTH
    def test_nothing_to_explain_or_to_explain_with(self, fitted) -> None:
        none = fitted(E4, E4[:0], 3)
        assert torch.isnan(none.scores).all()
        assert (none.order == composition.UNDEFINED).all()
        assert math.isnan(none.fraction_composed)
        assert math.isnan(none.fraction_unexplained)
        assert fitted(E4[:0], E4, 3).scores.shape == (0, 3)
        alive = torch.tensor([True, False, True, True])
        assert fitted(E4, E4, 2, alive=alive).order.tolist() == [1, -1, 1, 1]
        zero = fitted(E4[:1], torch.cat([torch.zeros(1, 4), E4[:1]]), 3)
        assert zero.atoms[0, 2].tolist() == [1, -1, -1]

    @BOTH
    def test_bad_input_is_refused(self, fitted) -> None:
        with pytest.raises(ShapeError, match="max_order=0"):
            fitted(E4, E4, 0)
        with pytest.raises(DataError, match="features"):
            fitted(E4, tensor([[math.inf, 0, 0, 0]]))

    def test_the_first_of_equal_subsets_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(subsets, "_ENTRIES_AT_ONCE", 1)
        found = composition.exact_composition(torch.ones(1, 4).double(), E4, 3)
        assert found.atoms[0].tolist() == [[0, -1, -1], [0, 1, -1], [0, 1, 2]]

    def test_too_many_subsets_are_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"1000 features .* greedy_composition"):
            composition.exact_composition(torch.ones(1, 2), torch.ones(1000, 2), 3)
        assert composition.exact_composition(torch.ones(1, 2), torch.ones(1000, 2), 2).order == 1


class TestScoresAreBestFits:
    @settings(max_examples=25)
    @given(SEEDS, st.integers(2, 5), st.integers(1, 6), st.integers(1, 4))
    def test_exact_is_brute_force(self, seed: int, d: int, n: int, order: int) -> None:
        features, latents = unit(normal(seed, n, d)), unit(normal(seed + 1, 3, d))
        scores = composition.exact_composition(latents, features, order).scores
        for j, k in itertools.product(range(3), range(1, order + 1)):
            if scores[j, 0] > 0:
                expected = brute_force(latents[j].numpy(), features.numpy(), k)
                assert scores[j, k - 1].item() == pytest.approx(expected, abs=1e-7)

    @settings(max_examples=25)
    @given(SEEDS, st.integers(2, 5), st.integers(1, 7))
    def test_greedy_never_exceeds_exact_and_starts_with_it(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), normal(seed + 1, 4, d)
        exact = composition.exact_composition(latents, features, 4).scores
        greedy = composition.greedy_composition(latents, features, 4).scores
        assert torch.equal(exact[:, :2], greedy[:, :2])
        assert (greedy <= exact + 1e-9).all()

    def test_greedy_can_fall_short(self) -> None:
        features, latents = normal(0, 20, 8), normal(1, 50, 8)
        exact = composition.exact_composition(latents, features, 3).scores[:, 2]
        greedy = composition.greedy_composition(latents, features, 3).scores[:, 2]
        assert (exact - greedy).max() > 0.01

    def test_greedy_adds_the_best_single_feature(self) -> None:
        """Also where the one that promises most must have a negative weight."""
        features, latents = unit(normal(0, 14, 5)), unit(normal(1, 120, 5))
        fits = composition.greedy_composition(latents, features, 4)
        for j, k in itertools.product(range(120), (2, 3)):
            used = [i for i in fits.atoms[j, k - 1].tolist() if i >= 0]
            if fits.scores[j, 0] <= 0:
                continue
            errors = [
                nnls(features[[*used, i]].T.numpy(), latents[j].numpy())[1]
                for i in set(range(14)) - set(used)
            ]
            best = max(math.sqrt(max(0, 1 - min(errors) ** 2)), fits.scores[j, k - 1].item())
            assert fits.scores[j, k].item() == pytest.approx(best, abs=1e-7)

    @BOTH
    @settings(max_examples=25)
    @given(seed=SEEDS, d=st.integers(1, 5), n=st.integers(1, 6))
    def test_weights_reach_the_scores(self, fitted, seed: int, d: int, n: int) -> None:
        features, latents = unit(normal(seed, n, d)), unit(normal(seed + 1, 3, d))
        fits = fitted(latents, features, 3)
        assert (fits.weights >= 0).all()
        assert (fits.scores.diff(dim=1) >= 0).all()
        assert (fits.scores <= 1).all()
        p = fits.p_values[~fits.p_values.isnan()]
        assert ((p >= 0) & (p <= 1)).all()
        for j, k in itertools.product(range(3), range(3)):
            used = fits.atoms[j, k] >= 0
            assert (fits.atoms[j, k][used].diff() > 0).all()
            assert (fits.weights[j, k][~used] == 0).all()
            if fits.scores[j, 0] > 0:
                fit = fits.weights[j, k][used] @ features[fits.atoms[j, k][used]]
                cosine = fit @ latents[j] / fit.norm()
                assert cosine.item() == pytest.approx(fits.scores[j, k].item(), abs=1e-6)

    @BOTH
    @settings(max_examples=25)
    @given(seed=SEEDS, d=st.integers(3, 5), n=st.integers(1, 6))
    def test_rotation_changes_nothing(self, fitted, seed: int, d: int, n: int) -> None:
        features, latents, q = normal(seed, n, d), normal(seed + 1, 4, d), rotation(seed + 2, d)
        before, after = fitted(latents, features, 3), fitted(latents @ q, features @ q, 3)
        assert torch.allclose(before.scores, after.scores)
        assert torch.equal(before.order, after.order)

    @BOTH
    def test_blocks_are_reported_and_change_nothing(self, fitted) -> None:
        features, latents = normal(0, 6, 5), normal(1, 7, 5)
        seen: list[tuple[int, int]] = []
        parts = fitted(latents, features, 3, block=4, report=lambda *done: seen.append(done))
        assert seen == [(1, 2), (2, 2)]
        assert torch.allclose(parts.scores, fitted(latents, features, 3).scores)


class TestPValue:
    def test_uniform_beyond_two_features(self) -> None:
        """Kolmogorov-Smirnov at level 0.001: one run in a thousand seeds would fail by chance.

        Beyond two given features the residual is random; the p-value of the third is uniform.
        """
        d, n, runs = 7, 6, 1500
        rng = np.random.default_rng(3)
        found = []
        for _ in range(runs):
            features = unit(torch.from_numpy(rng.normal(size=(n, d))))
            plane = torch.linalg.qr(features[:2].T).Q
            noise = torch.from_numpy(rng.normal(size=d))
            noise -= plane @ (plane.T @ noise)
            latent = unit((features[0] + features[1] + noise)[None])
            left = beyond(
                latent, features, torch.tensor([[0, 1]]), torch.ones(1, n, dtype=torch.bool)
            )
            assert left.n_candidates.item() == n - 2
            assert left.dimensions.item() == d - 2
            found.append(chance(left).item())
        assert stats.kstest(found, "uniform").pvalue > 0.001


class TestEnergy:
    @given(SEEDS, st.integers(1, 6), st.integers(1, 5))
    def test_shares_add_up_and_orders_are_ordered(self, seed: int, m: int, k: int) -> None:
        energy = composition.energy(normal(seed, m, k))
        assert torch.allclose(energy.shares.sum(dim=1), torch.ones(m, dtype=torch.float64))
        assert (energy.participation >= 1 - 1e-12).all()
        assert (energy.effective_order >= energy.participation - 1e-12).all()
        assert (energy.effective_order <= k + 1e-12).all()
        assert (energy.entropy >= 0).all()
        mirrored = composition.energy(normal(seed, m, k).abs().neg())
        assert torch.equal(mirrored.shares, energy.shares)

    def test_a_single_feature_has_all_the_energy_whatever_its_sign(self) -> None:
        assert composition.energy(tensor([[-2, 0], [0, -3]])).shares.tolist() == [[1, 0], [0, 1]]

    def test_latents_without_weights_are_undefined(self) -> None:
        energy = composition.energy(tensor([[0, 0], [math.nan, 1], [3e200, 4e200], [1e-200, 0]]))
        assert torch.isnan(energy.entropy).tolist() == [True, True, False, False]
        assert torch.isnan(energy.participation).tolist() == [True, True, False, False]
        assert energy.shares[2].tolist() == pytest.approx([0.36, 0.64])
        assert energy.mean_participation == pytest.approx((1 / (0.36**2 + 0.64**2) + 1) / 2)
        assert energy.mean_effective_order > 1
        assert torch.isnan(composition.energy(torch.ones(2, 0)).entropy).all()
        with pytest.raises(ShapeError, match="weights"):
            composition.energy(torch.ones(2))
        with pytest.raises(DataError, match="weights"):
            composition.energy(tensor([[math.inf]]))


class TestShapleyShares:
    def test_golden_coherent_pair(self) -> None:
        # a = .8, b = .7, r = .3: R^2 = .872527; ((.64 + .872527 - .49) / 2, (.49 + ... - .64) / 2).
        gram = np.array([[1, 0.3, 0.8], [0.3, 1, 0.7], [0.8, 0.7, 1]])
        rows = torch.from_numpy(np.linalg.cholesky(gram))
        shares = composition.shapley_shares(rows[2:], rows[:2], torch.tensor([[0, 1]]))
        assert shares[0].tolist() == pytest.approx([0.5112637, 0.3612637], abs=1e-6)

    def test_without_features_there_is_no_share(self) -> None:
        latents, nobody = tensor([[1, 0], [0, 0]]), torch.full((2, 2), -1)
        shares = composition.shapley_shares(latents, latents[:0], nobody)
        assert shares[0].tolist() == [0, 0]
        assert shares[1].isnan().all()

    def test_orthogonal_features_share_as_their_squares(self) -> None:
        atoms = torch.tensor([[0, 1, 2, 3]] * 6)
        shares = composition.shapley_shares(GOLDEN, E4, atoms)
        assert torch.allclose(shares, unit(GOLDEN).square())

    @given(SEEDS, st.integers(1, 5), st.integers(1, 4))
    def test_they_add_up_to_r_squared(self, seed: int, d: int, k: int) -> None:
        features, latents = normal(seed, k, d), unit(normal(seed + 1, 2, d))
        shares = composition.shapley_shares(latents, features, torch.arange(k).expand(2, k))
        for j in range(2):
            _, error, _, _ = np.linalg.lstsq(features.T.numpy(), latents[j].numpy(), rcond=None)
            explained = 1 - (error.item() if len(error) else 0)
            assert shares[j].sum().item() == pytest.approx(explained, abs=1e-8)

    def test_up_to_twelve_features(self) -> None:
        shares = composition.shapley_shares(
            torch.ones(1, 12), torch.eye(12), torch.arange(12)[None]
        )
        assert shares[0].tolist() == pytest.approx([1 / 12] * 12)

    def test_missing_features_have_no_share(self) -> None:
        shares = composition.shapley_shares(
            tensor([[1, 1, 0, 0], [0, 0, 0, 0]]), E4, torch.tensor([[0, -1], [0, 1]])
        )
        assert shares[0].tolist() == pytest.approx([0.5, 0])
        assert torch.isnan(shares[1]).all()

    def test_bad_atoms_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="atoms from 0 to 4"):
            composition.shapley_shares(E4[:1], E4, torch.tensor([[0, 4]]))
        for shape in ((1, 13), (2, 1), (1,), (1, 1, 1)):
            with pytest.raises(ShapeError, match="at most 12"):
                composition.shapley_shares(E4[:1], E4, torch.zeros(shape, dtype=torch.long))
