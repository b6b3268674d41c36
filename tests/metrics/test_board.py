from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from sklearn.metrics import f1_score, roc_auc_score
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.board import auroc_coverage, board_coverage, board_reconstruction
from toysae.metrics.codes import SparseCodes

from .draw import SEEDS, normal, tensor


class TestAurocCoverage:
    # Ten samples with the feature, ten without: the latent misses one (AUROC .95) or two (.9).
    C = tensor([[1]] * 10 + [[0]] * 10)

    def latent(self, n_missed: int) -> Tensor:
        return tensor([[0]] * n_missed + [[1]] * (10 - n_missed) + [[0]] * 10)

    @pytest.mark.parametrize(("n_missed", "found"), [(0, 1), (1, 1), (2, 1), (3, 0)])
    def test_the_threshold_is_inclusive(self, n_missed: int, found: int) -> None:
        result = auroc_coverage(self.C, self.latent(n_missed))
        assert result.auroc.item() == pytest.approx(1 - 0.05 * n_missed, abs=1e-15)
        assert result.n_found == found

    def test_each_feature_takes_its_best_latent(self) -> None:
        c = torch.cat([self.C, 1 - self.C, torch.ones(20, 1), torch.zeros(20, 1)], dim=1)
        z = torch.cat([self.latent(3), self.latent(1)], dim=1)
        result = auroc_coverage(c, z)
        assert result.auroc[:2].tolist() == pytest.approx([0.95, 0.15])
        assert result.latent.tolist() == [1, 0, -1, -1]
        assert result.found.tolist() == [True, False, False, False]
        assert (result.n_found, result.n_defined, result.fraction) == (1, 2, 0.5)

    @settings(max_examples=5)
    @given(SEEDS)
    def test_values_are_sklearns(self, seed: int) -> None:
        c, z = normal(seed, 30, 3) > 0.5, normal(seed + 1, 30, 4).clamp(min=0)
        result = auroc_coverage(c.double(), z, 0.6)
        for i in range(3):
            if c[:, i].any():
                best = max(roc_auc_score(c[:, i], z[:, j]) for j in range(4))
                assert result.auroc[i].item() == pytest.approx(best)

    def test_nothing_to_find(self) -> None:
        assert math.isnan(auroc_coverage(torch.ones(4, 2), torch.ones(4, 1)).fraction)
        assert math.isnan(auroc_coverage(self.C, self.C[:, :0]).fraction)

    def test_progress_is_reported(self) -> None:
        told: list[tuple[int, int]] = []
        auroc_coverage(self.C, self.C, report=lambda done, n: told.append((done, n)))
        assert told == [(1, 1)]


class TestBoardCoverage:
    def test_golden_cut(self) -> None:
        # Active where above 4 of 10: F1 is 2 * 2 / (2 + 4) uncut, 1 cut at .4 to .5.
        c, z = tensor([[0], [0], [1], [1], [0]]), tensor([[1], [4], [6], [10], [0]])
        found = board_coverage(c, z)
        expected = [2 / 3, 0.8, 0.8, 0.8, 1, 1, 2 / 3, 2 / 3, 2 / 3, 2 / 3]
        assert found.f1[:, 0].tolist() == pytest.approx(expected)
        assert found.mean == found.mean_at_one_cut == 1
        assert found.fractions == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def test_features_choose_their_cuts_in_the_paper_only(self) -> None:
        # The first needs a cut of .5, the second none.
        c = tensor([[0, 1], [1, 1], [0, 0]])
        z = tensor([[1, 1], [10, 10], [0, 0]])
        found = board_coverage(c, z, fractions=(0, 0.5))
        assert found.f1.tolist() == [pytest.approx([2 / 3, 1]), pytest.approx([1, 2 / 3])]
        assert found.best_f1.tolist() == [1, 1]
        assert found.mean == 1
        assert found.mean_at_one_cut == pytest.approx(5 / 6)

    @settings(max_examples=5)
    @given(SEEDS)
    def test_values_are_sklearns(self, seed: int) -> None:
        c, z = normal(seed, 25, 3) > 0.5, normal(seed + 1, 25, 4)
        found = board_coverage(c.double(), z, fractions=(0, 0.3, 0.8))
        for i in range(3):
            if c[:, i].any():
                best = max(
                    f1_score(c[:, i], z[:, j] > t * z[:, j].max().clamp(min=0))
                    for t in (0, 0.3, 0.8)
                    for j in range(4)
                )
                assert found.best_f1[i].item() == pytest.approx(best)
            else:
                assert math.isnan(found.best_f1[i])

    def test_absent_features_and_no_latents(self) -> None:
        found = board_coverage(tensor([[1, 0], [0, 0]]), tensor([[1], [0]]))
        assert found.n_defined == 1
        assert found.mean == 1
        assert math.isnan(board_coverage(torch.ones(3, 1), torch.ones(3, 0)).mean)
        silent = board_coverage(torch.ones(3, 1), torch.zeros(3, 2))
        assert silent.mean == 0

    @pytest.mark.parametrize("fractions", [(), (1.0,), (-0.1, 0.5)])
    def test_cuts_are_shares(self, fractions: tuple[float, ...]) -> None:
        with pytest.raises(ShapeError, match="below 1"):
            board_coverage(torch.ones(3, 1), torch.ones(3, 1), fractions=fractions)


class TestBoardReconstruction:
    # Feature 0 has a latent of its own; latent 1 fires with 0 and 1 half of the time each.
    TRAIN_C = tensor([[1, 0], [1, 0], [0, 1], [0, 1]] * 10)
    TRAIN_Z = tensor([[1, 1], [1, 0], [0, 1], [0, 0]] * 10)

    def test_golden(self) -> None:
        test_c = tensor([[1, 1], [1, 0], [0, 1], [0, 0]])
        test_z = tensor([[1, 0], [1, 1], [1, 0], [1, 0]])
        found = board_reconstruction(self.TRAIN_C, self.TRAIN_Z, test_c, test_z)
        # Told: feature 0, on every sample. F1 is 2/3, 1, 0 and, with nothing there, not counted.
        assert found.f1.tolist() == pytest.approx([5 / 9] * 10)
        assert found.best == pytest.approx(5 / 9)
        assert found.n_precise.tolist() == [1] * 10
        assert found.n_defined == 3

    def test_cuts_are_of_the_training_maximum(self) -> None:
        # Precise above half of 10 only; on test samples 5 is not above it.
        train_c = tensor([[1], [0]] * 10)
        train_z = tensor([[10], [5]] * 10)
        found = board_reconstruction(
            train_c, train_z, tensor([[1], [1]]), tensor([[6], [5]]), fractions=(0, 0.5)
        )
        assert found.n_precise.tolist() == [0, 1]
        assert found.f1.tolist() == [0, 0.5]
        assert found.best == 0.5

    @pytest.mark.parametrize(("precision", "told"), [(0.95, 1), (0.951, 0)])
    def test_precision_is_inclusive(self, precision: float, told: int) -> None:
        c = tensor([[1]] * 19 + [[0]])
        found = board_reconstruction(
            c, torch.ones(20, 1), c, torch.ones(20, 1), precision=precision
        )
        assert found.n_precise[0] == told

    @pytest.mark.parametrize(("minimum", "told"), [(10, 1), (11, 0)])
    def test_firings_must_be_enough(self, minimum: int, told: int) -> None:
        c = tensor([[1]] * 10 + [[0]] * 5)
        found = board_reconstruction(c, c, c, c, minimum=minimum)
        assert found.n_precise[0] == told
        assert found.best == told

    def test_several_latents_tell_a_feature_once(self) -> None:
        c = tensor([[1]] * 10 + [[0]] * 5)
        found = board_reconstruction(c, c.repeat(1, 3), c, c.repeat(1, 3))
        assert found.n_precise[0] == 3
        assert found.best == 1

    def test_sparse_codes_give_the_same(self) -> None:
        codes = [SparseCodes.from_dense(x) for x in (self.TRAIN_C, self.TRAIN_Z)]
        dense = board_reconstruction(self.TRAIN_C, self.TRAIN_Z, self.TRAIN_C, self.TRAIN_Z)
        sparse = board_reconstruction(*codes, *codes)
        assert dense.f1.tolist() == sparse.f1.tolist()

    def test_empty_boards_and_bad_input(self) -> None:
        empty = board_reconstruction(self.TRAIN_C, self.TRAIN_Z, 0 * self.TRAIN_C, self.TRAIN_Z)
        assert math.isnan(empty.best)
        with pytest.raises(ShapeError, match="expected the same"):
            board_reconstruction(self.TRAIN_C, self.TRAIN_Z, self.TRAIN_C[:, :1], self.TRAIN_Z)
        with pytest.raises(DataError, match="NaN"):
            board_coverage(self.TRAIN_C, math.nan * self.TRAIN_Z)
