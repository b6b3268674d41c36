from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import splitting as module
from toysae.metrics.codes import SparseCodes
from toysae.metrics.splitting import splitting

from .draw import SEEDS, tensor


def table(*firings: range | list[int], n_samples: int) -> Tensor:
    """A column for each list of samples."""
    columns = torch.zeros(n_samples, len(firings))
    for j, samples in enumerate(firings):
        columns[list(samples), j] = 1
    return columns


class TestGolden:
    def test_two_halves(self) -> None:
        """Six samples of the feature; one latent on the first three, one on the others."""
        found = splitting(table(range(6), n_samples=9), table(range(3), range(3, 6), n_samples=9))
        assert found.single_f1.item() == pytest.approx(0.666667, abs=1e-6)
        assert found.union_f1.item() == 1
        assert found.jump.item() == pytest.approx(0.333333, abs=1e-6)
        assert found.count.tolist() == [2]
        assert found.saebench_num_splits.tolist() == [1]
        assert found.parts == ((0, 1),)
        assert found.fraction == 1

    def test_one_latent_for_all_of_it_is_no_split(self) -> None:
        found = splitting(
            table(range(6), n_samples=9), table(range(3), range(3, 6), range(6), n_samples=9)
        )
        assert found.parts == ((2,),)
        assert found.count.tolist() == [0]
        assert found.jump.tolist() == [0]
        assert found.is_split.tolist() == [0]

    def test_parts_join_in_the_order_of_what_they_add(self) -> None:
        found = splitting(
            table(range(10), n_samples=12),
            table(range(2), range(2, 5), range(5, 10), n_samples=12),
        )
        assert found.parts == ((2, 1, 0),)
        assert found.count.tolist() == [3]
        assert found.saebench_num_splits.tolist() == [2]


class TestThresholds:
    def test_precision_of_nine_tenths_is_too_little(self) -> None:
        truth = table(range(30), n_samples=40)
        at = table(range(9), range(9, 30), n_samples=40)
        at[35, 0] = 1
        assert splitting(truth, at).count.tolist() == [0]
        above = table(range(10), range(10, 30), n_samples=40)
        above[35, 0] = 1
        assert splitting(truth, above).count.tolist() == [2]

    def test_overlap_of_a_tenth_is_too_much(self) -> None:
        """Two samples shared of twenty: J = .1; one: J = .05."""
        truth = table(range(20), n_samples=20)
        assert splitting(truth, table(range(11), range(9, 20), n_samples=20)).parts == ((0,),)
        assert splitting(truth, table(range(11), range(10, 20), n_samples=20)).parts == ((0, 1),)

    def test_a_jump_of_three_hundredths_is_enough(self) -> None:
        """Single F1 2a/(N+a): with N = 200 a latent on 188 has .969072, on 187 has .966408."""
        truth = table(range(200), n_samples=200)
        little = table(range(189), range(189, 200), n_samples=200)
        assert splitting(truth, little).count.tolist() == [0]
        assert splitting(truth, little).parts == ((0,),)
        enough = table(range(188), range(188, 200), n_samples=200)
        assert 1 - 2 * 188 / 388 > 0.03
        assert splitting(truth, enough).count.tolist() == [2]
        # 2a / (N + a) = .97 with a = 97, N = 103: a jump of exactly .03.
        exact = table(range(97), range(97, 103), n_samples=103)
        assert splitting(table(range(103), n_samples=103), exact).count.tolist() == [2]

    def test_an_imprecise_latent_that_detects_it_better_is_a_better_single(self) -> None:
        truth = table(range(10), n_samples=20)
        latents = table(range(5), range(5, 8), range(12), n_samples=20)
        found = splitting(truth, latents)
        assert found.single_f1.item() == pytest.approx(20 / 22)
        assert found.union_f1.item() == pytest.approx(16 / 18)
        assert found.parts == ((0, 1),)
        assert found.count.tolist() == [0]

    def test_firing_is_strictly_above_the_threshold(self) -> None:
        truth = table(range(6), n_samples=6)
        latents = table(range(3), range(3, 6), n_samples=6) * torch.tensor([0.5, 2])
        assert splitting(truth, latents, threshold=0.5).parts == ((1,),)
        assert splitting(truth, latents, threshold=0.49).parts == ((0, 1),)


class TestDegenerate:
    def test_absent_features_and_silent_latents(self) -> None:
        found = splitting(table([], range(4), n_samples=6), table([], [5], n_samples=6))
        assert torch.isnan(found.single_f1).tolist() == [True, False]
        assert torch.isnan(found.union_f1).all()
        assert torch.isnan(found.is_split).tolist() == [True, False]
        assert found.single_f1[1] == 0
        assert found.parts == ((), ())
        assert found.fraction == 0

    def test_nothing_at_all(self) -> None:
        assert math.isnan(splitting(torch.zeros(0, 2), torch.zeros(0, 3)).fraction)
        assert math.isnan(splitting(torch.ones(3, 0), torch.ones(3, 2)).fraction)
        assert splitting(torch.ones(3, 2), torch.ones(3, 0)).fraction == 0

    def test_different_samples_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="coefficients has 3 samples and latents has 2"):
            splitting(torch.ones(3, 1), torch.ones(2, 1))
        with pytest.raises(DataError, match="coefficients: 1 of 1"):
            splitting(tensor([[math.nan]]), torch.ones(1, 1))


def test_groups_and_progress() -> None:
    truth = table(range(6), range(2), n_samples=8)
    latents = table(range(3), range(3, 6), n_samples=8)
    seen: list[tuple[int, int]] = []
    found = splitting(truth, latents, report=lambda *done: seen.append(done))
    groups = found.by_group({"split": [0], "whole": [1], "all": [0, 1]})
    assert [groups[name].mean for name in ("split", "whole", "all")] == [1, 0, 0.5]
    assert seen == [(1, 2), (2, 2)]


@settings(max_examples=25)
@given(SEEDS, st.integers(2, 5))
def test_what_is_called_split_is_split(seed: int, m: int) -> None:
    """Every condition, by scikit-learn; and sparse codes give what tables give."""
    rng = np.random.default_rng(seed)
    y = rng.random(60) < 0.5
    owner = rng.integers(m, size=60)
    fired = (owner[:, None] == np.arange(m)) & y[:, None]
    fired ^= rng.random((60, m)) < 0.01
    truth, latents = torch.from_numpy(y[:, None]).float(), torch.from_numpy(fired).float()
    found = splitting(truth, latents)
    sparse = splitting(SparseCodes.from_dense(truth), SparseCodes.from_dense(latents))
    assert found.parts == sparse.parts
    parts = found.parts[0]
    for j in parts:
        assert precision_score(y, fired[:, j]) > module.MIN_PRECISION
    for i, j in itertools.combinations(parts, 2):
        assert jaccard_score(fired[:, i], fired[:, j]) < module.MAX_OVERLAP
    singles = [f1_score(y, fired[:, j]) for j in range(m)]
    assert found.single_f1.item() == pytest.approx(max(singles))
    if parts:
        union = fired[:, list(parts)].any(axis=1)
        assert found.union_f1.item() == pytest.approx(f1_score(y, union))
    split = len(parts) > 1 and found.jump.item() >= 0.03
    assert (found.count.item() >= 2) == split
