from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.dictionary import max_cosine
from toysae.metrics.subspaces import linear_cka, principal_angles, standardized

from .draw import SEEDS, normal, rotation, tensor

X = tensor([[0, 0], [1, 0], [0, 1], [1, 1], [2, 0]])
Y = tensor([[0], [1], [0], [1], [2]])


def projection(rows: Tensor) -> Tensor:
    return torch.linalg.pinv(rows) @ rows


def hsic(x: Tensor, y: Tensor) -> float:
    """Unbiased estimate as published, from whole kernels without diagonal."""
    n, kernels = len(x), []
    for values in (x, y):
        kernel = values @ values.T
        kernels.append(kernel - torch.diag(kernel.diagonal()))
    k, m = kernels
    ones = torch.ones(n, dtype=torch.float64)
    trace, totals = torch.trace(k @ m), (ones @ k @ ones) * (ones @ m @ ones)
    cross = ones @ k @ m @ ones
    scale = n * (n - 3)
    return float((trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / scale)


class TestPrincipalAngles:
    def test_golden(self) -> None:
        c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
        e = torch.eye(3, dtype=torch.float64)
        found = principal_angles(e[:2], tensor([[1, 0, 0], [0, c, s]]))
        assert found.angles.tolist() == pytest.approx([math.pi / 6, 0], abs=1e-9)
        assert found.overlap == pytest.approx(0.875)
        assert found.chordal == pytest.approx(0.5)
        assert found.expected_overlap == pytest.approx(2 / 3)
        assert (found.rank_a, found.rank_b, found.d) == (2, 2, 3)

    @given(SEEDS, st.integers(1, 3), st.integers(1, 3))
    def test_are_scipys(self, seed: int, n: int, m: int) -> None:
        a, b = normal(seed, n, 4), normal(seed + 1, m, 4)
        expected = subspace_angles(a.T.numpy(), b.T.numpy())
        assert principal_angles(a, b).angles.tolist() == pytest.approx(expected.tolist(), abs=1e-7)

    @given(SEEDS, st.integers(1, 3))
    def test_overlap_and_distance_are_those_of_the_projections(self, seed: int, k: int) -> None:
        a, b = normal(seed, k, 5), normal(seed + 1, k, 5)
        found, p, q = principal_angles(a, b), projection(a), projection(b)
        assert found.overlap == pytest.approx(float(torch.trace(p @ q)) / k)
        assert found.chordal == pytest.approx(float((p - q).norm()) / math.sqrt(2))

    @given(SEEDS)
    def test_know_nothing_of_the_basis(self, seed: int) -> None:
        a, b = normal(seed, 2, 5), normal(seed + 1, 3, 5)
        mixed = torch.cat([normal(seed + 2, 2, 2) @ a, 3 * a[:1], torch.zeros(1, 5)])
        found, expected = principal_angles(mixed, b), principal_angles(a, b)
        assert found.rank_a == 2
        assert found.angles.tolist() == pytest.approx(expected.angles.tolist(), abs=1e-6)

    def test_the_same_plane_in_another_basis(self) -> None:
        e = torch.eye(3, dtype=torch.float64)[:2]
        turned = tensor([[1, 1, 0], [1, -1, 0]])
        assert max_cosine(e, turned).minimum == pytest.approx(math.sqrt(0.5))
        found = principal_angles(e, turned)
        assert found.angles.tolist() == pytest.approx([0, 0], abs=1e-7)
        assert (found.overlap, found.chordal) == (pytest.approx(1), pytest.approx(0, abs=1e-7))

    def test_of_unequal_ranks_and_of_everything(self) -> None:
        e = torch.eye(4)
        found = principal_angles(e[:1], e[:3])
        assert (found.overlap, found.chordal, found.expected_overlap) == (1, 0, 0.75)
        assert principal_angles(e[3:], e[:3]).overlap == pytest.approx(0, abs=1e-12)
        everything = principal_angles(normal(0, 6, 4), normal(1, 5, 4))
        assert everything.overlap == pytest.approx(1)
        assert everything.expected_overlap == 1

    def test_random_subspaces_overlap_by_chance(self) -> None:
        for k, m in ((2, 2), (1, 3)):
            found = [
                principal_angles(normal(2 * seed, k, 6), normal(2 * seed + 1, m, 6))
                for seed in range(300)
            ]
            overlap = np.array([angles.overlap for angles in found])
            error = overlap.std(ddof=1) / math.sqrt(len(overlap))
            assert abs(overlap.mean() - found[0].expected_overlap) < 4 * error < 0.06
            assert found[0].expected_overlap == max(k, m) / 6

    def test_zero_and_dead_rows_span_nothing(self) -> None:
        a = torch.eye(3)
        for nothing in (torch.zeros(2, 3), a[:0]):
            found = principal_angles(nothing, a[:1])
            assert found.angles.shape == (0,)
            assert (found.rank_a, found.rank_b) == (0, 1)
            assert math.isnan(found.overlap)
            assert math.isnan(found.expected_overlap)
            assert math.isnan(found.chordal)
        alive = torch.tensor([True, False, True])
        assert principal_angles(a, a[1:2], alive_a=alive).overlap == pytest.approx(0, abs=1e-12)
        assert principal_angles(a[1:2], a, alive_b=alive).rank_b == 2

    def test_wrong_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="3 dimensions and b of 4"):
            principal_angles(torch.ones(2, 3), torch.ones(2, 4))
        with pytest.raises(DataError, match="a: 6 of 6"):
            principal_angles(torch.full((2, 3), math.nan), torch.ones(2, 3))


class TestCKA:
    def test_golden(self) -> None:
        found = linear_cka(X, Y)
        assert found.biased == pytest.approx(0.926096, abs=1e-6)
        assert found.debiased == pytest.approx(0.870388, abs=1e-6)
        assert found.n_samples == 5

    def test_golden_unrelated_tables(self) -> None:
        rng = np.random.default_rng(0)
        x, y = (torch.from_numpy(rng.normal(size=(50, 200))) for _ in range(2))
        found = linear_cka(x, y)
        assert found.biased == pytest.approx(0.820819, abs=1e-6)
        assert found.debiased == pytest.approx(0.083501, abs=1e-6)

    @given(SEEDS, st.integers(4, 9), st.integers(1, 20), st.integers(1, 8))
    def test_is_the_ratio_of_published_estimates(self, seed: int, n: int, p: int, q: int) -> None:
        x, y = normal(seed, n, p) + 3, normal(seed + 1, n, q) - 5
        found = linear_cka(x, y)
        centered = x - x.mean(dim=0), y - y.mean(dim=0)
        norms = [float((s.T @ s).norm()) for s in centered]
        cross = float((centered[1].T @ centered[0]).norm()) ** 2
        assert found.biased == pytest.approx(cross / (norms[0] * norms[1]))
        expected = hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
        assert found.debiased == pytest.approx(expected, abs=1e-6)

    @given(SEEDS)
    def test_does_not_see_the_basis_of_either_side(self, seed: int) -> None:
        x, y = normal(seed, 12, 4), normal(seed + 1, 12, 3)
        turned = linear_cka(2 * x @ rotation(seed + 2, 4) + 1, y @ rotation(seed + 3, 3))
        expected = linear_cka(x, y)
        assert turned.biased == pytest.approx(expected.biased)
        assert turned.debiased == pytest.approx(expected.debiased, abs=1e-9)
        itself = linear_cka(x, x @ rotation(seed + 4, 4))
        assert (itself.biased, itself.debiased) == (pytest.approx(1), pytest.approx(1))

    def test_unrelated_tables_are_unrelated_only_when_debiased(self) -> None:
        found = [linear_cka(normal(2 * s, 10, 30), normal(2 * s + 1, 10, 30)) for s in range(200)]
        assert min(cka.biased for cka in found) > 0.5
        debiased = np.array([cka.debiased for cka in found])
        assert abs(debiased.mean()) < 4 * debiased.std(ddof=1) / math.sqrt(len(found))
        assert debiased.min() < 0

    def test_a_dense_column_decides_unless_standardized(self) -> None:
        shared = 100 * normal(0, 40, 1)
        x, y = torch.cat([shared, normal(1, 40, 3)], 1), torch.cat([shared, normal(2, 40, 3)], 1)
        assert linear_cka(x, y).debiased > 0.99
        assert linear_cka(standardized(x), standardized(y)).debiased < 0.6

    def test_standardized(self) -> None:
        found = standardized(tensor([[1, 7, 0.1], [3, 7, 0.1], [5, 7, 0.1]]))
        step = math.sqrt(3 / 2)
        assert found[:, 0].tolist() == pytest.approx([-step, 0, step])
        assert not found[:, 1:].any()
        assert standardized(torch.zeros(0, 2)).shape == (0, 2)

    def test_of_too_many_samples_evenly_spaced_ones_are_used(self) -> None:
        x, y = normal(0, 10, 2), normal(1, 10, 3)
        found = linear_cka(x, y, max_samples=4)
        assert found == linear_cka(x[[0, 2, 5, 7]], y[[0, 2, 5, 7]])
        assert found.n_samples == 4
        assert linear_cka(x, y, max_samples=9).n_samples == 9
        assert linear_cka(x, y, max_samples=10) == linear_cka(x, y)

    def test_undefined_values(self) -> None:
        few = linear_cka(X[:3], Y[:3])
        assert few.biased > 0
        assert math.isnan(few.debiased)
        for seed in range(20):
            assert math.isnan(linear_cka(normal(seed, 3, 2), normal(seed + 1, 3, 2)).debiased)
        assert not math.isnan(linear_cka(X[:4], Y[:4]).debiased)
        for nothing in (linear_cka(X, torch.full((5, 2), 0.1)), linear_cka(X[:0], Y[:0])):
            assert math.isnan(nothing.biased)
            assert math.isnan(nothing.debiased)

    def test_wrong_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="x has 5 samples and y has 4"):
            linear_cka(X, Y[:4])
        with pytest.raises(ShapeError, match="two axes"):
            linear_cka(X, Y[:, 0])
        with pytest.raises(ShapeError, match="max_samples=0"):
            linear_cka(X, Y, max_samples=0)
        with pytest.raises(DataError, match="y: 5 of 5"):
            linear_cka(X, Y * math.nan)
        with pytest.raises(DataError, match="activations: 5 of 5"):
            standardized(Y * math.inf + math.nan)
