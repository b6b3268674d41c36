from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from toysae.errors import DataError, ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.detection import best_detection, detection

from .draw import SEEDS, firing_tables, normal, tensor

E4 = torch.eye(4, dtype=torch.float64)
NAN = math.nan


class TestDetection:
    C = tensor([[0], [0], [0], [0], [1], [2], [0.5], [1.5]])

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
        table = detection(self.C, tensor(latent)[:, None])
        found = [x.item() for x in (table.precision, table.recall, table.f1, table.phi)]
        assert found == pytest.approx([precision, recall, f1, phi], abs=1e-6, nan_ok=True)

    def test_golden_four_latents_on_one_feature(self) -> None:
        """Per latent all is perfect; per feature one of four is detected."""
        coefficients = torch.cat([E4, E4])
        table = detection(coefficients, coefficients[:, :1].expand(8, 4))
        assert table.best_f1_per_latent.tolist() == [1, 1, 1, 1]
        assert table.best_feature.tolist() == [0, 0, 0, 0]
        assert table.best_f1_per_feature.tolist() == [1, 0, 0, 0]
        assert table.mean_best_f1_per_feature == 0.25

    @settings(max_examples=10)
    @given(SEEDS, st.integers(2, 40))
    def test_tables_are_sklearns(self, seed: int, n_samples: int) -> None:
        coefficients = normal(seed, n_samples, 3).clamp(min=0)
        latents = normal(seed + 1, n_samples, 4)
        table = detection(coefficients, latents, threshold=0.5)
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
        table = detection(torch.zeros(5, 2), torch.zeros(5, 3))
        assert torch.isnan(table.f1).all()
        assert table.best_latent.tolist() == [-1, -1]
        assert table.best_feature.tolist() == [-1, -1, -1]
        none = detection(torch.ones(5, 2), torch.ones(5, 0))
        assert torch.isnan(none.best_f1_per_feature).all()
        assert none.best_f1_per_latent.shape == (0,)

    def test_dead_latents_are_not_averaged(self) -> None:
        """Two perfect latents and two that never fire; features 2 and 3 are not detected."""
        table = detection(E4, E4 * tensor([1, 1, 0, 0]))
        assert table.best_f1_per_latent.tolist() == pytest.approx([1, 1, NAN, NAN], nan_ok=True)
        assert table.best_feature.tolist() == [0, 1, -1, -1]
        assert table.mean_best_f1_per_latent == 1
        assert (table.n_defined_latents, table.n_defined_features) == (2, 4)
        assert table.best_f1_per_feature.tolist() == [1, 1, 0, 0]
        assert table.best_latent.tolist() == [0, 1, -1, -1]
        assert table.mean_best_f1_per_feature == 0.5

    def test_absent_features_are_not_averaged(self) -> None:
        table = detection(E4 * tensor([1, 1, 0, 0]), E4)
        assert table.best_f1_per_feature.tolist() == pytest.approx([1, 1, NAN, NAN], nan_ok=True)
        # Latents 2 and 3 fire, for nothing.
        assert table.best_f1_per_latent.tolist() == [1, 1, 0, 0]
        assert table.best_feature.tolist() == [0, 1, -1, -1]

    def test_a_mask_leaves_latents_out(self) -> None:
        alive = torch.tensor([True, False, True, True])
        table = detection(E4, E4, alive=alive)
        assert table.best_f1_per_feature.tolist() == [1, 0, 1, 1]
        assert table.best_latent.tolist() == [0, -1, 2, 3]
        assert table.best_feature.tolist() == [0, -1, 2, 3]
        for values in (table.f1, table.precision, table.recall, table.phi):
            assert values[:, 1].isnan().all()
            assert not values[:, alive].isnan().any()
        assert table.firings.tolist() == [1, 1, 1, 1]
        none = detection(E4, E4, alive=torch.zeros(4, dtype=torch.bool))
        assert none.n_defined_features == none.n_defined_latents == 0
        with pytest.raises(ShapeError, match=r"alive has shape \(3,\): expected \[4\]"):
            detection(E4, E4, alive=alive[:3])

    def test_different_samples_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 5 samples and latents has 4"):
            detection(torch.ones(5, 2), torch.ones(4, 2))
        with pytest.raises(DataError, match="NaN"):
            detection(torch.ones(1, 2), tensor([[math.nan]]))

    @given(firing_tables())
    def test_sparse_codes_give_the_same(self, tables: tuple[torch.Tensor, torch.Tensor]) -> None:
        c, z = tables[0].double(), tables[1] * normal(0, *tables[1].shape)
        dense = detection(c, z, threshold=0.3)
        for some in ((SparseCodes.from_dense(c), z), (c, SparseCodes.from_dense(z))):
            sparse = detection(*some, threshold=0.3)
            for name, value in vars(dense).items():
                other = getattr(sparse, name)
                if name == "n_samples":
                    assert value == other
                else:
                    assert value.dtype == other.dtype
                    assert torch.equal(value.nan_to_num(nan=-9), other.nan_to_num(nan=-9)), name

    @given(firing_tables())
    def test_f1_is_a_harmonic_mean_and_table_is_the_loop(
        self, tables: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        y, fired = tables
        table = detection(y.double(), fired.double())
        low, high = torch.minimum(table.precision, table.recall), table.f1
        both = ~low.isnan()
        assert (high[both] >= low[both] - 1e-12).all()
        assert (high[both] <= torch.maximum(table.precision, table.recall)[both] + 1e-12).all()
        assert (high[both] <= 2 * low[both] + 1e-12).all()
        for i, j in itertools.product(range(y.shape[1]), range(fired.shape[1])):
            hits = int((y[:, i] & fired[:, j]).sum())
            total = int(y[:, i].sum() + fired[:, j].sum())
            expected = 2 * hits / total if total else math.nan
            assert table.f1[i, j].item() == pytest.approx(expected, nan_ok=True)

    @given(SEEDS, st.floats(0.01, 100))
    def test_positive_scale_changes_nothing_at_threshold_0(self, seed: int, scale: float) -> None:
        c, z = normal(seed, 20, 3).clamp(min=0), normal(seed + 1, 20, 4).clamp(min=0)
        assert torch.equal(detection(c, z).f1, detection(c, scale * z).f1)


class TestBestDetection:
    @given(firing_tables(), st.integers(1, 4), SEEDS)
    def test_it_is_the_best_of_the_tables(
        self, tables: tuple[torch.Tensor, torch.Tensor], block: int, seed: int
    ) -> None:
        c, z = tables[0].double(), tables[1].double()
        alive = normal(seed, z.shape[1]) > -1
        table = detection(c, z, alive=alive)
        best = best_detection(c, z, alive=alive, block=block)
        for found, whole in (
            (best.per_feature, table.best_f1_per_feature),
            (best.per_latent, table.best_f1_per_latent),
        ):
            assert torch.equal(found.f1.nan_to_num(nan=-9), whole.nan_to_num(nan=-9))
        assert torch.equal(best.per_feature.partner, table.best_latent)
        assert torch.equal(best.per_latent.partner, table.best_feature)
        assert torch.equal(best.positives, table.positives)
        assert torch.equal(best.firings, table.firings)
        assert best.n_samples == table.n_samples
        for name in ("precision", "recall", "f1", "phi"):
            for found, whole in (
                (best.per_feature, getattr(table, name)),
                (best.per_latent, getattr(table, name).T),
            ):
                for k, partner in enumerate(found.partner.tolist()):
                    expected = whole[k, partner].item() if partner >= 0 else math.nan
                    value = getattr(found, name)[k].item()
                    if name == "f1" and partner < 0 and not math.isnan(value):
                        expected = 0
                    assert value == pytest.approx(expected, nan_ok=True), name

    def test_golden_four_latents_on_one_feature(self) -> None:
        c = torch.cat([E4, E4])
        best = best_detection(c, c[:, :1].expand(8, 4))
        assert best.per_latent.mean_f1 == 1
        assert best.per_feature.mean_f1 == 0.25
        assert best.per_feature.n_defined == 4

    def test_threshold_is_strict_and_blocks_are_reported(self) -> None:
        told: list[tuple[int, int]] = []
        best = best_detection(
            E4, 2 * E4, threshold=2, block=3, report=lambda done, n: told.append((done, n))
        )
        assert best.firings.tolist() == [0, 0, 0, 0]
        assert told == [(1, 2), (2, 2)]

    def test_nothing_to_detect_or_to_detect_with(self) -> None:
        none = best_detection(torch.ones(5, 2), torch.ones(5, 0))
        assert none.per_feature.partner.tolist() == [-1, -1]
        assert torch.isnan(none.per_feature.recall).all()
        assert math.isnan(none.per_feature.mean_f1)
        dead = best_detection(torch.zeros(5, 2), torch.zeros(5, 3))
        assert dead.per_latent.partner.tolist() == [-1, -1, -1]
        assert dead.per_latent.n_defined == 0

    def test_different_samples_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 5 samples and latents has 4"):
            best_detection(torch.ones(5, 2), torch.ones(4, 2))
