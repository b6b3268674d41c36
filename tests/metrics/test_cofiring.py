from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn import metrics as sk
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import cofiring
from toysae.metrics._firing import magnitudes

from .draw import SEEDS, firing_tables, normal, tensor

SYMMETRIC = (
    "jaccard",
    "dice",
    "overlap",
    "phi",
    "phi_max",
    "chi_squared",
    "lift",
    "pmi",
    "jaccard_max",
    "jaccard_chance",
    "jaccard_adjusted",
)


class TestCofiring:
    def test_counts_of_more_samples_than_are_held_at_once(self) -> None:
        first = torch.zeros(20_001, 2, dtype=torch.bool)
        first[::2, 0] = True
        counts = cofiring.firing_counts(first, ~first[:, :1])
        assert counts.n11.tolist() == [[0], [0]]
        assert counts.n1.tolist() == [[10_001], [0]]
        assert counts.n2.tolist() == [[10_000]]
        assert counts.n_samples == 20_001
        assert cofiring.firing_counts(first, first).n11.tolist() == [[10_001, 0], [0, 0]]

    def test_golden(self) -> None:
        # N = 100, n1 = 20, n2 = 30, n11 = 15.
        pair = cofiring.cofiring(15, 20, 30, 100)
        expected = {
            "jaccard": 0.428571,
            "phi": 0.490990,
            "dice": 0.6,
            "overlap": 0.75,
            "second_given_first": 0.75,
            "first_given_second": 0.5,
            "lift": 2.5,
            "pmi": 0.916291,
            "jaccard_chance": 0.136364,
            "jaccard_max": 0.666667,
            "jaccard_adjusted": 0.551020,
            "phi_max": 0.763763,
            "chi_squared": 24.107143,
        }
        for name, value in expected.items():
            assert getattr(pair, name).item() == pytest.approx(value, abs=1e-6), name
        assert cofiring.expected_jaccard(0.2, 0.3).item() == pytest.approx(0.136364, abs=1e-6)
        exact = cofiring.exact_expected_jaccard(20, 30, 100)
        assert exact.item() == pytest.approx(0.138377, abs=1e-6)
        p = cofiring.fisher_p_value(15, 20, 30, 100)
        assert p.item() == pytest.approx(3.7641e-6, rel=1e-4)

    @given(firing_tables())
    def test_swapping_swaps_only_the_conditional_probabilities(
        self, tables: tuple[Tensor, Tensor]
    ) -> None:
        first, second = tables
        forth = cofiring.cofiring(*cofiring.firing_counts(first, second))
        back = cofiring.cofiring(*cofiring.firing_counts(second, first))
        for name in SYMMETRIC:
            table, other = getattr(forth, name), getattr(back, name)
            assert torch.allclose(table, other.T, equal_nan=True), name
        assert torch.equal(
            forth.second_given_first.nan_to_num(nan=-1),
            back.first_given_second.T.nan_to_num(nan=-1),
        )
        conditional = forth.second_given_first[~forth.second_given_first.isnan()]
        assert ((conditional >= 0) & (conditional <= 1)).all()

    def test_the_two_conditional_probabilities_differ(self) -> None:
        pair = cofiring.cofiring(15, 20, 30, 100)
        assert (pair.second_given_first.item(), pair.first_given_second.item()) == (0.75, 0.5)

    def test_degenerate_pairs(self) -> None:
        # Silent with firing, both silent, constant with varying, and never together.
        n11, n1 = torch.tensor([0, 0, 5, 0]), torch.tensor([0, 0, 10, 4])
        n2 = torch.tensor([5, 0, 5, 5])
        pair = cofiring.cofiring(n11, n1, n2, 10)
        assert pair.jaccard.isnan().tolist() == [False, True, False, False]
        assert pair.jaccard_max.tolist()[::2] == [0, 0.5]
        for name in ("phi", "phi_max", "chi_squared", "jaccard_adjusted"):
            undefined = getattr(pair, name).isnan().tolist()
            assert undefined == [True, True, True, False], name
        for name in ("overlap", "lift", "pmi"):
            assert getattr(pair, name).isnan().tolist() == [True, True, False, False], name
        assert pair.pmi[3] == -math.inf
        assert [pair.n_defined(name) for name in ("jaccard", "lift", "phi")] == [3, 2, 1]

    @pytest.mark.parametrize(
        ("successes", "union", "bound"),
        [(1, 1, 0.206549), (2, 2, 0.342380), (9, 10, 0.595850), (15, 35, 0.279846)],
    )
    def test_wilson_bounds(self, successes: int, union: int, bound: float) -> None:
        # Any sizes with this union: all of the one, and the joint firings of the other.
        pair = cofiring.cofiring(successes, union, successes, 200)
        assert pair.jaccard_wilson().item() == pytest.approx(bound, abs=1e-6)

    def test_wilson_bound_of_a_hundred(self) -> None:
        pair = cofiring.cofiring(100, 100, 100, 200)
        assert pair.jaccard_wilson().item() == pytest.approx(0.963007, abs=1e-6)

    @given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.5, 0.95, 0.99]))
    def test_wilson_bound_is_scipys(self, joint: int, union: int, confidence: float) -> None:
        joint = min(joint, union)
        interval = stats.binomtest(joint, union).proportion_ci(confidence, method="wilson")
        bound = cofiring.cofiring(joint, union, joint, 50).jaccard_wilson(confidence)
        assert bound.item() == pytest.approx(interval.low, abs=1e-12)

    def test_shrinking_to_chance(self) -> None:
        pair = cofiring.cofiring(15, 20, 30, 100)
        # J0 = .06 / .44 = 3 / 22: (15 + 22 * 3 / 22) / (35 + 22) = 18 / 57.
        assert pair.jaccard_shrunk(22).item() == pytest.approx(18 / 57)
        assert pair.jaccard_shrunk(1e12).item() == pytest.approx(3 / 22)
        assert pair.jaccard_shrunk(1e-12).item() == pytest.approx(3 / 7)
        assert cofiring.cofiring(1, 1, 1, 1000).jaccard_shrunk().item() < 0.1
        assert math.isnan(cofiring.cofiring(0, 0, 0, 9).jaccard_shrunk())
        for strength in (0, -1, math.nan):
            with pytest.raises(DataError, match="strength"):
                pair.jaccard_shrunk(strength)
        for confidence in (0, 1):
            with pytest.raises(DataError, match="confidence"):
                pair.jaccard_wilson(confidence)

    @pytest.mark.parametrize(
        ("q", "latent", "phi", "conditional"),
        [
            (0.1, 0.5, 0.248906, None),
            (0.1, 0.9, 0.654055, None),
            (0.1, 0.99, 0.890043, None),
            (0.01, 0.5, 0.120598, 0.129),
            (0.01, 0.9, 0.537344, 0.542),
            (0.01, 0.99, 0.848671, 0.850),
        ],
    )
    def test_the_correlation_of_a_copula_is_not_phi(
        self, q: float, latent: float, phi: float, conditional: float | None
    ) -> None:
        z = stats.norm.ppf(q)

        def given_first(x: float) -> float:
            return stats.norm.pdf(x) * stats.norm.cdf((z - latent * x) / math.sqrt(1 - latent**2))

        joint, _ = integrate.quad(given_first, -12, z, epsabs=1e-13)
        pair = cofiring.cofiring(*(torch.tensor(x) for x in (1e6 * joint, 1e6 * q, 1e6 * q, 1e6)))
        assert pair.phi.item() == pytest.approx(phi, abs=1e-6)
        if conditional is not None:
            assert pair.second_given_first.item() == pytest.approx(conditional, abs=5e-4)

    @given(firing_tables())
    def test_coefficients_are_those_of_the_indicators(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        counts = cofiring.firing_counts(first, second)
        pair = cofiring.cofiring(*counts)
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
    def test_the_rest_by_brute_force(self, tables: tuple[Tensor, Tensor]) -> None:
        """Best and chance levels by hand, chi-squared by scipy, PMI from mutual information."""
        first, second = tables
        pair = cofiring.cofiring(*cofiring.firing_counts(first, second))
        for i, j in itertools.product(range(first.shape[1]), range(second.shape[1])):
            a, b = first[:, i].numpy(), second[:, j].numpy()
            n, n1, n2 = len(a), int(a.sum()), int(b.sum())
            # The most alike that sets of these sizes can be: one inside the other.
            inside = np.arange(n) < n1, np.arange(n) < n2
            if n1 or n2:
                best = sk.jaccard_score(*inside)
                assert pair.jaccard_max[i, j].item() == pytest.approx(best)
                p1, p2 = n1 / n, n2 / n
                either = 1 - (1 - p1) * (1 - p2)
                assert pair.jaccard_chance[i, j].item() == pytest.approx(p1 * p2 / either)
            if n1 and n2:
                smaller = (a & b).sum() / min(n1, n2)
                assert pair.overlap[i, j].item() == pytest.approx(smaller)
            if not (0 < n1 < n and 0 < n2 < n):
                continue
            assert pair.phi_max[i, j].item() == pytest.approx(sk.matthews_corrcoef(*inside))
            table = np.array([[(x & y).sum() for y in (b, ~b)] for x in (a, ~a)])
            statistic = stats.chi2_contingency(table, correction=False).statistic
            assert pair.chi_squared[i, j].item() == pytest.approx(statistic, abs=1e-9)
            if table[0, 0]:
                # Mutual information is the mean of the pointwise ones; here of the first cell.
                rest = sum(
                    table[r, c] / n * math.log(table[r, c] * n / table[r].sum() / table[:, c].sum())
                    for r, c in ((0, 1), (1, 0), (1, 1))
                    if table[r, c]
                )
                pointwise = (sk.mutual_info_score(a, b) - rest) / (table[0, 0] / n)
                assert pair.pmi[i, j].item() == pytest.approx(pointwise, abs=1e-9)
            reached = sk.jaccard_score(a, b) - p1 * p2 / either
            if best > p1 * p2 / either:
                adjusted = reached / (best - p1 * p2 / either)
                assert pair.jaccard_adjusted[i, j].item() == pytest.approx(adjusted, abs=1e-9)

    @given(firing_tables())
    def test_identities(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        counts = cofiring.firing_counts(first, second)
        pair = cofiring.cofiring(*counts)
        assert torch.allclose(pair.dice, 2 * pair.jaccard / (1 + pair.jaccard), equal_nan=True)
        assert not (pair.jaccard > pair.jaccard_max + 1e-12).any()
        assert not (pair.phi > pair.phi_max + 1e-9).any()
        assert not (pair.jaccard_wilson() > pair.jaccard).any()
        shrunk, low, high = (
            pair.jaccard_shrunk(),
            torch.minimum(pair.jaccard, pair.jaccard_chance),
            torch.maximum(pair.jaccard, pair.jaccard_chance),
        )
        assert not ((shrunk < low - 1e-12) | (shrunk > high + 1e-12)).any()
        complement = cofiring.cofiring(*cofiring.firing_counts(first, ~second))
        assert torch.allclose(complement.phi, -pair.phi, equal_nan=True)
        both = cofiring.cofiring(*cofiring.firing_counts(~first, ~second))
        assert torch.allclose(both.phi, pair.phi, equal_nan=True)

    @given(firing_tables())
    def test_full_overlap_is_equality(self, tables: tuple[Tensor, Tensor]) -> None:
        first, second = tables
        second = torch.cat([second, first[:, :1]], dim=1)
        jaccard = cofiring.cofiring(*cofiring.firing_counts(first, second)).jaccard
        equal = (first[:, :, None] == second[:, None, :]).all(dim=0) & first.any(dim=0)[:, None]
        assert torch.equal(jaccard == 1, equal)

    @pytest.mark.parametrize("counts", [(5, 4, 9, 20), (-1, 4, 9, 20), (0, 12, 9, 20)])
    def test_impossible_counts_are_refused(self, counts: tuple[int, int, int, int]) -> None:
        with pytest.raises(DataError, match="do not fit"):
            cofiring.cofiring(*counts)

    def test_expected_jaccard_is_what_independent_latents_reach(self) -> None:
        rng = np.random.default_rng(0)
        a, b = (torch.from_numpy(rng.random((100_000, 1)) < p) for p in (0.2, 0.3))
        found = cofiring.cofiring(*cofiring.firing_counts(a, b)).jaccard.item()
        assert found == pytest.approx(cofiring.expected_jaccard(0.2, 0.3).item(), abs=0.005)

    def test_expected_jaccard_degenerate(self) -> None:
        assert math.isnan(cofiring.expected_jaccard(0.0, 0.0))
        assert cofiring.expected_jaccard(1.0, 1.0) == 1
        with pytest.raises(DataError, match="p2 leaves"):
            cofiring.expected_jaccard(0.5, 1.5)
        with pytest.raises(DataError, match="p1: 1 of 1"):
            cofiring.expected_jaccard(math.nan, 0.5)


class TestChance:
    @given(st.integers(0, 25), st.integers(0, 25), st.integers(25, 40))
    def test_exact_mean_by_all_subsets(self, n1: int, n2: int, n: int) -> None:
        found = cofiring.exact_expected_jaccard(n1, n2, n).item()
        if n1 == n2 == 0:
            assert math.isnan(found)
            return
        ways = [math.comb(n1, k) * math.comb(n - n1, n2 - k) for k in range(min(n1, n2) + 1)]
        expected = sum(w * k / (n1 + n2 - k) for k, w in enumerate(ways)) / math.comb(n, n2)
        assert found == pytest.approx(expected, abs=1e-10)

    def test_exact_mean_of_many_pairs(self) -> None:
        n1 = torch.tensor([[20], [30]])
        table = cofiring.exact_expected_jaccard(n1, torch.tensor([[30, 20, 30]]), 100)
        assert table.shape == (2, 3)
        assert table[0, 0] == table[0, 2] == pytest.approx(0.138377, abs=1e-6)
        assert table[1, 1].item() == pytest.approx(0.138377, abs=1e-6)
        assert table[0, 1] < 0.12

    def test_exact_and_approximate_mean_meet_on_many_samples(self) -> None:
        exact = cofiring.exact_expected_jaccard(20_000, 30_000, 1_000_000)
        assert exact.item() == pytest.approx(cofiring.expected_jaccard(0.02, 0.03).item(), rel=1e-3)

    def test_impossible_counts_are_refused(self) -> None:
        for sizes in ((-1, 2, 5), (6, 2, 5), (2, 6, 5)):
            with pytest.raises(DataError, match="do not fit"):
                cofiring.exact_expected_jaccard(*sizes)

    @given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
    def test_fishers_test_is_scipys(self, n11: int, n10: int, n01: int, n00: int) -> None:
        table = [[n11, n10], [n01, n00]]
        expected = stats.fisher_exact(table, alternative="greater").pvalue
        found = cofiring.fisher_p_value(n11, n11 + n10, n11 + n01, n11 + n10 + n01 + n00)
        assert found.item() == pytest.approx(expected, rel=1e-8)

    @pytest.mark.parametrize(
        ("n11", "n1", "n2", "n"),
        [
            (1, 10, 10, 1_000_000),
            (9, 10, 10, 1_000_000),
            (600, 20_000, 25_000, 1_000_000),
            (400, 20_000, 25_000, 1_000_000),
            (500, 20_000, 25_000, 1_000_000),
        ],
    )
    def test_fishers_test_on_many_samples(self, n11: int, n1: int, n2: int, n: int) -> None:
        expected = stats.hypergeom.sf(n11 - 1, n, n1, n2)
        assert cofiring.fisher_p_value(n11, n1, n2, n).item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("expected_firings", "probability"), [(10, 0.542), (20, 0.995)])
    def test_survival(self, expected_firings: int, probability: float) -> None:
        n = 1_000_000
        found = cofiring.survival_probability(expected_firings / n, n).item()
        assert found == pytest.approx(probability, abs=5e-4)

    def test_survival_by_hand(self) -> None:
        # P(at least 2 of 3 with 1/2) = 4/8; certain and impossible events.
        found = cofiring.survival_probability(tensor([0.5, 0, 1]), 3, minimum=2)
        assert found.tolist() == pytest.approx([0.5, 0, 1])
        assert cofiring.survival_probability(0.0, 3, minimum=0) == 1
        assert cofiring.survival_probability(0.5, 0, minimum=1) == 0
        for frequency in (-0.1, 1.1):
            with pytest.raises(DataError, match="leaves"):
                cofiring.survival_probability(frequency, 3)
        with pytest.raises(DataError, match="n_samples=-3"):
            cofiring.survival_probability(0.1, -3)
        with pytest.raises(DataError, match="minimum=-1"):
            cofiring.survival_probability(0.1, 3, -1)


class TestMagnitudes:
    def test_golden(self) -> None:
        a, b = tensor([[0], [1], [2], [0], [3]]), tensor([[0], [2], [1], [1], [3]])
        found = cofiring.magnitude_similarity(a, b)
        assert found.ruzicka.item() == pytest.approx(0.625)
        assert found.cosine.item() == pytest.approx(0.897085, abs=1e-6)
        assert found.pearson.item() == pytest.approx(0.773574, abs=1e-6)
        counts = cofiring.firing_counts(a > 0, b > 0)
        assert cofiring.cofiring(*counts).jaccard.item() == 0.75

    @given(SEEDS)
    def test_ruzicka_of_indicators_is_jaccard(self, seed: int) -> None:
        a, b = normal(seed, 12, 3) > 0.5, normal(seed + 1, 12, 4) > 0.5
        expected = cofiring.cofiring(*cofiring.firing_counts(a, b))
        found = cofiring.magnitude_similarity(a.double(), b.double())
        assert torch.allclose(found.ruzicka, expected.jaccard, equal_nan=True)
        assert torch.allclose(found.pearson, expected.phi, equal_nan=True)

    @given(SEEDS)
    def test_pearson_and_cosine_know_no_scale(self, seed: int) -> None:
        a, b = normal(seed, 9, 3), normal(seed + 1, 9, 2)
        a[seed % 9] = 0
        found, scaled = (cofiring.magnitude_similarity(a * s, b) for s in (1, 1e200))
        assert torch.allclose(found.cosine, scaled.cosine)
        assert torch.allclose(found.pearson, scaled.pearson)
        assert torch.allclose(found.pearson, torch.corrcoef(torch.cat([a, b], dim=1).T)[:3, 3:])
        assert torch.allclose(found.ruzicka.T, cofiring.magnitude_similarity(b, a).ruzicka)

    def test_blocks_add_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        a, b = normal(0, 11, 3), normal(1, 11, 2)
        whole = cofiring.magnitude_similarity(a, b).ruzicka
        monkeypatch.setattr(magnitudes, "_ENTRIES_AT_ONCE", 13)
        assert torch.allclose(cofiring.magnitude_similarity(a, b).ruzicka, whole)
        least = torch.minimum(a[:, 1].abs(), b[:, 0].abs())
        most = torch.maximum(a[:, 1].abs(), b[:, 0].abs())
        assert whole[1, 0].item() == pytest.approx((least.sum() / most.sum()).item())

    def test_degenerate(self) -> None:
        a, b = tensor([[0, 0.3], [0, 0.3], [0, 0.3]]), tensor([[0, 1], [0, 2], [0, 4]])
        found = cofiring.magnitude_similarity(a, b)
        assert found.ruzicka.isnan().tolist() == [[True, False], [False, False]]
        assert found.cosine.isnan().tolist() == [[True, True], [True, False]]
        assert found.pearson.isnan().all()
        names = ("ruzicka", "cosine", "pearson")
        assert [found.n_defined(name) for name in names] == [3, 1, 0]
        assert cofiring.magnitude_similarity(a[:0], b[:0]).cosine.isnan().all()
        with pytest.raises(ShapeError, match="samples"):
            cofiring.magnitude_similarity(a, b[:2])


class TestJaccard:
    @given(firing_tables(), st.integers(0, 4))
    def test_table_is_sklearns_but_for_rare_latents(
        self, tables: tuple[Tensor, Tensor], minimum: int
    ) -> None:
        first, second = tables
        table = cofiring.jaccard(first, second, minimum)
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
            cofiring.jaccard(first, second, 1),
            cofiring.jaccard(second, first, 1),
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
        ab = cofiring.jaccard(first, second, 1).jaccard[0, 0]
        bc = cofiring.jaccard(second, third, 1).jaccard[0, 0]
        ac = cofiring.jaccard(first, third, 1).jaccard[0, 0]
        assert not (1 - ac > (1 - ab) + (1 - bc) + 1e-12)

    def test_best_partners_and_matching(self) -> None:
        fires_a = torch.zeros(40, 3, dtype=torch.bool)
        fires_b = torch.zeros(40, 2, dtype=torch.bool)
        fires_a[:20, 0] = True
        fires_a[10:20, 1] = True
        fires_a[:9, 2] = True
        fires_b[:15, 0] = True
        fires_b[20:30, 1] = True
        table = cofiring.jaccard(fires_a, fires_b)
        assert table.a_to_b[:2].tolist() == [0.75, 0.25]
        assert math.isnan(table.a_to_b[2])
        assert table.a_to_b_index.tolist() == [0, 0, -1]
        assert table.b_to_a.tolist() == [0.75, 0]
        assert (table.surviving_a, table.surviving_b) == (pytest.approx(2 / 3), 1)
        assert (table.mean_a_to_b, table.mean_b_to_a) == (0.5, 0.375)
        assert table.matching.rows.tolist() == [0]
        assert table.matching.mean_over_max == 0.375
        assert table.firings_a.tolist() == [20, 10, 9]

    def test_alternatives_to_the_cut(self) -> None:
        fires_a = torch.zeros(40, 3, dtype=torch.bool)
        fires_a[:10, 0] = True
        fires_a[0, 1] = True
        fires_b = torch.zeros(40, 2, dtype=torch.bool)
        fires_b[:9, 0] = True
        fires_b[0, 1] = True
        wilson = cofiring.wilson_jaccard(fires_a, fires_b)
        assert wilson.jaccard[0, 0].item() == pytest.approx(0.595850, abs=1e-6)
        assert wilson.jaccard[1, 1].item() == pytest.approx(0.206549, abs=1e-6)
        assert wilson.jaccard[2].isnan().all()
        assert wilson.a_to_b_index.tolist() == [0, 1, -1]
        assert (wilson.surviving_a, wilson.surviving_b) == (pytest.approx(2 / 3), 1)
        # One sample in common out of one, chance (1/1600)/(79/1600) = 1/79.
        shrunken = cofiring.shrunken_jaccard(fires_a, fires_b, strength=4)
        assert shrunken.jaccard[1, 1].item() == pytest.approx((1 + 4 / 79) / 5)
        assert shrunken.matching.rows.tolist() == [0, 1]
        assert shrunken.minimum == wilson.minimum == 1

    def test_equal_sets_overlap_fully(self) -> None:
        fires = torch.eye(3, dtype=torch.bool)
        assert torch.equal(cofiring.jaccard(fires, fires, 1).jaccard, torch.eye(3).double())
        assert torch.isnan(cofiring.jaccard(fires, fires).jaccard).all()

    def test_empty_tables(self) -> None:
        table = cofiring.jaccard(torch.ones(4, 0) > 0, torch.ones(4, 2) > 0, 1)
        assert table.jaccard.shape == (0, 2)
        assert torch.isnan(table.b_to_a).all()
        assert math.isnan(table.surviving_a)
        assert table.surviving_b == 1

    def test_no_samples_is_undefined(self) -> None:
        none = torch.ones(0, 2) > 0
        pair = cofiring.cofiring(*cofiring.firing_counts(none, none))
        for name in ("jaccard", "jaccard_chance", "jaccard_adjusted", "jaccard_max", "phi"):
            assert getattr(pair, name).isnan().all(), name
        assert pair.jaccard_shrunk().isnan().all()
        assert pair.jaccard_wilson().isnan().all()
        for function in (cofiring.jaccard, cofiring.wilson_jaccard, cofiring.shrunken_jaccard):
            assert function(none, none).jaccard.isnan().all()

    def test_bad_input_is_refused(self) -> None:
        fires = torch.ones(4, 2, dtype=torch.bool)
        with pytest.raises(DataError, match=r"torch\.bool"):
            cofiring.jaccard(torch.ones(4, 2), fires)
        with pytest.raises(ShapeError, match="fires_a has 4 samples and fires_b has 3"):
            cofiring.jaccard(fires, fires[:3])
        with pytest.raises(ShapeError, match="minimum=-1"):
            cofiring.jaccard(fires, fires, -1)
