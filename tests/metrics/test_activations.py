from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import activations

from .draw import SEEDS, firing_tables, normal, tensor


class TestDensity:
    def test_golden(self) -> None:
        latents = tensor([[0, 1, -2, 0.5], [0, 0, 1, 0.5], [0, 0, 0, 0.5], [0, 0, 0, 0.5]])
        density = activations.density(latents)
        assert density.frequency.tolist() == [0, 0.25, 0.5, 1]
        assert density.dead.tolist() == [True, False, False, False]
        assert (density.n_dead, density.n_samples) == (1, 4)
        assert density.mean == 1.75 / 4
        assert activations.mean_l0(latents) == 1.75

    def test_the_threshold_is_strict(self) -> None:
        assert activations.density(tensor([[0.5], [0.6]]), 0.5).frequency.tolist() == [0.5]

    def test_the_threshold_is_not_rounded_to_the_latents_precision(self) -> None:
        # The nearest bfloat16 to .1 is .10009765625, which is above .1.
        latents = torch.tensor([[0.1]], dtype=torch.bfloat16)
        assert activations.density(latents, 0.1).frequency.tolist() == [1]

    @given(SEEDS, st.integers(1, 20), st.integers(0, 6), st.sampled_from([0.0, 0.4]))
    def test_mean_l0_is_the_sum_of_densities(
        self, seed: int, n: int, m: int, threshold: float
    ) -> None:
        latents = normal(seed, n, m).clamp(min=0)
        frequency = activations.density(latents, threshold).frequency
        l0 = activations.mean_l0(latents, threshold)
        assert l0 == pytest.approx(frequency.sum().item())

    @given(SEEDS, st.integers(1, 20), st.integers(1, 20))
    def test_concatenation_is_the_weighted_mean(self, seed: int, n: int, m: int) -> None:
        first, second = normal(seed, n, 3).clamp(min=0), normal(seed + 1, m, 3).clamp(min=0)
        both = activations.density(torch.cat([first, second])).frequency
        parts = [activations.density(x).frequency for x in (first, second)]
        assert torch.allclose(both, (n * parts[0] + m * parts[1]) / (n + m))

    def test_more_samples_than_are_held_at_once(self) -> None:
        latents = torch.zeros(20_001, 2)
        latents[::2, 0] = 1
        assert activations.density(latents).frequency.tolist() == [10_001 / 20_001, 0]
        counts = activations.firing_counts(latents > 0, latents > 0)
        assert counts.n11.tolist() == [[10_001, 0], [0, 0]]

    def test_no_samples_is_undefined(self) -> None:
        density = activations.density(torch.ones(0, 3))
        assert torch.isnan(density.frequency).all()
        assert density.n_dead == 0
        assert math.isnan(activations.mean_l0(torch.ones(0, 3)))
        assert activations.mean_l0(torch.ones(3, 0)) == 0

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="two axes"):
            activations.density(torch.ones(3))
        with pytest.raises(DataError, match="NaN"):
            activations.density(tensor([[math.nan]]))
        for threshold in (-0.1, math.nan, math.inf):
            with pytest.raises(DataError, match="threshold"):
                activations.mean_l0(torch.ones(2, 2), threshold)


class TestCofiring:
    def test_golden(self) -> None:
        pair = activations.cofiring(15, 20, 30, 100)
        assert pair.jaccard.item() == pytest.approx(15 / 35)
        assert pair.phi.item() == pytest.approx(0.490990, abs=1e-6)
        assert pair.dice.item() == pytest.approx(0.6)
        assert pair.overlap.item() == pytest.approx(0.75)
        assert pair.second_given_first.item() == pytest.approx(0.75)
        assert pair.first_given_second.item() == pytest.approx(0.5)
        assert pair.lift.item() == pytest.approx(2.5)
        assert activations.expected_jaccard(0.2, 0.3).item() == pytest.approx(0.136364, abs=1e-6)
        assert 100 * pair.phi.item() ** 2 == pytest.approx(24.107143, abs=1e-6)

    @given(firing_tables())
    def test_coefficients_are_those_of_the_indicators(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        counts = activations.firing_counts(first, second)
        pair = activations.cofiring(*counts)
        for i, j in itertools.product(range(first.shape[1]), range(second.shape[1])):
            a, b = first[:, i].numpy(), second[:, j].numpy()
            assert counts.n11[i, j] == (a & b).sum()
            if a.any() or b.any():
                assert pair.jaccard[i, j].item() == pytest.approx(sk.jaccard_score(a, b))
                assert pair.dice[i, j].item() == pytest.approx(sk.f1_score(a, b))
            else:
                assert math.isnan(pair.jaccard[i, j])
                assert math.isnan(pair.dice[i, j])
            if 0 < a.mean() < 1 and 0 < b.mean() < 1:
                expected = np.corrcoef(a, b)[0, 1]
                assert pair.phi[i, j].item() == pytest.approx(expected, abs=1e-9)
            else:
                assert math.isnan(pair.phi[i, j])
            if a.any() and b.any():
                assert pair.lift[i, j].item() == pytest.approx((a & b).mean() / a.mean() / b.mean())
                assert pair.second_given_first[i, j].item() == pytest.approx(b[a].mean())
                assert pair.first_given_second[i, j].item() == pytest.approx(a[b].mean())
            else:
                assert math.isnan(pair.lift[i, j])

    @given(firing_tables())
    def test_identities(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        counts = activations.firing_counts(first, second)
        pair = activations.cofiring(*counts)
        assert torch.allclose(pair.dice, 2 * pair.jaccard / (1 + pair.jaccard), equal_nan=True)
        smaller, larger = torch.minimum(counts.n1, counts.n2), torch.maximum(counts.n1, counts.n2)
        assert not (pair.jaccard > smaller.double() / larger + 1e-12).any()
        complement = activations.cofiring(*activations.firing_counts(first, ~second))
        assert torch.allclose(complement.phi, -pair.phi, equal_nan=True)

    def test_phi_squared_is_chi_squared(self) -> None:
        chi_squared = stats.chi2_contingency([[15, 5], [15, 65]], correction=False).statistic
        assert 100 * activations.cofiring(15, 20, 30, 100).phi.item() ** 2 == pytest.approx(
            chi_squared
        )

    @pytest.mark.parametrize("counts", [(5, 4, 9, 20), (-1, 4, 9, 20), (0, 12, 9, 20)])
    def test_impossible_counts_are_refused(self, counts: tuple[int, int, int, int]) -> None:
        with pytest.raises(DataError, match="do not fit"):
            activations.cofiring(*counts)

    def test_expected_jaccard_is_what_independent_latents_reach(self) -> None:
        rng = np.random.default_rng(0)
        a, b = (torch.from_numpy(rng.random((100_000, 1)) < p) for p in (0.2, 0.3))
        found = activations.cofiring(*activations.firing_counts(a, b)).jaccard.item()
        assert found == pytest.approx(activations.expected_jaccard(0.2, 0.3).item(), abs=0.005)

    def test_expected_jaccard_degenerate(self) -> None:
        assert math.isnan(activations.expected_jaccard(0.0, 0.0))
        assert activations.expected_jaccard(1.0, 1.0) == 1
        with pytest.raises(DataError, match="p2 leaves"):
            activations.expected_jaccard(0.5, 1.5)
        with pytest.raises(DataError, match="p1: 1 of 1"):
            activations.expected_jaccard(math.nan, 0.5)


class TestJaccard:
    @given(firing_tables(), st.integers(0, 4))
    def test_table_is_sklearns_but_for_rare_latents(
        self, tables: tuple[Tensor, Tensor], minimum: int
    ) -> None:
        first, second = tables
        table = activations.jaccard(first, second, minimum)
        for i, j in itertools.product(range(first.shape[1]), range(second.shape[1])):
            a, b = first[:, i].numpy(), second[:, j].numpy()
            if min(a.sum(), b.sum()) >= max(minimum, 1):
                assert table.jaccard[i, j].item() == pytest.approx(sk.jaccard_score(a, b))
            else:
                assert math.isnan(table.jaccard[i, j])

    @given(firing_tables())
    def test_swapping_transposes(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        forth, back = (
            activations.jaccard(first, second, 1),
            activations.jaccard(second, first, 1),
        )
        assert torch.allclose(forth.jaccard, back.jaccard.T, equal_nan=True)
        assert torch.allclose(forth.a_to_b, back.b_to_a, equal_nan=True)
        assert forth.surviving_a == back.surviving_b
        assert forth.matching.total == pytest.approx(back.matching.total, nan_ok=True)

    @given(firing_tables(), SEEDS)
    def test_distance_is_a_metric(self, tables: tuple[Tensor, Tensor], seed: int) -> None:
        first, second = tables
        generator = torch.Generator().manual_seed(seed)
        third = torch.rand(len(first), 1, generator=generator) < 0.5
        ab = activations.jaccard(first, second, 1).jaccard[0, 0]
        bc = activations.jaccard(second, third, 1).jaccard[0, 0]
        ac = activations.jaccard(first, third, 1).jaccard[0, 0]
        assert not (1 - ac > (1 - ab) + (1 - bc) + 1e-12)

    def test_best_partners_and_matching(self) -> None:
        fires_a = torch.zeros(40, 3, dtype=torch.bool)
        fires_b = torch.zeros(40, 2, dtype=torch.bool)
        fires_a[:20, 0] = True
        fires_a[10:20, 1] = True
        fires_a[:9, 2] = True
        fires_b[:15, 0] = True
        fires_b[20:30, 1] = True
        table = activations.jaccard(fires_a, fires_b)
        assert table.a_to_b[:2].tolist() == [0.75, 0.25]
        assert math.isnan(table.a_to_b[2])
        assert table.a_to_b_index.tolist() == [0, 0, -1]
        assert table.b_to_a.tolist() == [0.75, 0]
        assert (table.surviving_a, table.surviving_b) == (pytest.approx(2 / 3), 1)
        assert (table.mean_a_to_b, table.mean_b_to_a) == (0.5, 0.375)
        assert table.matching.rows.tolist() == [0]
        assert table.matching.mean_over_max == 0.375
        assert table.firings_a.tolist() == [20, 10, 9]

    def test_equal_sets_overlap_fully(self) -> None:
        fires = torch.eye(3, dtype=torch.bool)
        assert torch.equal(activations.jaccard(fires, fires, 1).jaccard, torch.eye(3).double())
        assert torch.isnan(activations.jaccard(fires, fires).jaccard).all()

    def test_empty_tables(self) -> None:
        table = activations.jaccard(torch.ones(4, 0) > 0, torch.ones(4, 2) > 0, 1)
        assert table.jaccard.shape == (0, 2)
        assert torch.isnan(table.b_to_a).all()
        assert math.isnan(table.surviving_a)
        assert table.surviving_b == 1

    def test_bad_input_is_refused(self) -> None:
        fires = torch.ones(4, 2, dtype=torch.bool)
        with pytest.raises(DataError, match=r"torch\.bool"):
            activations.jaccard(torch.ones(4, 2), fires)
        with pytest.raises(ShapeError, match="fires_a has 4 samples and fires_b has 3"):
            activations.jaccard(fires, fires[:3])
        with pytest.raises(ShapeError, match="minimum=-1"):
            activations.jaccard(fires, fires, -1)
