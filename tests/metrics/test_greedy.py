from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.metrics.dictionary import (
    GreedyMatching,
    cosine_matrix,
    greedy,
    greedy_abs,
    hungarian,
    hungarian_abs,
)

from .draw import SEEDS, normal, pairs_of_dictionaries, tensor
from .golden import END_TO_END, FIRST_GIVEN_UP, FOUR, LOCAL, OPPOSITE, THREE, TWICE


def one_at_a_time(table: np.ndarray) -> list[tuple[int, int]]:
    """The definition: the largest entry that is left, first row by row among ties."""
    left, taken = table.copy(), []
    for _ in range(min(table.shape)):
        i, j = np.unravel_index(np.argmax(left), left.shape)
        taken.append((int(i), int(j)))
        left[i, :] = left[:, j] = -np.inf
    return taken


def pairs(matching: GreedyMatching) -> list[tuple[int, int]]:
    return list(zip(matching.rows.tolist(), matching.cols.tolist(), strict=True))


class TestGolden:
    def test_opposite_signs(self) -> None:
        matching = greedy(TWICE, OPPOSITE)
        assert pairs(matching) == [(0, 0)]
        assert matching.forced.tolist() == [-1]
        assert matching.mean_with_forced == 0
        assert matching.mean_over_min == 0.5
        assert greedy_abs(TWICE, OPPOSITE).mean_with_forced == 1

    def test_quadruple_counting(self) -> None:
        matching = greedy(LOCAL, END_TO_END)
        assert matching.mean_over_max == pytest.approx(0.225)
        assert matching.mean_with_forced == pytest.approx(0.225)
        assert matching.forced.tolist() == [0, 0, 0]

    def test_four_against_three(self) -> None:
        matching = greedy(FOUR, THREE)
        assert pairs(matching) == [(1, 0), (2, 2)]
        assert matching.cosine.tolist() == pytest.approx([0.96, 0.923077], abs=1e-6)
        # Rows 0 and 3 are left for column 1, at -1 and -.6.
        assert matching.forced.tolist() == pytest.approx([-0.6])
        assert matching.mean_with_forced == pytest.approx(0.427692, abs=1e-6)
        assert matching.mean_over_min == pytest.approx(0.627692, abs=1e-6)
        assert matching.mean_over_max == pytest.approx(0.470769, abs=1e-6)
        absolute = greedy_abs(FOUR, THREE)
        assert pairs(absolute) == [(0, 1), (1, 0), (2, 2)]
        assert absolute.mean_over_min == pytest.approx(0.961026, abs=1e-6)
        assert absolute.mean_with_forced == absolute.mean_over_min

    def test_the_best_pair_can_cost_the_rest(self) -> None:
        matching = greedy(*FIRST_GIVEN_UP)
        assert pairs(matching) == [(0, 0), (1, 1)]
        assert matching.mean_over_max == pytest.approx(0.5)
        assert hungarian(*FIRST_GIVEN_UP).mean_over_max == pytest.approx(0.825)


@given(pairs_of_dictionaries())
def test_takes_what_taking_one_at_a_time_takes(ab: tuple[Tensor, Tensor]) -> None:
    a, b = ab
    kept_a, kept_b = (torch.nonzero(x.any(dim=1))[:, 0] for x in ab)
    table = cosine_matrix(a[kept_a], b[kept_b])
    for matching, similarity in ((greedy(a, b), table), (greedy_abs(a, b), table.abs())):
        # Rounding decides between equal cosines, here as there: the tables have the same bits.
        taken = [float(similarity[i, j]) for i, j in one_at_a_time(similarity.numpy())]
        found = torch.cat([matching.cosine.sort(descending=True).values, matching.forced])
        assert found.tolist() == pytest.approx(taken, abs=1e-9)
        assert (matching.n_rows, matching.n_cols) == (len(kept_a), len(kept_b))


@given(SEEDS, st.integers(1, 12), st.integers(1, 12))
def test_pairs_are_those_of_the_definition(seed: int, n: int, m: int) -> None:
    a, b = normal(seed, n, 3), normal(seed + 1, m, 3)
    table = cosine_matrix(a, b).numpy()
    expected = sorted((i, j) for i, j in one_at_a_time(table) if table[i, j] > 0)
    assert pairs(greedy(a, b)) == expected
    assert pairs(greedy_abs(a, b)) == sorted(one_at_a_time(np.abs(table)))


@given(SEEDS, st.integers(1, 8), st.integers(1, 8))
def test_between_half_and_all_of_the_best_total(seed: int, n: int, m: int) -> None:
    a, b = normal(seed, n, 3), normal(seed + 1, m, 3)
    for found, best in ((greedy(a, b), hungarian(a, b)), (greedy_abs(a, b), hungarian_abs(a, b))):
        assert best.total / 2 - 1e-9 <= found.total <= best.total + 1e-9


def test_what_is_forced_comes_in_the_order_it_is_taken() -> None:
    # Cosines [[-.6, -1], [-.8, 0]].
    matching = greedy(torch.eye(2), tensor([[-0.6, -0.8], [-1, 0]]))
    assert matching.n_matched == 0
    assert matching.forced.tolist() == pytest.approx([0, -0.6])
    assert matching.mean_with_forced == pytest.approx(-0.3)
    assert (matching.mean_over_min, matching.mean_over_max) == (0, 0)


def test_ties_go_to_the_lower_rows() -> None:
    e = torch.eye(2)
    assert pairs(greedy(e[[0, 0, 1]], e[[1, 0, 0]])) == [(0, 1), (1, 2), (2, 0)]
    assert pairs(greedy(e[[0, 0]], e[[0]])) == [(0, 0)]


def test_rows_without_direction_or_life_are_never_forced() -> None:
    longer = torch.cat([torch.zeros(1, 3), THREE, -THREE[:1]])
    alive = torch.tensor([True, True, True, True, False])
    matching = greedy(FOUR, longer, alive_b=alive)
    assert pairs(matching) == [(1, 1), (2, 3)]
    assert matching.forced.tolist() == pytest.approx([-0.6])
    assert matching.n_cols == 3


@pytest.mark.parametrize(("n", "m"), [(0, 2), (2, 0), (0, 0)])
def test_empty_dictionaries_are_undefined(n: int, m: int) -> None:
    matching = greedy(torch.ones(n, 3), torch.ones(m, 3))
    assert matching.n_matched == 0
    assert math.isnan(matching.total)
    assert math.isnan(matching.mean_over_max)
    assert math.isnan(matching.mean_with_forced)
    assert matching.forced.shape == (0,)
