from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.optimize import nnls
from sklearn.linear_model import orthogonal_mp
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import composition
from toysae.metrics._composition import feature_pairs

from .draw import SEEDS, normal, rotation, tensor

E4 = torch.eye(4, dtype=torch.float64)
HALF = math.sqrt(0.5)


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def best_nonnegative_cosine(latent: np.ndarray, features: np.ndarray, size: int) -> float:
    """Largest cosine with a non-negative sum of at most `size` features, by NNLS over subsets."""
    latent = latent / np.linalg.norm(latent)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    best = -1.0
    for chosen in itertools.combinations(range(len(features)), size):
        _, residual = nnls(features[list(chosen)].T, latent)
        best = max(best, math.sqrt(max(0.0, 1 - residual**2)))
    return max(best, float((features @ latent).max()))


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
        score = composition.composed_score(tensor([latent]), E4)
        assert score.s1.item() == pytest.approx(s1, abs=1e-6)
        assert score.s2.item() == pytest.approx(s2, abs=1e-6)

    def test_golden_pair_weights(self) -> None:
        # <d, f_i> = .8, <d, f_j> = .7, <f_i, f_j> = .3.
        gram = np.array([[1, 0.3, 0.8], [0.3, 1, 0.7], [0.8, 0.7, 1]])
        rows = torch.from_numpy(np.linalg.cholesky(gram))
        score = composition.composed_score(rows[2:], rows[:2])
        assert score.s2.item() ** 2 == pytest.approx(0.872527, abs=1e-6)
        assert score.s2.item() == pytest.approx(0.934092, abs=1e-6)
        assert score.weights[0].tolist() == pytest.approx([0.648352, 0.505495], abs=1e-6)
        assert score.pair.tolist() == [[0, 1]]

    def test_golden_best_pair_without_the_best_single(self) -> None:
        features = tensor([[1, 0, 0], [0, 1, 0], [0.6, 0.6, math.sqrt(0.28)]])
        score = composition.composed_score(tensor([[1, 1, 0]]), features)
        assert score.first.item() == 2
        assert score.s1.item() == pytest.approx(0.848528, abs=1e-6)
        assert score.pair.tolist() == [[0, 1]]
        assert score.s2.item() == pytest.approx(1)

    def test_golden_p_value(self) -> None:
        # The residual (.25, .15, .111803) on e1 has cosine .8006 with e2, and in three dimensions
        # a cosine is uniform on [-1, 1].
        t = 0.25 / math.sqrt(1 - 0.95**2)
        score = composition.composed_score(tensor([[0.95, 0.25, 0.15, math.sqrt(0.0125)]]), E4)
        assert score.p_value.item() == pytest.approx(1 - ((1 + t) / 2) ** 3, abs=1e-6)
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
        score = composition.composed_score(
            (0.95 * e[0] + math.sqrt(1 - 0.95**2) * e[1])[None], features
        )
        assert score.first.item() == 0
        assert score.p_value.item() == pytest.approx(p, abs=1e-6)

    def test_labels(self) -> None:
        latents = tensor([[1, 1, 0, 0], [0, 1, 0, 0], [0.95, 0.25, 0.15, 0.1118], [0, 0, 0, 0]])
        score = composition.composed_score(latents, E4)
        assert score.is_composed.tolist() == [True, False, False, False]
        assert score.is_decided.tolist() == [True, True, True, False]
        assert score.fraction_composed == pytest.approx(1 / 3)
        assert score.gain[0].item() == pytest.approx(1 - HALF)
        assert score.n_decided == 3

    def test_a_label_needs_more_than_the_least_gain_and_less_than_the_largest_p_value(self) -> None:
        one, pair = torch.zeros(4), torch.zeros(4, 2, dtype=torch.long)
        gain, p = tensor([0.05, 0.05, 0.06, 0.06]), tensor([0, math.nan, 0.01, 0.009])
        score = composition.ComposedScore(one, pair[:, 0], gain, pair, torch.ones(4, 2), p)
        assert score.is_composed.tolist() == [False, False, False, True]
        assert score.is_decided.tolist() == [True, True, True, True]
        weights = tensor([[1, -1]] * 4)
        signed = composition.AntiComposedScore(one, gain, pair, weights, p)
        assert signed.is_anti_composed.tolist() == [False, False, False, True]
        assert signed.is_decided.tolist() == [True, True, True, True]

    @given(SEEDS, st.integers(2, 5), st.integers(2, 6))
    def test_scores_are_those_of_nonnegative_least_squares(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), normal(seed + 1, 4, d)
        score = composition.composed_score(latents, features, block=3)
        for j in range(4):
            expected = best_nonnegative_cosine(latents[j].numpy(), features.numpy(), 2)
            # The non-negative fit of a latent that points away from all features is zero.
            if score.s1[j] > 0:
                assert score.s2[j].item() == pytest.approx(expected, abs=1e-7)

    @given(SEEDS, st.integers(2, 5), st.integers(2, 6))
    def test_weights_reach_the_score(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), normal(seed + 1, 4, d)
        score = composition.composed_score(latents, features)
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
        before = composition.composed_score(latents, features)
        after = composition.composed_score(latents @ q, features @ q)
        assert torch.allclose(before.s2, after.s2)
        assert torch.allclose(before.p_value, after.p_value, atol=1e-8)

    @given(SEEDS, st.integers(1, 5), st.integers(1, 6))
    def test_features_themselves_are_single(self, seed: int, d: int, n: int) -> None:
        features = normal(seed, n, d)
        score = composition.composed_score(features, features)
        assert torch.allclose(score.s1, torch.ones_like(score.s1))
        assert (score.pair[:, 1] == -1).all()
        assert not score.is_composed.any()
        assert score.is_decided.all()
        assert torch.isnan(score.p_value).all()

    def test_a_single_feature_wins_over_an_equal_pair(self) -> None:
        # f2 is exactly .6 f1 + .8 f3.
        score = composition.composed_score(
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
            score = composition.composed_score(*map(torch.from_numpy, (latent[None], features)))
            assert score.first.item() == 0
            p_values.append(score.p_value.item())
        assert stats.kstest(p_values, "uniform").pvalue > 0.01

    @settings(max_examples=15)
    @given(SEEDS, st.integers(3, 10), st.integers(2, 8))
    def test_p_value_is_uniform_in_any_world(self, seed: int, d: int, n: int) -> None:
        """Kolmogorov-Smirnov at level 1e-6: one run of this test in 67,000 fails by chance."""
        rng = np.random.default_rng(seed)
        p_values = []
        for _ in range(150):
            features, noise = unit(torch.from_numpy(rng.normal(size=(n, d)))), rng.normal(size=d)
            first = features[0].numpy()
            noise -= noise @ first * first
            latent = torch.from_numpy(first + 1e-3 * noise / np.linalg.norm(noise))
            score = composition.composed_score(latent[None], features)
            # Another feature is nearer to the latent with a chance of at most 1e-6 in 3 dimensions.
            assert score.first.item() == 0
            p_values.append(score.p_value.item())
        assert stats.kstest(p_values, "uniform").pvalue > 1e-6

    @pytest.mark.parametrize("d", [1, 2])
    def test_too_few_dimensions_for_a_p_value(self, d: int) -> None:
        score = composition.composed_score(torch.ones(1, d), torch.eye(d))
        assert math.isnan(score.p_value.item())
        assert score.is_decided.item() == (d == 1)
        assert not score.is_composed.item()

    def test_undecided_latents_are_not_in_the_share(self) -> None:
        score = composition.composed_score(tensor([[1, 1]]), tensor([[1, 0], [0, 1]]))
        assert score.s2.item() == pytest.approx(1)
        assert score.n_decided == 0
        assert math.isnan(score.fraction_composed)

    def test_duplicate_features_are_no_pair_and_no_candidates(self) -> None:
        score = composition.composed_score(tensor([[1, 0.3, 0, 0]]), E4[:1].expand(3, 4))
        assert score.s2.item() == score.s1.item()
        assert math.isnan(score.p_value.item())

    def test_zero_and_missing_rows(self) -> None:
        features = torch.cat([torch.zeros(1, 4), E4])
        score = composition.composed_score(tensor([[1, 1, 0, 0], [0, 0, 0, 0]]), features)
        assert score.pair.tolist() == [[1, 2], [-1, -1]]
        assert math.isnan(score.s1[1])
        none = composition.composed_score(E4, E4[:0])
        assert torch.isnan(none.s1).all()
        assert (none.pair == -1).all()
        assert composition.composed_score(E4[:0], E4).s1.shape == (0,)
        dead = composition.composed_score(E4, E4, alive=torch.tensor([True, False, True, True]))
        assert dead.first.tolist() == [0, -1, 2, 3]

    def test_gain_that_chance_gives(self) -> None:
        """A latent of cosine .95 with a feature gains .003545 in s^2 from 511 others by chance."""
        d, n, s1 = 256, 512, 0.95

        def beyond(t: float) -> float:
            return 2 * t * (1 - stats.beta.cdf((1 + t) / 2, (d - 2) / 2, (d - 2) / 2) ** (n - 1))

        expected = (1 - s1**2) * integrate.quad(beyond, 0, 0.6)[0]
        assert expected == pytest.approx(0.003545, abs=1e-6)
        features, noise = unit(normal(0, n, d)), normal(1, 300, d)
        noise = unit(noise - (noise @ features[0])[:, None] * features[0])
        score = composition.composed_score(
            s1 * features[0] + math.sqrt(1 - s1**2) * noise, features
        )
        gain = (score.s2.square() - score.s1.square()).numpy()
        assert abs(gain.mean() - expected) < 4 * gain.std() / math.sqrt(len(gain))
        assert score.fraction_composed == 0

    def test_random_latents_gain_from_any_second_feature(self) -> None:
        score = composition.composed_score(normal(2, 200, 256), normal(3, 512, 256))
        assert score.s1.mean().item() == pytest.approx(0.186, abs=0.004)
        assert score.s2.mean().item() == pytest.approx(0.253, abs=0.004)
        assert (score.gain > composition.MIN_GAIN).double().mean() > 0.9
        assert score.fraction_composed < 0.05

    def test_orthogonal_matching_pursuit_would_take_the_wrong_features(self) -> None:
        """Greedy from the best single feature: cosine .883883; the best pair: 1."""
        features = tensor([[1, 0, 0], [0, 1, 0], [0.6, 0.6, math.sqrt(0.28)]])
        latent = tensor([[HALF, HALF, 0]])
        greedy = orthogonal_mp(features.T.numpy(), latent[0].numpy(), n_nonzero_coefs=2)
        fit = greedy @ features.numpy()
        assert fit @ latent[0].numpy() / np.linalg.norm(fit) == pytest.approx(0.883883, abs=1e-6)
        assert 2 in np.flatnonzero(greedy)
        score = composition.composed_score(latent, features)
        assert score.s2.item() == pytest.approx(1, abs=1e-6)
        assert score.pair.tolist() == [[0, 1]]

    def test_pairs_that_never_meet_are_left_out(self) -> None:
        together = torch.ones(4, 4, dtype=torch.bool)
        together[0, 1] = together[1, 0] = False
        both = composition.composed_scores(tensor([[1, 1, 0, 0], [0, 1, 1, 0]]), E4, together)
        assert both.all_pairs.pair.tolist() == [[0, 1], [1, 2]]
        assert both.together.pair.tolist() == [[0, -1], [1, 2]]
        assert both.together.s2[0].item() == pytest.approx(HALF)
        assert both.together.s2[1].item() == pytest.approx(1)

    def test_fewer_candidates_make_the_same_gain_rarer_by_chance(self) -> None:
        """In three dimensions: one of two candidates beats t by (1 - F^2), of three (1 - F^3)."""
        together = ~torch.eye(4, dtype=torch.bool)
        together[0, 3] = together[3, 0] = False
        both = composition.composed_scores(tensor([[0.95, 0.25, 0.15, 0.1]]), E4, together)
        length = math.sqrt(0.25**2 + 0.15**2 + 0.1**2)
        below = (1 + 0.25 / length) / 2
        assert both.all_pairs.p_value.item() == pytest.approx(1 - below**3)
        assert both.together.p_value.item() == pytest.approx(1 - below**2)

    def test_without_features_nothing_is_found(self) -> None:
        found = composition.composed_score(E4, E4[:0])
        assert torch.isnan(found.s1).all()
        assert found.first.tolist() == [-1] * 4
        assert found.pair.tolist() == [[-1, -1]] * 4

    def test_the_mask_of_pairs_must_fit(self) -> None:
        with pytest.raises(ShapeError, match="together"):
            composition.composed_score(E4, E4, together=torch.ones(3, 3, dtype=torch.bool))
        with pytest.raises(DataError, match="together"):
            composition.composed_score(E4, E4, together=torch.ones(4, 4))

    def test_masks_know_features_by_their_row(self) -> None:
        """Zero features are no candidates, and the mask counts them all the same."""
        together = torch.ones(5, 5, dtype=torch.bool)
        together[1, 2] = together[2, 1] = False
        features = torch.cat([torch.zeros(1, 4), E4])
        score = composition.composed_score(
            tensor([[1, 1, 0, 0], [0, 1, 1, 0]]), features, together=together
        )
        assert score.pair.tolist() == [[1, -1], [2, 3]]

    def test_blocks_are_reported_and_change_nothing(self) -> None:
        features, latents = normal(0, 9, 6), normal(1, 7, 6)
        seen: list[tuple[int, int]] = []
        whole = composition.composed_score(latents, features)
        parts = composition.composed_score(
            latents, features, block=3, report=lambda done, n: seen.append((done, n))
        )
        assert seen == [(1, 3), (2, 3), (3, 3)]
        assert torch.equal(whole.pair, parts.pair)
        assert torch.allclose(whole.s2, parts.s2, atol=1e-14)

    def test_half_precision_and_strided_inputs_are_taken(self) -> None:
        features, latents = normal(0, 5, 6).bfloat16(), normal(1, 4, 6).bfloat16()
        low = composition.composed_score(latents, features)
        high = composition.composed_score(latents.double().T.contiguous().T, features.double())
        assert torch.equal(low.s2, high.s2)

    def test_missing_numbers_are_refused(self) -> None:
        with pytest.raises(DataError, match="decoder"):
            composition.composed_score(tensor([[math.nan, 1]]), torch.eye(2))


class TestBestPairs:
    """The compiled pass over all pairs, and the stepwise one that devices use, are the same."""

    @given(SEEDS, st.integers(0, 7), st.integers(0, 80), st.sampled_from([0.0, -math.inf]))
    def test_both_ways_agree_to_the_bit(self, seed: int, n: int, m: int, lowest: float) -> None:
        features = unit(normal(seed, n, 3).round(decimals=1) + 0.01)
        projections = unit(normal(seed + 1, m, 3)) @ features.T
        gram = (features @ features.T).clamp(-1, 1)
        allowed = torch.from_numpy(np.random.default_rng(seed).random((n, n)) < 0.8)
        compiled = feature_pairs.best_pairs(projections, gram, allowed, lowest=lowest)
        stepwise = feature_pairs._stepwise(
            projections, lambda i: feature_pairs._squares(projections, gram, allowed, i, lowest)
        )
        found = stepwise.cosine >= 0
        assert torch.equal(compiled.pair, stepwise.pair)
        assert torch.equal(compiled.cosine[found], stepwise.cosine[found].clamp(max=1).sqrt())
        assert torch.equal(compiled.cosine[~found], stepwise.cosine[~found])

    @given(SEEDS, st.integers(0, 7), st.integers(0, 80))
    def test_sums_agree_to_the_bit(self, seed: int, n: int, m: int) -> None:
        features = unit(normal(seed, n, 2).round(decimals=1) + 0.01)
        projections = unit(normal(seed + 1, m, 2)) @ features.T
        gram = (features @ features.T).clamp(-1, 1)
        allowed = torch.from_numpy(np.random.default_rng(seed).random((n, n)) < 0.8)
        compiled = feature_pairs.best_diagonals(projections, gram, allowed)
        lengths = (2 + 2 * gram).clamp(min=0).sqrt()
        stepwise = feature_pairs._stepwise(
            projections, lambda i: feature_pairs._sums(projections, lengths, allowed, i)
        )
        assert torch.equal(compiled.pair, stepwise.pair)
        assert torch.equal(compiled.cosine, stepwise.cosine.clamp(max=1))

    def test_work_is_cut_into_short_calls(self) -> None:
        stretches = list(feature_pairs._stretches(100_000, 64))
        assert stretches[0][0] == 0
        assert stretches[-1][1] == 100_000
        assert all(a[1] == b[0] for a, b in itertools.pairwise(stretches))
        assert max(stop - start for start, stop in stretches) * 100_000 * 64 <= 2**30


class TestAntiComposedScore:
    def test_golden(self) -> None:
        score = composition.anti_composed_score(
            tensor([[1, -1, 0, 0], [1, 1, 0, 0], [-1, 0, 0, 0], [0.5, -0.5, 0.5, -0.5]]), E4
        )
        assert score.s2.tolist() == pytest.approx([0.707107, 1, 0, 0.707107], abs=1e-6)
        assert score.signed_s2.tolist() == pytest.approx([1, 1, 1, 0.707107], abs=1e-6)
        assert score.pair.tolist()[:3] == [[0, 1], [0, 1], [0, -1]]
        assert score.weights[0].tolist() == pytest.approx([HALF, -HALF])
        assert score.weights[2].tolist() == [-1, 0]
        assert score.is_anti_composed.tolist() == [True, False, False, False]
        assert score.gain[0].item() == pytest.approx(1 - HALF)

    def test_golden_p_value_is_two_sided(self) -> None:
        # In three dimensions |cos| is uniform on [0, 1]; the residual (.3, -.4) has |cos| .8.
        latent = tensor([[0.866025403784, 0.3, -0.4, 0]])
        score = composition.anti_composed_score(latent, E4)
        assert score.p_value.item() == pytest.approx(1 - 0.8**3, abs=1e-9)

    @given(SEEDS, st.integers(1, 5), st.integers(1, 6))
    def test_signed_fits_are_those_of_least_squares(self, seed: int, d: int, n: int) -> None:
        features, latents = normal(seed, n, d), unit(normal(seed + 1, 3, d))
        score = composition.anti_composed_score(latents, features)
        best = (latents @ unit(features).T).abs().amax(dim=1)
        for chosen in itertools.combinations(range(n), 2):
            q = torch.linalg.svd(features[list(chosen)], full_matrices=False).Vh
            best = torch.maximum(best, (latents @ q.T).norm(dim=1))
        assert torch.allclose(score.signed_s2, best.clamp(max=1), atol=1e-6)
        assert (score.signed_s2 >= score.s2 - 1e-9).all()
        nonnegative = composition.composed_score(latents, features)
        assert torch.allclose(score.s2, nonnegative.s2, atol=1e-8)

    def test_shares_count_decided_latents(self) -> None:
        latents = tensor([[1, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
        assert composition.anti_composed_score(latents, E4).fraction_anti_composed == 0.5
        flat = composition.anti_composed_score(tensor([[1, -1]]), torch.eye(2))
        assert math.isnan(flat.fraction_anti_composed)
        none = composition.anti_composed_score(latents, E4[:0])
        assert torch.isnan(none.s2).all()
        assert (none.pair == -1).all()


class TestDiagonalScore:
    def test_golden(self) -> None:
        score = composition.diagonal_score(
            tensor([[1, 1, 0, 0], [1, 0, 0, 0], [-1, -1, -1, -1], [0, 0, 0, 0]]), E4
        )
        assert score.cosine[:3].tolist() == pytest.approx([1, 0.707107, -0.707107], abs=1e-6)
        assert score.pair.tolist() == [[0, 1], [0, 1], [0, 1], [-1, -1]]
        assert math.isnan(score.cosine[3])
        assert score.mean == pytest.approx(1 / 3)

    @given(SEEDS, st.integers(2, 5), st.integers(2, 6))
    def test_is_the_best_plain_sum(self, seed: int, d: int, n: int) -> None:
        features, latents = unit(normal(seed, n, d)), unit(normal(seed + 1, 3, d))
        sums = torch.stack([features[i] + features[j] for i in range(n) for j in range(i)])
        score = composition.diagonal_score(latents, features)
        assert torch.allclose(score.cosine, (latents @ unit(sums).T).amax(dim=1))
        assert (score.cosine <= composition.composed_score(latents, features).s2 + 1e-9).all()
        i, j = score.pair.unbind(dim=1)
        assert (i < j).all()
        reached = (unit(features[i] + features[j]) * latents).sum(dim=1)
        assert torch.allclose(reached, score.cosine)

    def test_opposite_features_have_no_sum(self) -> None:
        score = composition.diagonal_score(tensor([[1, 0]]), tensor([[1, 0], [-1, 0]]))
        assert math.isnan(score.cosine.item())
        assert composition.diagonal_score(E4, E4[:1]).pair.tolist() == [[-1, -1]] * 4
        together = torch.zeros(4, 4, dtype=torch.bool)
        together[1, 2] = together[2, 1] = True
        assert composition.diagonal_score(E4[:1], E4, together=together).pair.tolist() == [[1, 2]]
