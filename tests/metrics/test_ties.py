from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.metrics.dictionary import best_partner_ties, cosine_matrix

from .draw import pairs_of_dictionaries, tensor
from .golden import END_TO_END, FOUR, LOCAL, OPPOSITE, THREE, TWICE


def test_golden() -> None:
    ties = best_partner_ties(TWICE, OPPOSITE)
    assert (ties.a_to_b.tolist(), ties.b_to_a.tolist()) == ([0, 0], [1, 1])
    assert (ties.n_a, ties.n_b) == (0, 2)
    ties = best_partner_ties(LOCAL, END_TO_END)
    assert (ties.a_to_b.tolist(), ties.b_to_a.tolist()) == ([0] * 4, [3] * 4)
    ties = best_partner_ties(FOUR, THREE)
    assert (ties.n_a, ties.n_b) == (0, 0)


@given(pairs_of_dictionaries(), st.integers(1, 3))
def test_counts_what_is_as_good_in_the_matrix(ab: tuple[Tensor, Tensor], block: int) -> None:
    table = cosine_matrix(*ab)
    ties = best_partner_ties(*ab, block=block)
    for found, rows in ((ties.a_to_b, table), (ties.b_to_a, table.T)):
        for count, row in zip(found.tolist(), rows.tolist(), strict=True):
            defined = [value for value in row if not math.isnan(value)]
            best = max(defined, default=0)
            assert count == max(sum(abs(value - best) < 1e-6 for value in defined) - 1, 0)


@pytest.mark.parametrize(("difference", "count"), [(5e-7, 1), (2e-6, 0)])
def test_the_same_to_a_millionth(difference: float, count: int) -> None:
    first, second = 0.6, 0.6 - difference
    rows = tensor([[first, math.sqrt(1 - first**2)], [second, -math.sqrt(1 - second**2)]])
    axis = tensor([[1, 0]])
    assert best_partner_ties(axis, rows).a_to_b.tolist() == [count]
    assert best_partner_ties(rows, axis).b_to_a.tolist() == [count]


def test_left_out_rows_tie_with_nobody() -> None:
    rows = torch.cat([FOUR[[0, 0, 0]], torch.zeros(1, 3)])
    alive = torch.tensor([True, False, True, True])
    ties = best_partner_ties(FOUR[:1], rows, alive_b=alive)
    assert ties.a_to_b.tolist() == [1]
    assert ties.b_to_a.tolist() == [0, 0, 0, 0]
    nobody = best_partner_ties(FOUR, rows[:0])
    assert nobody.a_to_b.tolist() == [0] * 4
    assert nobody.b_to_a.shape == (0,)
