from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.pairwise import cosine_similarity
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import dictionary

from .draw import SEEDS, normal, pairs_of_dictionaries, rotation, tensor
from .golden import END_TO_END, FIRST_GIVEN_UP, FOUR, LOCAL, OPPOSITE, THREE, TWICE


def pairs(matching: dictionary.Matching | dictionary.MutualNearest) -> set[tuple[int, int]]:
    return set(zip(matching.rows.tolist(), matching.cols.tolist(), strict=True))


def brute_force_total(table: Tensor) -> float:
    n, m = table.shape
    if n > m:
        return brute_force_total(table.T)
    gain = table.clamp(min=0)
    return max(
        sum(float(gain[i, j]) for i, j in enumerate(choice)) for choice in permutations(range(m), n)
    )


class TestGoldenOppositeSigns:
    """Two copies of one vector against the vector and its opposite."""

    def test_max_cosine_differs_by_direction(self) -> None:
        best = dictionary.max_cosine(TWICE, OPPOSITE)
        assert (best.mean_a_to_b, best.mean_b_to_a) == (1, 0)
        assert (best.symmetric, best.minimum, best.harmonic) == (0.5, 0, 0)
        absolute = dictionary.max_abs_cosine(TWICE, OPPOSITE)
        assert (absolute.mean_a_to_b, absolute.mean_b_to_a) == (1, 1)

    def test_matchings(self) -> None:
        signed = dictionary.hungarian(TWICE, OPPOSITE)
        assert signed.n_matched == 1
        assert (signed.mean_over_matched, signed.mean_over_min, signed.mean_over_max) == (
            1,
            0.5,
            0.5,
        )
        assert dictionary.hungarian_abs(TWICE, OPPOSITE).mean_over_max == 1
        raw = dictionary.cosine_matrix(TWICE, OPPOSITE)
        assert raw[linear_sum_assignment(raw, maximize=True)].sum() == 0
        assert pairs(dictionary.mutual_nearest(TWICE, OPPOSITE)) == {(0, 0)}

    def test_multiplicity(self) -> None:
        votes = dictionary.multiplicity(dictionary.max_cosine(TWICE, OPPOSITE), 0.5).on_b
        assert votes.counts.tolist() == [2, 0]
        assert (votes.coverage, votes.effective_number, votes.entropy_number) == (0.5, 1, 1)
        assert votes.most == 2


class TestGoldenQuadrupleCounting:
    """Four local vectors around one end-to-end vector."""

    def test_max_cosine_counts_the_one_match_four_times(self) -> None:
        best = dictionary.max_cosine(LOCAL, END_TO_END)
        assert best.mean_a_to_b == pytest.approx(0.9)
        assert best.mean_b_to_a == pytest.approx(0.225)

    def test_hungarian_counts_it_once(self) -> None:
        matching = dictionary.hungarian(LOCAL, END_TO_END)
        assert matching.mean_over_min == pytest.approx(0.225)
        assert matching.mean_over_max == pytest.approx(0.225)
        assert matching.mean_over_matched == pytest.approx(0.9)

    def test_multiplicity(self) -> None:
        best = dictionary.max_cosine(LOCAL, END_TO_END)
        votes = dictionary.multiplicity(best, 0.5).on_b
        assert votes.counts.tolist() == [4, 0, 0, 0]
        assert votes.coverage == 0.25
        assert votes.histogram.tolist() == [3, 0, 0, 0, 1]


class TestGoldenFourAgainstThree:
    def test_cosines(self) -> None:
        expected = [
            [0.6, -1, 0],
            [0.96, -0.8, 0.230769],
            [0, 0, 0.923077],
            [0.36, -0.6, 0.738462],
        ]
        found = dictionary.cosine_matrix(FOUR, THREE)
        assert torch.allclose(found, tensor(expected), rtol=0, atol=1e-6)

    def test_max_cosine(self) -> None:
        best = dictionary.max_cosine(FOUR, THREE)
        assert best.a_to_b.tolist() == pytest.approx([0.6, 0.96, 0.923077, 0.738462], abs=1e-6)
        assert best.a_to_b_index.tolist() == [0, 0, 2, 2]
        assert best.b_to_a.tolist() == pytest.approx([0.96, 0, 0.923077], abs=1e-6)
        assert best.b_to_a_index.tolist() == [1, 2, 2]
        assert best.mean_a_to_b == pytest.approx(0.805385, abs=1e-6)
        assert best.mean_b_to_a == pytest.approx(0.627692, abs=1e-6)
        assert best.symmetric == pytest.approx(0.716538, abs=1e-6)
        assert best.minimum == best.mean_b_to_a
        assert best.harmonic == pytest.approx(2 / (1 / 0.805385 + 1 / 0.627692), abs=1e-6)
        assert (best.n_defined_a, best.n_defined_b) == (4, 3)

    def test_max_abs_cosine(self) -> None:
        best = dictionary.max_abs_cosine(FOUR, THREE)
        assert best.mean_a_to_b == pytest.approx(0.905385, abs=1e-6)
        assert best.mean_b_to_a == pytest.approx(0.961026, abs=1e-6)

    def test_hungarian_clips(self) -> None:
        matching = dictionary.hungarian(FOUR, THREE)
        assert pairs(matching) == {(1, 0), (2, 2)}
        assert matching.cosine.tolist() == pytest.approx([0.96, 0.923077], abs=1e-6)
        assert matching.mean_over_min == pytest.approx(0.627692, abs=1e-6)
        assert matching.mean_over_max == pytest.approx(0.470769, abs=1e-6)
        assert matching.mean_over_matched == pytest.approx(0.941538, abs=1e-6)

    def test_unclipped_cosines_give_up_good_pairs(self) -> None:
        raw = dictionary.cosine_matrix(FOUR, THREE)
        rows, cols = linear_sum_assignment(raw, maximize=True)
        assert set(zip(rows, cols)) == {(1, 0), (2, 1), (3, 2)}
        assert float(raw[rows, cols].mean()) == pytest.approx(0.566154, abs=1e-6)
        assert float(raw[rows, cols].sum()) / 4 == pytest.approx(0.424615, abs=1e-6)

    def test_hungarian_abs(self) -> None:
        matching = dictionary.hungarian_abs(FOUR, THREE)
        assert pairs(matching) == {(0, 1), (1, 0), (2, 2)}
        assert matching.mean_over_matched == pytest.approx(0.961026, abs=1e-6)
        assert matching.mean_over_max == pytest.approx(0.720769, abs=1e-6)
        # Over what is matched, a matching may be above a mean with replacement.
        assert matching.mean_over_matched > dictionary.max_abs_cosine(FOUR, THREE).mean_a_to_b

    def test_mutual_nearest(self) -> None:
        mutual = dictionary.mutual_nearest(FOUR, THREE)
        assert pairs(mutual) == {(1, 0), (2, 2)}
        assert mutual.rate == pytest.approx(4 / 7)

    def test_multiplicity_without_a_gate(self) -> None:
        votes = dictionary.multiplicity(dictionary.max_cosine(FOUR, THREE), -math.inf)
        assert votes.on_b.counts.tolist() == [2, 0, 2]
        assert votes.on_b.effective_number == 2
        assert votes.on_a.counts.tolist() == [0, 1, 2, 0]
        assert votes.on_a.effective_number == pytest.approx(1.8)
        # Shares 1/3 and 2/3: exp(ln(3) / 3 + 2 ln(3/2) / 3).
        assert votes.on_a.entropy_number == pytest.approx(3 ** (1 / 3) * 1.5 ** (2 / 3))
        assert votes.on_a.histogram.tolist() == [2, 1, 1]
        assert (votes.on_a.most, votes.on_b.most) == (2, 2)

    def test_multiplicity_gate_is_strict(self) -> None:
        votes = dictionary.multiplicity(dictionary.max_cosine(FOUR, THREE), 0.0)
        assert votes.on_a.counts.tolist() == [0, 1, 1, 0]
        assert votes.on_a.coverage == 0.5

    def test_a_dead_row_is_left_out_on_both_sides(self) -> None:
        alive = torch.tensor([True, False, True])
        best = dictionary.max_cosine(FOUR, THREE, alive_b=alive)
        assert best.mean_a_to_b == pytest.approx(0.805385, abs=1e-6)
        assert best.mean_b_to_a == pytest.approx(0.941538, abs=1e-6)
        assert math.isnan(best.b_to_a[1])
        assert best.b_to_a_index[1] == -1
        matching = dictionary.hungarian(FOUR, THREE, alive_b=alive)
        assert pairs(matching) == {(1, 0), (2, 2)}
        assert matching.mean_over_min == pytest.approx(0.941538, abs=1e-6)
        assert matching.mean_over_max == pytest.approx(0.470769, abs=1e-6)


def test_golden_hungarian_gives_up_the_best_pair() -> None:
    matching = dictionary.hungarian(*FIRST_GIVEN_UP)
    assert pairs(matching) == {(0, 1), (1, 0)}
    assert matching.mean_over_max == pytest.approx(0.825)


def test_golden_scipy_refuses_what_is_undefined() -> None:
    """Not so a matching of dictionaries with zero rows, whose cosines are undefined."""
    a, b = FIRST_GIVEN_UP
    table = dictionary.cosine_matrix(torch.cat([a, 0 * a[:1]]), b)
    with pytest.raises(ValueError, match="matrix contains invalid numeric entries"):
        linear_sum_assignment(table, maximize=True)
    matching = dictionary.hungarian(torch.cat([a, 0 * a[:1]]), b)
    assert pairs(matching) == {(0, 1), (1, 0)}
    assert matching.mean_over_max == pytest.approx(0.825)


def test_golden_within_dictionary() -> None:
    within = dictionary.within_dictionary(tensor([[1, 0], [0.6, 0.8], [0, 1]]))
    assert within.max_cosine.tolist() == pytest.approx([0.6, 0.8, 0.8])
    assert within.index.tolist() == [1, 2, 1]
    assert within.mean_abs.tolist() == pytest.approx([0.3, 0.7, 0.4])
    assert within.mean_abs_cosine == pytest.approx(0.466667, abs=1e-6)
    assert within.mean_max_cosine == pytest.approx(0.733333, abs=1e-6)


@given(pairs_of_dictionaries())
def test_cosines_are_sklearns_but_for_zero_rows(ab: tuple[Tensor, Tensor]) -> None:
    a, b = ab
    table = dictionary.cosine_matrix(a, b)
    defined = a.any(dim=1)[:, None] & b.any(dim=1)[None, :]
    assert torch.equal(torch.isnan(table), ~defined)
    reference = torch.from_numpy(cosine_similarity(a.numpy(), b.numpy()))
    assert torch.allclose(table[defined], reference[defined], atol=1e-12)


@given(pairs_of_dictionaries(), st.integers(1, 3))
def test_streaming_finds_the_maxima_of_the_matrix(ab: tuple[Tensor, Tensor], block: int) -> None:
    a, b = ab
    table = dictionary.cosine_matrix(a, b).numpy()
    best = dictionary.max_cosine(a, b, block=block)
    for found, index, rows in (
        (best.a_to_b, best.a_to_b_index, table),
        (best.b_to_a, best.b_to_a_index, table.T),
    ):
        for value, partner, row in zip(found.tolist(), index.tolist(), rows, strict=True):
            if np.isnan(row).all():
                assert math.isnan(value)
                assert partner == -1
            else:
                assert value == pytest.approx(np.nanmax(row), abs=1e-12)
                assert row[partner] == pytest.approx(value, abs=1e-12)
    assert best.n_zero_a == int((~a.any(dim=1)).sum())
    assert best.n_zero_b == int((~b.any(dim=1)).sum())


@given(pairs_of_dictionaries())
def test_swapping_the_dictionaries_swaps_the_directions(ab: tuple[Tensor, Tensor]) -> None:
    a, b = ab
    forth, back = dictionary.max_cosine(a, b), dictionary.max_cosine(b, a)
    assert torch.allclose(forth.a_to_b, back.b_to_a, equal_nan=True)
    assert torch.allclose(forth.b_to_a, back.a_to_b, equal_nan=True)


@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_a_dictionary_agrees_with_itself(seed: int, n: int, d: int) -> None:
    a = normal(seed, n, d)
    best = dictionary.max_cosine(a, a)
    assert (best.mean_a_to_b, best.mean_b_to_a) == (pytest.approx(1), pytest.approx(1))
    assert dictionary.hungarian(a, a).mean_over_max == pytest.approx(1)


@given(SEEDS, st.integers(1, 5), st.integers(1, 5))
def test_duplicates_and_additions(seed: int, n: int, m: int) -> None:
    a, b, extra = normal(seed, n, 3), normal(seed + 1, m, 3), normal(seed + 2, 1, 3)
    before = dictionary.max_cosine(a, b)
    duplicated = dictionary.max_cosine(torch.cat([a, a[:1]]), b)
    assert torch.allclose(duplicated.b_to_a, before.b_to_a)
    longer = dictionary.max_cosine(a, torch.cat([b, extra]))
    assert (longer.a_to_b >= before.a_to_b - 1e-12).all()


def test_a_duplicate_reweights_its_own_direction() -> None:
    best = dictionary.max_cosine(torch.cat([FOUR, FOUR[:1]]), THREE)
    assert best.mean_a_to_b == pytest.approx((4 * 0.8053846153846154 + 0.6) / 5)


def test_the_harmonic_mean_is_undefined_below_zero() -> None:
    e = torch.eye(2)
    assert dictionary.max_cosine(e[:1], e[:1]).harmonic == 1
    assert math.isnan(dictionary.max_cosine(e[:1], e[1:]).harmonic)
    assert math.isnan(dictionary.max_cosine(e[:1], -e[:1]).harmonic)
    assert math.isnan(dictionary.max_cosine(e[:0], e).harmonic)
    # Forth (1 - 1) / 2, back 1; then forth 1, back (1 - 1 - 1) / 3, whose sum is above 0.
    assert dictionary.max_cosine(torch.stack([e[0], -e[0]]), e[:1]).harmonic == 0
    assert math.isnan(dictionary.max_cosine(e[:1], torch.stack([e[0], -e[0], -e[0]])).harmonic)


@given(SEEDS)
def test_rotating_one_side_is_not_forgiven(seed: int) -> None:
    a = normal(seed, 6, 5)
    turned = dictionary.max_cosine(a, a @ rotation(seed + 1, 5))
    assert max(turned.mean_a_to_b, turned.mean_b_to_a) < 1 - 1e-3
    assert dictionary.max_cosine(a, -a).mean_a_to_b < 1 - 1e-3
    assert dictionary.max_abs_cosine(a, -a).mean_a_to_b == pytest.approx(1)


def test_a_subset_is_found_but_does_not_find_all() -> None:
    a = torch.eye(4)
    best = dictionary.max_cosine(a[:2], a)
    assert (best.mean_a_to_b, best.mean_b_to_a) == (1, 0.5)


def test_an_opposite_orthonormal_set_scores_zero_signed_and_one_unsigned() -> None:
    a = torch.eye(3)
    assert dictionary.max_cosine(a, -a).mean_a_to_b == 0
    assert dictionary.max_abs_cosine(a, -a).mean_a_to_b == 1
    assert dictionary.hungarian(a, -a).n_matched == 0
    assert dictionary.hungarian(a, -a).mean_over_max == 0
    assert math.isnan(dictionary.hungarian(a, -a).mean_over_matched)


@given(pairs_of_dictionaries(max_rows=4))
def test_hungarian_is_the_best_of_all_matchings(ab: tuple[Tensor, Tensor]) -> None:
    a, b = ab
    table = dictionary.cosine_matrix(a, b).nan_to_num(nan=0.0)
    has_pairs = bool(a.any() and b.any())
    for function, similarity in (
        (dictionary.hungarian, table),
        (dictionary.hungarian_abs, table.abs()),
    ):
        matching = function(a, b)
        if has_pairs:
            assert matching.total == pytest.approx(brute_force_total(similarity), abs=1e-9)
        else:
            assert math.isnan(matching.total)
        assert len(set(matching.cols.tolist())) == len(set(matching.rows.tolist()))
        assert torch.allclose(matching.cosine, similarity[matching.rows, matching.cols])


@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_hungarian_is_below_both_means_with_replacement(seed: int, n: int, m: int) -> None:
    a, b = normal(seed, n, 3), normal(seed + 1, m, 3)
    total = dictionary.hungarian(a, b).total
    best = dictionary.max_cosine(a, b)
    assert total <= best.a_to_b.clamp(min=0).sum() + 1e-9
    assert total <= best.b_to_a.clamp(min=0).sum() + 1e-9
    # Without negative values this is n and m times the means with replacement.
    absolute, best = dictionary.hungarian_abs(a, b), dictionary.max_abs_cosine(a, b)
    assert absolute.total <= min(n * best.mean_a_to_b, m * best.mean_b_to_a) + 1e-9
    assert absolute.mean_over_max <= best.minimum + 1e-9


@given(SEEDS, st.integers(1, 4), st.integers(1, 4))
def test_masked_rows_change_nothing(seed: int, n: int, n_dead: int) -> None:
    a, b, dead = normal(seed, 5, 3), normal(seed + 1, n, 3), normal(seed + 2, n_dead, 3)
    alive = torch.arange(n + n_dead) < n
    longer = torch.cat([b, dead])
    plain = dictionary.max_cosine(a, b)
    masked = dictionary.max_cosine(a, longer, alive_b=alive)
    assert torch.allclose(masked.a_to_b, plain.a_to_b)
    assert torch.allclose(masked.b_to_a[:n], plain.b_to_a)
    assert torch.isnan(masked.b_to_a[n:]).all()
    matching = dictionary.hungarian(a, longer, alive_b=alive)
    expected = dictionary.hungarian(a, b).mean_over_max
    assert matching.mean_over_max == pytest.approx(expected)
    within = dictionary.within_dictionary(longer, alive=alive)
    plain_within = dictionary.within_dictionary(b)
    assert torch.allclose(within.max_cosine[:n], plain_within.max_cosine, equal_nan=True)
    assert torch.allclose(within.mean_abs[:n], plain_within.mean_abs, equal_nan=True)


def test_missing_features_lower_the_mean_over_max() -> None:
    features = torch.eye(8)
    one_found = dictionary.hungarian(features, features[:1])
    assert one_found.mean_over_max == 1 / 8
    assert one_found.mean_over_min == 1
    all_the_same = features[:1].expand(8, 8)
    assert dictionary.hungarian(features, all_the_same).mean_over_max == 1 / 8


@given(pairs_of_dictionaries())
def test_mutual_pairs_lie_in_both_argmax_graphs(ab: tuple[Tensor, Tensor]) -> None:
    best, mutual = dictionary.max_cosine(*ab), dictionary.mutual_nearest(*ab)
    expected = {
        (i, j)
        for i, j in enumerate(best.a_to_b_index.tolist())
        if j >= 0 and best.b_to_a_index[j] == i
    }
    assert pairs(mutual) == expected


@given(pairs_of_dictionaries(), st.sampled_from([-math.inf, 0.0, 0.7]))
def test_votes_are_conserved(ab: tuple[Tensor, Tensor], threshold: float) -> None:
    best = dictionary.max_cosine(*ab)
    votes = dictionary.multiplicity(best, threshold)
    n_votes = int((best.a_to_b > threshold).sum())
    assert int(votes.on_b.counts.sum()) == n_votes
    if n_votes:
        n_chosen = votes.on_b.coverage * votes.on_b.n_eligible
        assert n_chosen <= n_votes + 1e-9
        assert n_chosen <= min(best.n_defined_a, best.n_defined_b) + 1e-9
        simpson, shannon = votes.on_b.effective_number, votes.on_b.entropy_number
        assert 1 - 1e-9 <= simpson <= shannon + 1e-9 <= n_chosen + 2e-9
    histogram = votes.on_b.histogram
    assert int(histogram.sum()) == votes.on_b.n_eligible
    assert int((histogram * torch.arange(len(histogram))).sum()) == n_votes
    assert len(histogram) == votes.on_b.most + 1


@given(SEEDS, st.integers(2, 7), st.integers(1, 3))
def test_within_is_the_off_diagonal_of_the_matrix(seed: int, n: int, block: int) -> None:
    a = normal(seed, n, 3)
    table = dictionary.cosine_matrix(a, a).numpy()
    within = dictionary.within_dictionary(a, block=block)
    for i in range(n):
        others = np.delete(table[i], i)
        assert within.max_cosine[i].item() == pytest.approx(others.max())
        assert within.mean_abs[i].item() == pytest.approx(np.abs(others).mean())
        assert table[i, within.index[i]] == pytest.approx(others.max())


class TestDegenerateInput:
    @pytest.mark.parametrize(("n", "m"), [(0, 2), (2, 0), (0, 0)])
    def test_empty_dictionaries_are_undefined(self, n: int, m: int) -> None:
        a, b = torch.ones(n, 3), torch.ones(m, 3)
        best = dictionary.max_cosine(a, b)
        assert best.a_to_b.shape == (n,)
        assert best.b_to_a.shape == (m,)
        assert math.isnan(best.mean_a_to_b)
        assert math.isnan(best.mean_b_to_a)
        assert dictionary.cosine_matrix(a, b).shape == (n, m)
        matching = dictionary.hungarian(a, b)
        assert matching.n_matched == 0
        assert math.isnan(matching.total)
        assert math.isnan(matching.mean_over_max)
        assert math.isnan(dictionary.mutual_nearest(a, b).rate)
        votes = dictionary.multiplicity(best, 0.5)
        assert math.isnan(votes.on_a.coverage)
        assert math.isnan(votes.on_b.effective_number)
        assert math.isnan(votes.on_b.entropy_number)
        assert votes.on_b.most == 0
        assert votes.on_b.histogram.tolist() == [0]
        assert (best.n_defined_a, best.n_defined_b, best.n_zero_a, best.n_zero_b) == (0, 0, 0, 0)

    def test_all_rows_dead_is_as_empty(self) -> None:
        best = dictionary.max_cosine(FOUR, THREE, alive_b=torch.zeros(3, dtype=torch.bool))
        assert torch.isnan(best.a_to_b).all()
        assert torch.isnan(best.b_to_a).all()

    def test_zero_rows_are_excluded_and_counted(self) -> None:
        best = dictionary.max_cosine(torch.cat([FOUR, torch.zeros(2, 3)]), THREE)
        assert best.n_zero_a == 2
        assert torch.isnan(best.a_to_b).tolist() == [False] * 4 + [True] * 2
        assert best.mean_a_to_b == pytest.approx(0.805385, abs=1e-6)
        assert best.mean_b_to_a == pytest.approx(0.627692, abs=1e-6)
        assert dictionary.hungarian(torch.cat([FOUR, torch.zeros(2, 3)]), THREE).n_rows == 4

    def test_dead_zero_rows_are_not_counted_twice(self) -> None:
        alive = torch.tensor([True, True, True, True, False])
        best = dictionary.max_cosine(torch.cat([FOUR, torch.zeros(1, 3)]), THREE, alive_a=alive)
        assert best.n_zero_a == 0

    def test_a_single_row_has_no_other(self) -> None:
        within = dictionary.within_dictionary(FOUR[:1])
        assert math.isnan(within.mean_max_cosine)
        assert math.isnan(within.mean_abs_cosine)
        assert within.index.tolist() == [-1]
        assert dictionary.within_dictionary(FOUR[:0]).max_cosine.shape == (0,)

    def test_antipodes_and_duplicates(self) -> None:
        within = dictionary.within_dictionary(tensor([[1, 0], [-2, 0]]))
        assert within.mean_max_cosine == -1
        assert within.mean_abs_cosine == 1
        ties = dictionary.max_cosine(tensor([[1, 0]]), tensor([[0, 1], [2, 0], [5, 0]]))
        assert ties.a_to_b_index.tolist() == [1]

    @pytest.mark.parametrize("block", [1, 2, 4096])
    def test_the_lowest_index_wins_a_tie_across_blocks(self, block: int) -> None:
        rows = tensor([[0, 1], [2, 0], [5, 0]])
        assert dictionary.max_cosine(rows, rows[1:2], block=block).b_to_a_index.tolist() == [1]

    def test_rows_of_extreme_length_keep_their_direction(self) -> None:
        a = tensor([[3e200, 4e200], [3e-200, 4e-200]])
        assert torch.allclose(dictionary.cosine_matrix(a, tensor([[1, 0]])), tensor([[0.6], [0.6]]))

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    @pytest.mark.parametrize(
        "function",
        [
            dictionary.cosine_matrix,
            dictionary.max_cosine,
            dictionary.max_abs_cosine,
            dictionary.hungarian,
            dictionary.hungarian_abs,
            dictionary.greedy,
            dictionary.greedy_abs,
            dictionary.soft_matching,
            dictionary.soft_matching_sinkhorn,
            dictionary.best_partner_ties,
            dictionary.mutual_nearest,
        ],
    )
    def test_non_finite_values_are_refused(self, function: object, bad: float) -> None:
        broken = THREE.clone()
        broken[1, 2] = bad
        with pytest.raises(DataError, match="b: 1 of 9 values"):
            function(FOUR, broken)  # type: ignore[operator]
        with pytest.raises(DataError, match="a: 1 of 9 values"):
            function(broken, FOUR)  # type: ignore[operator]

    def test_wrong_shapes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="3 dimensions and b of 4"):
            dictionary.max_cosine(FOUR, torch.ones(2, 4))
        with pytest.raises(ShapeError, match="two axes"):
            dictionary.max_cosine(FOUR[0], THREE)
        with pytest.raises(ShapeError, match="need a dimension"):
            dictionary.max_cosine(torch.ones(2, 0), torch.ones(2, 0))
        with pytest.raises(ShapeError, match="at least one row"):
            dictionary.max_cosine(FOUR, THREE, block=0)
        with pytest.raises(ShapeError, match="alive mask of b"):
            dictionary.max_cosine(FOUR, THREE, alive_b=torch.ones(4, dtype=torch.bool))
        with pytest.raises(DataError, match=r"torch\.bool"):
            dictionary.max_cosine(FOUR, THREE, alive_b=torch.ones(3))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_low_precision_input_is_upcast_first(self, dtype: torch.dtype) -> None:
        a, b = normal(0, 6, 40).to(dtype), normal(1, 5, 40).to(dtype)
        low, high = dictionary.max_cosine(a, b), dictionary.max_cosine(a.double(), b.double())
        assert low.a_to_b.dtype == torch.float64
        assert torch.equal(low.a_to_b, high.a_to_b)

    def test_bfloat16_rounding_would_tie(self) -> None:
        # Unequal in float32, one number in bfloat16: upcasting what is left cannot bring it back.
        a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.6], [0.8005, 0.5993]])
        assert dictionary.max_cosine(a, b).a_to_b_index.tolist() == [1]
        assert dictionary.best_partner_ties(a, b).n_a == 0
        products = a.bfloat16() @ (b / b.norm(dim=1, keepdim=True)).bfloat16().T
        assert products[0, 0] == products[0, 1]

    def test_transposed_views_and_gradients_are_harmless(self) -> None:
        encoder = normal(3, 4, 6).requires_grad_()
        best = dictionary.max_cosine(encoder.T, normal(4, 5, 4))
        copied = dictionary.max_cosine(encoder.detach().T.contiguous(), normal(4, 5, 4))
        assert torch.equal(best.a_to_b, copied.a_to_b)
        assert not best.a_to_b.requires_grad
