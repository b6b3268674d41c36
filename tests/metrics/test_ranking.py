from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.ranking import Ranking, ranking, ranking_table

from .draw import SEEDS, normal, tensor

C = tensor([[0], [0], [0], [0], [1], [2], [0.5], [1.5]])
ZERO = torch.tensor([0])
SCORES = ("auroc", "average_precision", "best_f1", "best_cut")


@st.composite
def truth_and_ties(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Few different activations, negative ones included; features may be constant."""
    n_samples = draw(st.integers(1, 25))
    active = draw(hnp.arrays(np.bool_, (n_samples, draw(st.integers(1, 3)))))
    levels = st.sampled_from([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 3.0])
    latents = draw(hnp.arrays(np.float64, (n_samples, draw(st.integers(1, 3))), elements=levels))
    return torch.from_numpy(active).double(), torch.from_numpy(latents)


def sklearn_scores(y: np.ndarray, z: np.ndarray) -> tuple[float, float, float]:
    if not y.any():
        return math.nan, math.nan, math.nan
    precision, recall, _ = sk.precision_recall_curve(y, z)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    auroc = math.nan if y.all() else sk.roc_auc_score(y, z)
    return auroc, sk.average_precision_score(y, z), f1.max()


def one(c: Tensor, z: Tensor) -> Ranking:
    return ranking(c[:, None], z[:, None], ZERO, ZERO)


class TestRanking:
    @pytest.mark.parametrize(
        ("latent", "auroc", "precision", "best_f1"),
        [
            ([0, 0, 0, 0, 0.8, 1.6, 0.4, 1.2], 1, 1, 1),
            ([0.3, 0, 0, 0.1, 0.9, 1.6, 0.4, 1.2], 1, 1, 1),
            ([0, 0, 0, 0, 1, 2, 0, 0], 0.75, 0.75, 0.666667),
            ([0, 0.6, 0, 0, 1, 0, 0.2, 1.1], 0.78125, 0.8125, 0.75),
            ([0, 0, 0, 0, 0, 0, 0, 0], 0.5, 0.5, 0.666667),
            ([0.1, 0.1, 0.1, 0.1, 1, 2, 0.5, 1.5], 1, 1, 1),
        ],
    )
    def test_golden(
        self, latent: list[float], auroc: float, precision: float, best_f1: float
    ) -> None:
        found = ranking(C, tensor(latent)[:, None], ZERO, ZERO)
        values = [found.auroc.item(), found.average_precision.item(), found.best_f1.item()]
        assert values == pytest.approx([auroc, precision, best_f1], abs=1e-6)

    def test_best_cut_is_inclusive_and_the_highest(self) -> None:
        c = tensor([1, 1, 0, 0, 1])
        assert one(c, tensor([3, 2, 1, 0, 2])).best_cut.item() == 2
        low = one(tensor([1, 0, 0, 1]), tensor([3, 0, 2, 1]))
        assert low.best_f1.item() == pytest.approx(0.8)
        assert low.best_cut.item() == 1
        # From 3 on F1 is 2/3, and again from 0 on.
        assert one(tensor([1, 0, 1, 0]), tensor([3, 2, 0, 0])).best_cut.item() == 3
        assert one(tensor([1, 0]), tensor([-1, -2])).best_cut.item() == -1

    @pytest.mark.parametrize(
        ("c", "z", "cut"),
        [
            ([1, 0, 1, 0], [3, 2, 0, 0], 3),
            ([1, 0, 1, 0, 0], [3, 2, 1, 0, 0], 1),
            ([1, 0, 0, 1, 1], [4, 3, 2, 1, 0], 0),
            ([1, 0, 0, 0, 1, 0, 0, 0, 1], [9, 0, 0, 0, 0, 0, 0, 0, 0], 9),
            ([1, 0, 0, 1], [4, 3, 2, 1], 4),
        ],
    )
    def test_the_best_cut_of_a_table_is_the_highest(
        self, c: list[float], z: list[float], cut: float
    ) -> None:
        y, scores = np.array(c) > 0, np.array(z)
        f1 = {level: sk.f1_score(y, scores >= level) for level in z}
        assert cut == max(level for level in z if f1[level] > max(f1.values()) - 1e-12)
        assert one(tensor(c), tensor(z)).best_cut.item() == cut
        found = ranking_table(tensor(c)[:, None], tensor(z)[:, None])
        assert found.best_cut.item() == cut

    @settings(max_examples=25)
    @given(truth_and_ties())
    def test_scores_are_sklearns(self, tables: tuple[Tensor, Tensor]) -> None:
        c, z = tables
        n, m = c.shape[1], z.shape[1]
        table = ranking_table(c, z)
        pairs = torch.cartesian_prod(torch.arange(n), torch.arange(m))
        alone = ranking(c, z, pairs[:, 0], pairs[:, 1])
        for k, (i, j) in enumerate(pairs.tolist()):
            expected = sklearn_scores(c[:, i].numpy() > 0, z[:, j].numpy())
            for found in (
                [getattr(table, name)[i, j].item() for name in SCORES[:3]],
                [getattr(alone, name)[k].item() for name in SCORES[:3]],
            ):
                assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
            if table.positives[i] > 0:
                cut = table.best_cut[i, j].item()
                f1 = sk.f1_score(c[:, i] > 0, z[:, j] >= cut)
                assert f1 == pytest.approx(expected[2])
            assert table.best_cut[i, j].item() == pytest.approx(
                alone.best_cut[k].item(), nan_ok=True
            )
        assert table.positives[:, 0].tolist() == (c > 0).sum(dim=0).tolist()
        assert table.n_samples == alone.n_samples == len(c)

    def test_many_samples_keep_all_digits(self) -> None:
        rng = np.random.default_rng(0)
        y, noise = rng.random(20_000) < 0.05, rng.exponential(size=20_000).round(3)
        z = np.where(rng.random(20_000) < 0.1 + 0.5 * y, noise, 0)
        found = one(torch.from_numpy(y).double(), torch.from_numpy(z))
        assert found.auroc.item() == pytest.approx(sk.roc_auc_score(y, z), abs=1e-14)
        expected = sk.average_precision_score(y, z)
        assert found.average_precision.item() == pytest.approx(expected, abs=1e-13)

    @given(truth_and_ties())
    def test_opposite_activation_has_the_opposite_auroc(
        self, tables: tuple[Tensor, Tensor]
    ) -> None:
        c, z = tables
        forward, backward = ranking_table(c, z).auroc, ranking_table(c, -z).auroc
        assert torch.allclose(forward, 1 - backward, equal_nan=True)

    @given(truth_and_ties())
    def test_monotone_maps_change_nothing(self, tables: tuple[Tensor, Tensor]) -> None:
        """One that moves 0 too, so that ties at 0 become ties elsewhere."""
        c, z = tables
        before, after = ranking_table(c, z), ranking_table(c, torch.exp(z) - 5)
        for name in SCORES[:3]:
            assert torch.allclose(getattr(before, name), getattr(after, name), equal_nan=True)

    def test_sparse_codes_give_the_same(self) -> None:
        c, z = normal(0, 50, 4).clamp(min=0), normal(1, 50, 5).clamp(min=-0.5)
        dense = ranking_table(c, z)
        sparse = ranking_table(SparseCodes.from_dense(c), SparseCodes.from_dense(z))
        for name in SCORES:
            assert torch.equal(getattr(dense, name), getattr(sparse, name))

    def test_pairs_keep_their_order(self) -> None:
        """Latents are visited in their own order, once each."""
        c, z = normal(0, 40, 3).clamp(min=0), normal(1, 40, 4).clamp(min=0)
        feature, latent = torch.tensor([2, 0, -1, 1, 2]), torch.tensor([3, 1, 0, 3, -1])
        told: list[tuple[int, int]] = []
        found = ranking(c, z, feature, latent, report=lambda done, n: told.append((done, n)))
        table = ranking_table(c, z)
        for name in SCORES:
            values, whole = getattr(found, name), getattr(table, name)
            assert values[[0, 1, 3]].tolist() == whole[[2, 0, 1], [3, 1, 3]].tolist()
            assert torch.isnan(values[[2, 4]]).all()
        assert found.n_defined == 3
        assert told == [(1, 1)]

    def test_summaries_are_over_defined_pairs(self) -> None:
        c = torch.cat([C, 0 * C, C + 1], dim=1)
        table = ranking_table(c, 0.8 * C)
        assert table.auroc.isnan().tolist() == [[False], [True], [True]]
        assert table.average_precision[[0, 2]].tolist() == [[1], [1]]
        assert torch.isnan(table.average_precision[1])
        assert torch.isnan(table.best_f1[1])
        assert table.n_defined == 1
        assert table.mean_auroc == table.mean_average_precision == table.mean_best_f1 == 1

    def test_a_dead_latent_ties_all_samples(self) -> None:
        found = one(tensor([1, 0, 0, 0]), torch.zeros(4))
        assert (found.auroc.item(), found.average_precision.item()) == (0.5, 0.25)
        assert found.best_f1.item() == pytest.approx(0.4)
        assert found.best_cut.item() == 0

    def test_half_precision_and_gradients(self) -> None:
        z = C.bfloat16().requires_grad_()
        found = ranking(C, z, ZERO, ZERO)
        assert found.auroc.dtype == torch.float64
        assert found.auroc.item() == 1

    def test_empty_tables(self) -> None:
        assert ranking_table(torch.ones(3, 2), torch.ones(3, 0)).auroc.shape == (2, 0)
        assert ranking_table(torch.ones(3, 0), torch.ones(3, 2)).auroc.shape == (0, 2)
        none = ranking(torch.ones(3, 0), torch.ones(3, 0), ZERO[:0], ZERO[:0])
        assert math.isnan(none.mean_auroc)
        assert torch.isnan(ranking_table(torch.ones(0, 1), torch.ones(0, 1)).auroc).all()

    @given(SEEDS)
    def test_order_of_samples_changes_nothing(self, seed: int) -> None:
        c, z = normal(seed, 20, 2).clamp(min=0), normal(seed + 1, 20, 2).round()
        order = torch.from_numpy(np.random.default_rng(seed).permutation(20))
        before, after = ranking_table(c, z), ranking_table(c[order], z[order])
        assert torch.allclose(before.auroc, after.auroc, equal_nan=True)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 8 samples and latents has 7"):
            ranking_table(C, C[:7])
        with pytest.raises(ShapeError, match="latent from 0 to 1: expected 0 to 0"):
            ranking(C, C, torch.tensor([0, 0]), torch.tensor([0, 1]))
        with pytest.raises(ShapeError, match="one entry a pair"):
            ranking(C, C, ZERO, torch.tensor([0, 0]))
        with pytest.raises(DataError, match="latents: 1 of 8"):
            ranking(C, C.masked_fill(C == 2, math.nan), ZERO, ZERO)
