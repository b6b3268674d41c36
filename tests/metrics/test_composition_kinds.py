"""What composed latents fire for, whose best latent is composed, and chance levels of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linprog
from sklearn.metrics import f1_score
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import composition
from toysae.metrics.codes import SparseCodes

from .draw import SEEDS, normal, tensor

E16 = torch.eye(16, dtype=torch.float64)
FEATURES = E16[:4]
# Composed of 0 and 1, composed of 2 and 3 twice, and the single feature 2.
LATENTS = torch.stack([E16[0] + E16[1], *(E16[2] + E16[3],) * 2, E16[2]])


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def kinds_of(c: Tensor, z: Tensor, **options: float) -> composition.CompositionKinds:
    score = composition.composed_score(LATENTS, FEATURES)
    return composition.composition_kinds(c, z, score, **options)


class TestCompositionKinds:
    C = tensor([[1, 2, 1, 0], [3, 6, 0, 2], [0, 0, 3, 1], [0, 0, 0, 0], [2, 4, 1, 4]])
    Z = tensor([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0]])

    def test_golden(self) -> None:
        found = kinds_of(self.C, self.Z)
        assert found.labels == ("unidentifiable", "and", "or", "single")
        assert found.f1_and[:3].tolist() == pytest.approx([1, 1, 2 / 3])
        assert found.f1_or[:3].tolist() == pytest.approx([1, 2 / 3, 1])
        assert found.f1_each[1].tolist() == pytest.approx([0.8, 0.8])
        assert found.f1_each[2].tolist() == pytest.approx([6 / 7, 6 / 7])
        assert torch.isnan(found.f1_and[3])
        assert torch.isnan(found.f1_each[3]).all()
        assert found.shares.tolist() == [0.25, 0.25, 0.25, 0, 0.25]

    def test_islands_of_independent_amplitudes_could_be_told_apart(self) -> None:
        c = self.C.clone()
        c[1, 1] = 5
        assert kinds_of(c, self.Z).labels[0] == "island"
        c[3, 1] = 1
        assert kinds_of(c, self.Z).labels[0] == "and"

    def test_a_tie_is_no_and(self) -> None:
        """The latent fires once for both and once for one of them, of 3 and 1 samples."""
        c = tensor([[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1]])
        z = torch.zeros(3, 4)
        z[0, 1:3] = 1
        z[1:, 2] = 1
        found = kinds_of(c, z)
        assert found.labels[1:3] == ("and", "or")
        neither = kinds_of(c, torch.zeros(3, 4))
        assert neither.f1_and[1] == neither.f1_or[1] == 0
        assert neither.labels[1] == "or"

    def test_undecided_and_silent_latents_have_no_label(self) -> None:
        assert kinds_of(torch.zeros(3, 4), torch.zeros(3, 4)).labels[:2] == (None, None)
        flat = composition.composed_score(tensor([[1, 1], [1, 0]]), torch.eye(2))
        found = composition.composition_kinds(torch.ones(3, 2), torch.ones(3, 2), flat)
        assert found.labels == (None, "single")
        assert found.share("single") == 1
        none = composition.composed_score(torch.zeros(1, 2), torch.eye(2))
        empty = composition.composition_kinds(torch.ones(3, 2), torch.ones(3, 1), none)
        assert torch.isnan(empty.shares).all()

    def test_the_threshold_is_strict(self) -> None:
        assert kinds_of(self.C, self.Z, threshold=1.0).f1_or[2] == 0
        assert kinds_of(self.C, self.Z, threshold=0.99).f1_or[2] == 1

    @settings(max_examples=20)
    @given(SEEDS)
    def test_f1_is_sklearns_and_sparse_is_dense(self, seed: int) -> None:
        c, z = normal(seed, 30, 4).clamp(min=0), normal(seed + 1, 30, 4).clamp(min=0)
        score = composition.composed_score(LATENTS, FEATURES)
        dense = composition.composition_kinds(c, z, score)
        sparse = composition.composition_kinds(
            SparseCodes.from_dense(c), SparseCodes.from_dense(z), score
        )
        assert dense.labels == sparse.labels
        y, fired = (c > 0).numpy(), (z > 0).numpy()
        for j, (a, b) in ((0, (0, 1)), (1, (2, 3)), (2, (2, 3))):
            for found, truth in (
                (dense.f1_and[j], y[:, a] & y[:, b]),
                (dense.f1_or[j], y[:, a] | y[:, b]),
                (dense.f1_each[j, 0], y[:, a]),
                (dense.f1_each[j, 1], y[:, b]),
            ):
                assert found.item() == pytest.approx(f1_score(truth, fired[:, j]))

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 5 samples and latents has 4"):
            kinds_of(self.C, self.Z[:4])
        with pytest.raises(ShapeError, match="score is of 4 latents"):
            kinds_of(self.C, self.Z[:, :3])
        with pytest.raises(ShapeError, match="score is of 4 latents"):
            kinds_of(self.C[:, :2], self.Z)


class TestCoOccurring:
    def test_golden(self) -> None:
        """Of 40 samples with the first, 2 have the second (.05) and 3 the third (.075)."""
        c = torch.zeros(120, 4)
        c[:40, 0] = 1
        c[38:100, 1] = 2
        c[37:40, 2] = 1
        c[100:, 2] = 1
        together = composition.co_occurring(c, 2 / 40)
        assert not together.diagonal().any()
        assert torch.equal(together, together.T)
        assert together[0].tolist() == [False, False, True, False]
        assert composition.co_occurring(c, 0.049)[0].tolist() == [False, True, True, False]

    def test_either_direction_counts(self) -> None:
        c = torch.zeros(100, 2)
        c[:, 0] = 1
        c[0, 1] = 1
        assert composition.co_occurring(c)[0, 1]
        assert composition.co_occurring(SparseCodes.from_dense(c))[1, 0]
        assert not composition.co_occurring(c * 0.5, threshold=0.5).any()


class TestComposedFeatures:
    def test_golden(self) -> None:
        score = composition.composed_score(LATENTS[:2], E16[:5])
        found = composition.composed_features(
            E16[:5],
            torch.cat([LATENTS[:1], E16[2:3]]),
            composition.composed_score(torch.cat([LATENTS[:1], E16[2:3]]), E16[:5]),
        )
        assert found.latent.tolist() == [0, 0, 1, 0, 0]
        assert found.composed[:3].tolist() == [1, 1, 0]
        assert score.is_composed.all()

    def test_group_score(self) -> None:
        decoder = torch.stack([E16[0] + E16[1], E16[2], E16[3] + 0.1 * E16[0]])
        found = composition.composed_features(
            FEATURES, decoder, composition.composed_score(decoder, FEATURES)
        )
        groups = found.by_group({"island": [0, 1], "background": [2, 3]})
        assert groups["island"].mean == 1
        assert groups["background"].mean == 0
        assert found.fraction == 0.5

    def test_undecided_and_dead_latents(self) -> None:
        flat = tensor([[1, 1], [1, -1]])
        score = composition.composed_score(flat, torch.eye(2))
        found = composition.composed_features(torch.eye(2), flat, score)
        assert torch.isnan(found.composed[1])
        assert math.isnan(
            composition.composed_features(
                torch.eye(2), flat, score, alive=torch.zeros(2, dtype=torch.bool)
            ).fraction
        )
        with pytest.raises(ShapeError, match="score is of 2 latents"):
            composition.composed_features(torch.eye(2), flat[:1], score)


class TestSimulatedPValue:
    def test_is_the_closed_form_where_features_are_isotropic(self) -> None:
        features = normal(0, 12, 6)
        latents = unit(features[:8] + 0.7 * normal(1, 8, 6))
        exact = composition.composed_score(latents, features)
        found = composition.simulated_p_value(latents, features, 999)
        # Averaged over latents; each is of the same features, which are one isotropic draw.
        assert (found - exact.p_value).abs().mean() < 0.1

    def test_uniform_for_features_of_any_geometry(self) -> None:
        """Kolmogorov-Smirnov at level 0.001: one seed in a thousand would fail by chance.

        Features near a common direction, on which the closed form is far from uniform.
        """
        rng = np.random.default_rng(1)
        common = 2 * rng.normal(size=10)
        features = unit(torch.from_numpy(rng.normal(size=(30, 10)) + common))
        noise = torch.from_numpy(rng.normal(size=(800, 10)))
        noise = unit(noise - (noise @ features[0])[:, None] * features[0])
        latents = 0.999 * features[0] + math.sqrt(1 - 0.999**2) * noise
        score = composition.composed_score(latents, features)
        assert (score.first == 0).all()
        found = composition.simulated_p_value(latents, features, 1999)
        assert stats.kstest(found.numpy(), "uniform").pvalue > 0.001
        assert stats.kstest(score.p_value.numpy(), "uniform").pvalue < 1e-6

    def test_defined_where_the_closed_form_is(self) -> None:
        latents = tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0.5, 0.2]])
        exact = composition.composed_score(latents, torch.eye(3)).p_value
        found = composition.simulated_p_value(latents, torch.eye(3), 99)
        assert torch.equal(found.isnan(), exact.isnan())
        assert found[0].item() == pytest.approx(0.01)
        assert torch.isnan(composition.simulated_p_value(latents, torch.eye(3)[:0], 9)).all()
        with pytest.raises(ShapeError, match="n_draws=0"):
            composition.simulated_p_value(latents, torch.eye(3), 0)

    def test_a_seed_is_a_result(self) -> None:
        latents, features = normal(0, 6, 5), normal(1, 7, 5)
        first = composition.simulated_p_value(latents, features, 50, seed=1)
        assert torch.equal(first, composition.simulated_p_value(latents, features, 50, seed=1))
        assert not torch.equal(first, composition.simulated_p_value(latents, features, 50, seed=2))


class TestRotatedNull:
    def test_finds_what_rotation_destroys(self) -> None:
        features = normal(0, 20, 32)
        decoder = features[:10] + features[10:]
        null = composition.rotated_null(decoder, features, 9)
        assert null.observed.fraction_composed == 1
        assert null.null_fraction < 0.1
        assert null.excess == pytest.approx(1 - null.null_fraction)
        assert null.p_value_of_fraction == 0.1
        assert (null.p_value < 0.05).all()
        assert null.null_p_values.shape == (9, 10)

    def test_nothing_is_found_where_nothing_is(self) -> None:
        """Each share is the largest of 21 by chance once in 21 times; all four, 5e-6."""
        nulls = [
            composition.rotated_null(normal(2 * k, 40, 12), normal(2 * k + 1, 30, 12), 20, k)
            for k in range(4)
        ]
        assert max(null.p_value_of_fraction for null in nulls) > 1 / 21
        # Kolmogorov-Smirnov at level 0.001, of latents that are one more rotation.
        assert stats.kstest(nulls[0].p_value.numpy(), "uniform").pvalue > 0.001

    def test_calibrated_p_values_count_the_null(self) -> None:
        observed = composition.composed_score(E16[:1] + 0.5 * E16[1:2] + 0.2 * E16[4:5], E16[:3])
        p = observed.p_value.item()
        null = composition.RotatedNull(
            observed, tensor([[p / 2], [p], [p + 0.1], [math.nan]]), tensor([0, 1, math.nan, 0.5])
        )
        assert null.p_value.tolist() == [3 / 4]
        assert null.null_fraction == 0.5
        assert null.excess == observed.fraction_composed - 0.5
        assert null.p_value_of_fraction == (1 + int(observed.fraction_composed <= 1)) / 4

    def test_undefined_without_latents(self) -> None:
        null = composition.rotated_null(torch.zeros(2, 3), torch.eye(3), 2)
        assert torch.isnan(null.p_value).all()
        assert math.isnan(null.null_fraction)
        assert math.isnan(null.p_value_of_fraction)
        with pytest.raises(ShapeError, match="n_rotations=0"):
            composition.rotated_null(torch.eye(3), torch.eye(3), 0)
        with pytest.raises(ShapeError, match="1 dimensions"):
            composition.rotated_null(torch.ones(2, 1), torch.ones(2, 1), 2)

    def test_rotations_are_functions_of_seed_and_index(self) -> None:
        latents, features = normal(0, 6, 5), normal(1, 7, 5)
        few = composition.rotated_null(latents, features, 2, seed=3)
        more = composition.rotated_null(latents, features, 3, seed=3)
        assert torch.equal(few.null_p_values, more.null_p_values[:2])
        other = composition.rotated_null(latents, features, 2, seed=4)
        assert not torch.equal(few.null_p_values, other.null_p_values)


class TestRecallBesideDiagonal:
    @pytest.mark.parametrize(
        ("solo", "shared", "independent"),
        [(0, 0, 0.5), (0.25, 1 / 7, 4 / 7), (0.5, 1 / 3, 2 / 3), (0.75, 0.6, 0.8), (1, 1, 1)],
    )
    def test_golden(self, solo: float, shared: float, independent: float) -> None:
        assert composition.recall_beside_diagonal(solo) == pytest.approx((shared, independent))

    def test_codes_of_least_l1_have_this_recall(self) -> None:
        """Linear programs, sample by sample; the bound is four standard errors."""
        rng = np.random.default_rng(0)
        half = math.sqrt(0.5)
        decoder = np.array([[1, 0], [0, 1], [half, half]])
        q, n = 0.5, 400
        alone, which = rng.random(n) < q, rng.integers(2, size=n)
        for shared in (True, False):
            c = rng.uniform(0.1, 1, (n, 2))
            if shared:
                c[:, 1] = c[:, 0]
            c[alone, which[alone]] = 0
            active = c[:, 0] > 0
            codes = np.array([linprog(np.ones(3), A_eq=decoder.T, b_eq=row).x for row in c[active]])
            recall = (codes[:, 0] > 1e-9).mean()
            expected = composition.recall_beside_diagonal(q)[0 if shared else 1]
            error = math.sqrt(expected * (1 - expected) / active.sum())
            assert abs(recall - expected) < 4 * error

    @pytest.mark.parametrize("solo", [-0.1, 1.1, math.nan])
    def test_refused_outside_the_unit_interval(self, solo: float) -> None:
        with pytest.raises(DataError, match="solo="):
            composition.recall_beside_diagonal(solo)


@given(st.floats(0, 1))
def test_recall_grows_with_the_share_of_solo_samples(solo: float) -> None:
    shared, independent = composition.recall_beside_diagonal(solo)
    assert 0 <= shared <= independent <= 1
