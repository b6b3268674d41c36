from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import nnls
from sklearn import metrics as sk

from toysae.errors import DataError, ShapeError
from toysae.metrics import recovery

from .draw import SEEDS, normal, rotation, tensor

E4 = torch.eye(4, dtype=torch.float64)
HALF = math.sqrt(0.5)


def best_nonnegative_cosine(latent: np.ndarray, features: np.ndarray, size: int) -> float:
    """Largest cosine with a non-negative sum of at most `size` features, by NNLS over subsets."""
    latent = latent / np.linalg.norm(latent)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    best = -1.0
    for chosen in itertools.combinations(range(len(features)), size):
        _, residual = nnls(features[list(chosen)].T, latent)
        best = max(best, math.sqrt(max(0.0, 1 - residual**2)))
    return max(best, float((features @ latent).max()))


class TestFeatureRecovery:
    def test_one_feature_of_four(self) -> None:
        """Four latents that all equal one feature leave the other three unfound."""
        found = recovery.feature_recovery(E4, E4[:1].expand(4, 4))
        assert found.fraction == 0.25
        assert found.recovered.tolist() == [True, False, False, False]
        assert found.latent.tolist() == [0, 0, 0, 0]

    def test_the_threshold_is_strict(self) -> None:
        assert recovery.feature_recovery(E4, E4, 1.0).fraction == 0
        assert recovery.feature_recovery(E4, E4, 0.999).fraction == 1

    def test_features_come_first(self) -> None:
        assert recovery.feature_recovery(E4, E4[:2]).fraction == 0.5
        assert recovery.feature_recovery(E4[:2], E4).fraction == 1

    def test_an_opposite_latent_is_no_find(self) -> None:
        assert recovery.feature_recovery(E4, -E4).fraction == 0

    def test_dead_latents_find_nothing(self) -> None:
        alive = torch.tensor([True, True, False, False])
        assert recovery.feature_recovery(E4, E4, alive=alive).fraction == 0.5
        none = recovery.feature_recovery(E4, E4, alive=torch.zeros(4, dtype=torch.bool))
        assert math.isnan(none.fraction)
        assert none.n_defined == 0

    def test_messages_name_the_arguments(self) -> None:
        with pytest.raises(ShapeError, match="features has rows of 4 dimensions and decoder of 3"):
            recovery.feature_recovery(E4, torch.ones(2, 3))
        with pytest.raises(DataError, match="decoder: 1 of 4"):
            recovery.feature_recovery(E4, tensor([[1, math.nan, 0, 0]]))


class TestAngleToNearest:
    @given(st.floats(0, 180))
    def test_angle_in_the_plane(self, degrees: float) -> None:
        radians = math.radians(degrees)
        latent = tensor([[3 * math.cos(radians), 3 * math.sin(radians)]])
        angle = recovery.angle_to_nearest(latent, tensor([[2, 0]]))
        assert angle.degrees.item() == pytest.approx(degrees, abs=1e-9)

    def test_tiny_angles_keep_their_digits(self) -> None:
        angle = recovery.angle_to_nearest(tensor([[1, 1e-10]]), tensor([[1, 0]]))
        assert angle.degrees.item() == pytest.approx(math.degrees(1e-10), rel=1e-6)

    def test_the_nearest_is_found(self) -> None:
        angle = recovery.angle_to_nearest(tensor([[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 5]]), E4)
        assert angle.index.tolist() == [-1, 0, 3]
        assert angle.degrees[1:].tolist() == pytest.approx([45, 0])
        assert math.isnan(angle.degrees[0])
        assert angle.mean == pytest.approx(22.5)

    def test_zero_directions_and_dead_latents_are_left_out(self) -> None:
        targets = torch.cat([torch.zeros(1, 4), E4])
        alive = torch.tensor([False, True, True, True])
        angle = recovery.angle_to_nearest(E4, targets, alive=alive)
        assert angle.index.tolist() == [-1, 2, 3, 4]
        assert math.isnan(recovery.angle_to_nearest(E4, E4[:0]).mean)


class TestComposedScore:
    @pytest.mark.parametrize(
        ("latent", "s1", "s2"),
        [
            ([1, 1, 0, 0], 0.707107, 1),
            ([0.8, 0.6, 0, 0], 0.8, 1),
            ([0.95, 0.25, 0.15, 0.111803], 0.95, 0.982344),
            ([1, 1, 1, 0], 0.577350, 0.816497),
            ([1, -1, 0, 0], 0.707107, 0.707107),
            ([0.5, -0.5, 0.5, -0.5], 0.5, 0.707107),
        ],
    )
    def test_golden_scores(self, latent: list[float], s1: float, s2: float) -> None:
        score = recovery.composed_score(tensor([latent]), E4)
        assert score.s1.item() == pytest.approx(s1, abs=1e-6)
        assert score.s2.item() == pytest.approx(s2, abs=1e-6)

    def test_golden_pair_weights(self) -> None:
        # <d, f_i> = .8, <d, f_j> = .7, <f_i, f_j> = .3.
        gram = np.array([[1, 0.3, 0.8], [0.3, 1, 0.7], [0.8, 0.7, 1]])
        rows = torch.from_numpy(np.linalg.cholesky(gram))
        score = recovery.composed_score(rows[2:], rows[:2])
        assert score.s2.item() ** 2 == pytest.approx(0.872527, abs=1e-6)
        assert score.s2.item() == pytest.approx(0.934092, abs=1e-6)
        assert score.weights[0].tolist() == pytest.approx([0.648352, 0.505495], abs=1e-6)
        assert score.pair.tolist() == [[0, 1]]

    def test_golden_best_pair_without_the_best_single(self) -> None:
        features = tensor([[1, 0, 0], [0, 1, 0], [0.6, 0.6, math.sqrt(0.28)]])
        score = recovery.composed_score(tensor([[1, 1, 0]]), features)
        assert score.first.item() == 2
        assert score.s1.item() == pytest.approx(0.848528, abs=1e-6)
        assert score.pair.tolist() == [[0, 1]]
        assert score.s2.item() == pytest.approx(1)

    def test_golden_p_value(self) -> None:
        # The residual (.25, .15, .111803) on e1 has cosine .8006 with e2, and in three dimensions
        # a cosine is uniform on [-1, 1].
        t = 0.25 / math.sqrt(1 - 0.95**2)
        score = recovery.composed_score(tensor([[0.95, 0.25, 0.15, 0.111803]]), E4)
        assert score.p_value.item() == pytest.approx(1 - ((1 + t) / 2) ** 3, abs=1e-5)
        assert not score.is_composed.item()

    @pytest.mark.parametrize(
        ("d", "n", "t", "p"),
        [
            (64, 128, 0.3, 0.639899),
            (64, 128, 0.4, 0.064954),
            (64, 128, 0.5, 0.001644),
            (256, 512, 0.25, 0.013289),
        ],
    )
    def test_golden_p_values_of_large_dictionaries(
        self, d: int, n: int, t: float, p: float
    ) -> None:
        # Features: e1, one with cosine t to the latent's residual e2, and copies of -e2, which
        # are never the best second one.
        e = torch.eye(d, dtype=torch.float64)
        second = t * e[1] + math.sqrt(1 - t * t) * e[2]
        features = torch.cat([e[:1], second[None], (-e[1]).expand(n - 2, d)])
        score = recovery.composed_score(
            (0.95 * e[0] + math.sqrt(1 - 0.95**2) * e[1])[None], features
        )
        assert score.first.item() == 0
        assert score.p_value.item() == pytest.approx(p, abs=1e-6)

    def test_labels(self) -> None:
        latents = tensor([[1, 1, 0, 0], [0, 1, 0, 0], [0.95, 0.25, 0.15, 0.1118], [0, 0, 0, 0]])
        score = recovery.composed_score(latents, E4)
        assert score.is_composed.tolist() == [True, False, False, False]
        assert score.is_decided.tolist() == [True, True, True, False]
        assert score.fraction_composed == pytest.approx(1 / 3)
        assert score.n_decided == 3

    @given(SEEDS, st.integers(2, 5), st.integers(2, 6))
    def test_scores_are_those_of_nonnegative_least_squares(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), normal(seed + 1, 4, d)
        score = recovery.composed_score(latents, features, block=3)
        for j in range(4):
            expected = best_nonnegative_cosine(latents[j].numpy(), features.numpy(), 2)
            # The non-negative fit of a latent that points away from all features is zero.
            if score.s1[j] > 0:
                assert score.s2[j].item() == pytest.approx(expected, abs=1e-7)

    @given(SEEDS, st.integers(2, 5), st.integers(2, 6))
    def test_weights_reach_the_score(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), normal(seed + 1, 4, d)
        score = recovery.composed_score(latents, features)
        unit = features / features.norm(dim=1, keepdim=True)
        assert (score.weights >= 0).all()
        assert (score.s2 >= score.s1).all()
        assert (score.s2 <= 1).all()
        for j in range(4):
            assume(score.s1[j] > 0)
            used = score.pair[j] >= 0
            fit = score.weights[j][used] @ unit[score.pair[j][used]]
            cosine = fit @ latents[j] / (fit.norm() * latents[j].norm())
            assert cosine.item() == pytest.approx(score.s2[j].item(), abs=1e-7)

    @given(SEEDS, st.integers(3, 5), st.integers(2, 6))
    def test_rotation_changes_nothing(self, seed: int, d: int, n: int) -> None:
        features, latents, q = normal(seed, n, d), normal(seed + 1, 4, d), rotation(seed + 2, d)
        before = recovery.composed_score(latents, features)
        after = recovery.composed_score(latents @ q, features @ q)
        assert torch.allclose(before.s2, after.s2)
        assert torch.allclose(before.p_value, after.p_value, atol=1e-8)

    @given(SEEDS, st.integers(1, 5), st.integers(1, 6))
    def test_features_themselves_are_single(self, seed: int, d: int, n: int) -> None:
        features = normal(seed, n, d)
        score = recovery.composed_score(features, features)
        assert torch.allclose(score.s1, torch.ones_like(score.s1))
        assert (score.pair[:, 1] == -1).all()
        assert not score.is_composed.any()
        assert score.is_decided.all()
        assert torch.isnan(score.p_value).all()

    def test_a_single_feature_wins_over_an_equal_pair(self) -> None:
        # f2 is exactly .6 f1 + .8 f3.
        score = recovery.composed_score(
            tensor([[0.6, 0.8, 0]]), tensor([[1, 0, 0], [0.6, 0.8, 0], [0, 1, 0]])
        )
        assert score.pair.tolist() == [[1, -1]]

    def test_p_value_is_uniform_where_the_residual_is_random(self) -> None:
        rng = np.random.default_rng(0)
        d, n = 8, 5
        p_values = []
        for _ in range(1000):
            features, noise = rng.normal(size=(n, d)), rng.normal(size=d)
            first = features[0] / np.linalg.norm(features[0])
            noise -= noise @ first * first
            latent = 0.99 * first + math.sqrt(1 - 0.99**2) * noise / np.linalg.norm(noise)
            score = recovery.composed_score(*map(torch.from_numpy, (latent[None], features)))
            assert score.first.item() == 0
            p_values.append(score.p_value.item())
        assert stats.kstest(p_values, "uniform").pvalue > 0.01

    @pytest.mark.parametrize("d", [1, 2])
    def test_too_few_dimensions_for_a_p_value(self, d: int) -> None:
        score = recovery.composed_score(torch.ones(1, d), torch.eye(d))
        assert math.isnan(score.p_value.item())
        assert score.is_decided.item() == (d == 1)
        assert not score.is_composed.item()

    def test_undecided_latents_are_not_in_the_share(self) -> None:
        score = recovery.composed_score(tensor([[1, 1]]), tensor([[1, 0], [0, 1]]))
        assert score.s2.item() == pytest.approx(1)
        assert score.n_decided == 0
        assert math.isnan(score.fraction_composed)

    def test_duplicate_features_are_no_pair_and_no_candidates(self) -> None:
        score = recovery.composed_score(tensor([[1, 0.3, 0, 0]]), E4[:1].expand(3, 4))
        assert score.s2.item() == score.s1.item()
        assert math.isnan(score.p_value.item())

    def test_zero_and_missing_rows(self) -> None:
        features = torch.cat([torch.zeros(1, 4), E4])
        score = recovery.composed_score(tensor([[1, 1, 0, 0], [0, 0, 0, 0]]), features)
        assert score.pair.tolist() == [[1, 2], [-1, -1]]
        assert math.isnan(score.s1[1])
        none = recovery.composed_score(E4, E4[:0])
        assert torch.isnan(none.s1).all()
        assert (none.pair == -1).all()
        assert recovery.composed_score(E4[:0], E4).s1.shape == (0,)
        dead = recovery.composed_score(E4, E4, alive=torch.tensor([True, False, True, True]))
        assert dead.first.tolist() == [0, -1, 2, 3]


class TestMonosemanticity:
    def test_golden(self) -> None:
        responses = tensor([[3, 1, 0, 0.7], [0, 1, 0, 0.2], [0, 1, 0, 0.1], [0, 1, 0, 0]])
        result = recovery.monosemanticity(responses)
        assert result.score[[0, 1, 3]].tolist() == pytest.approx([1, 0.25, 0.7])
        assert result.feature.tolist() == [0, 0, -1, 0]
        assert result.n_silent == 1
        assert result.mean == pytest.approx(0.65)
        assert result.published_mean == pytest.approx(0.4875)

    @given(SEEDS, st.integers(1, 6), st.integers(1, 6))
    def test_between_alike_and_alone(self, seed: int, n: int, m: int) -> None:
        score = recovery.monosemanticity(normal(seed, n, m).abs() + 0.01).score
        assert (score <= 1).all()
        assert (score >= 1 / n - 1e-6).all()

    def test_nothing_to_respond_to(self) -> None:
        empty = recovery.monosemanticity(torch.ones(0, 2))
        assert torch.isnan(empty.score).all()
        assert empty.feature.tolist() == [-1, -1]
        assert math.isnan(recovery.monosemanticity(torch.ones(2, 0)).published_mean)

    def test_negative_responses_are_refused(self) -> None:
        with pytest.raises(DataError, match="negative"):
            recovery.monosemanticity(tensor([[1, -1]]))


class TestDetection:
    C = tensor([[0], [0], [0], [0], [1], [2], [0.5], [1.5]])
    NAN = math.nan

    @pytest.mark.parametrize(
        ("latent", "precision", "recall", "f1", "phi"),
        [
            ([0, 0, 0, 0, 0.8, 1.6, 0.4, 1.2], 1, 1, 1, 1),
            ([0.3, 0, 0, 0.1, 0.9, 1.6, 0.4, 1.2], 0.666667, 1, 0.8, 0.577350),
            ([0, 0, 0, 0, 1, 2, 0, 0], 1, 0.5, 0.666667, 0.577350),
            ([0, 0.6, 0, 0, 1, 0, 0.2, 1.1], 0.75, 0.75, 0.75, 0.5),
            ([0, 0, 0, 0, 0, 0, 0, 0], NAN, 0, 0, NAN),
            ([0.1, 0.1, 0.1, 0.1, 1, 2, 0.5, 1.5], 0.5, 1, 0.666667, NAN),
        ],
    )
    def test_golden(
        self, latent: list[float], precision: float, recall: float, f1: float, phi: float
    ) -> None:
        table = recovery.detection(self.C, tensor(latent)[:, None])
        found = [x.item() for x in (table.precision, table.recall, table.f1, table.phi)]
        assert found == pytest.approx([precision, recall, f1, phi], abs=1e-6, nan_ok=True)

    def test_golden_four_latents_on_one_feature(self) -> None:
        """Per latent all is perfect; per feature one of four is detected."""
        coefficients = torch.cat([E4, E4])
        table = recovery.detection(coefficients, coefficients[:, :1].expand(8, 4))
        assert table.best_f1_per_latent.tolist() == [1, 1, 1, 1]
        assert table.best_feature.tolist() == [0, 0, 0, 0]
        assert table.best_f1_per_feature.tolist() == [1, 0, 0, 0]
        assert table.mean_best_f1_per_feature == 0.25

    @settings(max_examples=10)
    @given(SEEDS, st.integers(2, 40))
    def test_tables_are_sklearns(self, seed: int, n_samples: int) -> None:
        coefficients = normal(seed, n_samples, 3).clamp(min=0)
        latents = normal(seed + 1, n_samples, 4)
        table = recovery.detection(coefficients, latents, threshold=0.5)
        for i, j in itertools.product(range(3), range(4)):
            y, fired = coefficients[:, i] > 0, latents[:, j].abs() > 0.5
            for found, score in (
                (table.precision, sk.precision_score),
                (table.recall, sk.recall_score),
                (table.f1, sk.f1_score),
            ):
                expected = score(y, fired, zero_division=np.nan)
                assert found[i, j].item() == pytest.approx(expected, nan_ok=True)
            if 0 < y.sum() < n_samples and 0 < fired.sum() < n_samples:
                expected = sk.matthews_corrcoef(y, fired)
                assert table.phi[i, j].item() == pytest.approx(expected)
            else:
                assert math.isnan(table.phi[i, j])

    def test_dead_latents_and_absent_features_have_no_partner(self) -> None:
        table = recovery.detection(torch.zeros(5, 2), torch.zeros(5, 3))
        assert torch.isnan(table.f1).all()
        assert table.best_latent.tolist() == [-1, -1]
        assert table.best_feature.tolist() == [-1, -1, -1]
        none = recovery.detection(torch.ones(5, 2), torch.ones(5, 0))
        assert torch.isnan(none.best_f1_per_feature).all()
        assert none.best_f1_per_latent.shape == (0,)

    def test_different_samples_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 5 samples and latents has 4"):
            recovery.detection(torch.ones(5, 2), torch.ones(4, 2))
        with pytest.raises(DataError, match="NaN"):
            recovery.detection(torch.ones(1, 2), tensor([[math.nan]]))
