from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import DataError, ShapeError
from toysae.metrics import recovery

from .draw import SEEDS, normal, tensor

E4 = torch.eye(4, dtype=torch.float64)
HALF = math.sqrt(0.5)


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


class TestRecoveryCurve:
    def test_golden(self) -> None:
        # Two of four above .7, one above .9; depths (cos - .5) / .5 are .96, .2 .6 0.
        cosine = tensor([0.98, 0.6, 0.8, 0.1, math.nan])
        curve = recovery.recovery_curve(cosine, thresholds=tensor([0.5, 0.6, 0.98]))
        assert curve.recovered.tolist() == [0.75, 0.5, 0]
        assert (curve.at_70, curve.at_90, curve.at_95) == (0.5, 0.25, 0.25)
        assert curve.area == pytest.approx((0.96 + 0.2 + 0.6 + 0) / 4)
        assert (curve.n_defined, curve.n_total) == (4, 5)

    def test_golden_four_latents_on_one_feature(self) -> None:
        found = recovery.feature_recovery(E4, E4[:1].expand(4, 4))
        assert recovery.recovery_curve(found.cosine).at_90 == 0.25

    def test_levels_are_strict(self) -> None:
        curve = recovery.recovery_curve(tensor([0.7, 0.9, 0.95]))
        assert curve.at_70 == pytest.approx(2 / 3)
        assert curve.at_90 == pytest.approx(1 / 3)
        assert curve.at_95 == 0

    def test_frequent_features_weigh_more(self) -> None:
        cosine, frequency = tensor([0.98, 0.6, math.nan]), tensor([0.3, 0.1, 0.6])
        curve = recovery.recovery_curve(cosine, weights=frequency)
        assert curve.at_90 == pytest.approx(0.75)
        assert curve.area == pytest.approx(0.75 * 0.96 + 0.25 * 0.2)
        none = recovery.recovery_curve(cosine, weights=tensor([0, 0, 1]))
        assert math.isnan(none.at_90)
        assert none.n_defined == 0

    def test_a_mean_hides_a_group(self) -> None:
        cosine = torch.cat([tensor([0.99] * 90), tensor([HALF] * 10)])
        assert recovery.recovery_curve(cosine).at_90 == pytest.approx(0.9)
        assert recovery.recovery_curve(cosine[90:]).at_90 == 0
        assert recovery.recovery_curve(cosine[90:]).at_70 == 1

    @given(SEEDS, st.integers(1, 8))
    def test_the_area_is_that_of_the_curve(self, seed: int, n: int) -> None:
        cosine, weights = normal(seed, n).tanh(), normal(seed + 1, n).abs()
        grid = torch.linspace(0.5, 1, 20_001, dtype=torch.float64)
        curve = recovery.recovery_curve(cosine, weights=weights, thresholds=grid)
        assert (curve.recovered.diff() <= 1e-12).all()
        assert curve.area == pytest.approx(
            torch.trapezoid(curve.recovered, grid).item() * 2, abs=1e-3
        )

    def test_nothing_defined(self) -> None:
        curve = recovery.recovery_curve(tensor([math.nan]))
        assert math.isnan(curve.area)
        assert torch.isnan(curve.recovered).all()
        assert curve.thresholds.tolist() == pytest.approx([0.5 + k / 100 for k in range(51)])

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="one entry a feature"):
            recovery.recovery_curve(tensor([1, 1]), weights=tensor([1]))
        with pytest.raises(DataError, match="at least 0"):
            recovery.recovery_curve(tensor([1, 1]), weights=tensor([1, -1]))


class TestJointRecovery:
    # Feature 0 is found; latent 1 points along feature 1 and fires with feature 2.
    C = torch.cat([E4, E4])
    Z = torch.cat([E4, E4])[:, [0, 2, 1, 3]] * tensor([1, 1, 1, 0])

    def test_one_latent_must_do_both(self) -> None:
        found = recovery.joint_recovery(E4, E4, self.C, self.Z)
        assert found.by_cosine.tolist() == [True, True, True, True]
        assert found.by_f1.tolist() == [True, True, True, False]
        assert found.joint.tolist() == [True, False, False, False]
        assert found.fraction == 0.25
        assert found.weighted(tensor([0.5, 0.1, 0.1, 0.3])) == pytest.approx(0.5)

    def test_detection_without_direction_is_not_recovery(self) -> None:
        """Latents of sums of two features that fire together: F1 is 1, the cosine .707."""
        decoder = torch.stack([E4[0] + E4[1], E4[2] + E4[3]])
        together = self.C[:, :2].repeat_interleave(2, dim=1)
        found = recovery.joint_recovery(E4, decoder, together, self.C[:, :2])
        assert found.by_f1.all()
        assert found.fraction == 0

    def test_thresholds_are_strict(self) -> None:
        # F1 = .8 exactly: two hits and one miss.
        z, c = tensor([[1], [1], [0]]), tensor([[1], [1], [1]])
        one = tensor([[1, 0]])
        assert recovery.joint_recovery(one, one, c, z).fraction == 0
        assert recovery.joint_recovery(one, one, c, z, f1_threshold=0.79).fraction == 1
        assert (
            recovery.joint_recovery(one, one, c, z, f1_threshold=0.5, cosine_threshold=1).fraction
            == 0
        )

    def test_blocks_change_nothing_and_are_reported(self) -> None:
        told: list[tuple[int, int]] = []
        found = recovery.joint_recovery(
            E4, E4, self.C, self.Z, block=3, report=lambda done, n: told.append((done, n))
        )
        assert found.joint.tolist() == [True, False, False, False]
        assert told == [(1, 2), (2, 2)]

    def test_latents_below_the_threshold_do_not_fire(self) -> None:
        found = recovery.joint_recovery(E4, E4, self.C, 0.1 * self.C, threshold=0.1)
        assert not found.by_f1.any()
        assert found.by_cosine.all()

    def test_directions_of_dead_latents_are_left_out(self) -> None:
        alive = torch.tensor([True, True, True, False])
        found = recovery.joint_recovery(E4, E4, self.C, self.Z, alive=alive)
        assert found.by_cosine.tolist() == [True, True, True, False]
        assert found.n_defined == 4

    def test_masked_latents_do_not_detect_either(self) -> None:
        alive = torch.tensor([False, True, True, True])
        found = recovery.joint_recovery(E4, E4, self.C, self.Z, alive=alive)
        assert found.by_f1.tolist() == [False, True, True, False]
        assert not found.joint.any()

    def test_absent_features_and_missing_latents(self) -> None:
        absent = recovery.joint_recovery(E4, E4, self.C * tensor([1, 0, 1, 1]), self.Z)
        assert absent.n_defined == 3
        none = recovery.joint_recovery(E4, 0 * E4, self.C, self.Z)
        assert math.isnan(none.fraction)
        assert math.isnan(none.weighted(torch.ones(4)))

    def test_tables_must_belong_to_the_dictionaries(self) -> None:
        with pytest.raises(ShapeError, match="expected as many"):
            recovery.joint_recovery(E4, E4, self.C, self.Z[:, :3])
