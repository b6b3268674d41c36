from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toysae.errors import ConfigError
from toysae.generators.sets.boosted_tables import Pair, boost_pairs, product_table


def uniform(*sizes):
    return np.full(sizes, 1 / math.prod(sizes))


def margins(table):
    axes = range(table.ndim)
    return [table.sum(tuple(a for a in axes if a != axis)) for axis in axes]


def pair_probability(table, pair):
    return float(table.take(pair.j, pair.second).take(pair.i, pair.first)) if table.ndim == 2 else (
        float(np.moveaxis(table, (pair.first, pair.second), (0, 1))[pair.i, pair.j].sum())
    )  # fmt: skip


def published(table, i, j, boost):
    """The code of Anders et al. (2024), in words: the cell rises by `boost` times what its row and
    column leave; the rest of row and column shrinks; the other rows are rescaled."""
    row_rest, column_rest = table[i].sum() - table[i, j], table[:, j].sum() - table[i, j]
    gain = boost * min(row_rest, column_rest)
    boosted = table.copy()
    if gain > 0:
        boosted[i] *= 1 - gain / row_rest
        boosted[:, j] *= 1 - gain / column_rest
        boosted[i, j] = table[i, j] + gain
        for row in range(len(table)):
            others = np.arange(table.shape[1]) != j
            if row != i:
                target = table[row].sum() - boosted[row, j]
                boosted[row, others] *= target / table[row, others].sum()
    return boosted


@st.composite
def tables_and_pairs(draw, most_pairs=3, low=0):
    """Integer weights over their sum, of two or three sets, and pairs of any two of them."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    n = math.prod(sizes)
    weights = np.array(draw(st.lists(st.integers(low, 4), min_size=n, max_size=n)), dtype=float)
    weights[0] += weights.sum() == 0
    pairs = []
    for _ in range(draw(st.integers(1, most_pairs))):
        first, second = sorted(draw(st.permutations(range(len(sizes))))[:2])
        i, j = (draw(st.integers(0, sizes[axis] - 1)) for axis in (first, second))
        pairs.append(Pair(first, i, second, j))
    return (weights / weights.sum()).reshape(sizes), pairs


@pytest.mark.parametrize(
    ("base", "pair", "boost", "expected"),
    [
        (uniform(2, 2), (0, 0), 0.2, [[0.3, 0.2], [0.2, 0.3]]),
        (uniform(2, 2), (1, 0), 1.0, [[0, 0.5], [0.5, 0]]),
        (
            uniform(3, 3), (2, 0), 0.5,
            [[2 / 36, 5 / 36, 5 / 36], [2 / 36, 5 / 36, 5 / 36], [8 / 36, 2 / 36, 2 / 36]],
        ),
        (uniform(2, 3), (0, 1), 1.0, [[1 / 12, 4 / 12, 1 / 12], [3 / 12, 0, 3 / 12]]),
        # Row 0 leaves 0.4 and column 0 leaves 0.2: the gain is half of 0.2.
        (np.array([[0.2, 0.4], [0.2, 0.2]]), (0, 0), 0.5, [[0.3, 0.3], [0.1, 0.3]]),
        # A pair that never occurred.
        (np.array([[0, 0.3], [0.3, 0.4]]), (0, 0), 0.5, [[0.15, 0.15], [0.15, 0.55]]),
        (np.array([[0.5, 0.5]]), (0, 1), 1.0, [[0.5, 0.5]]),
    ],
)  # fmt: skip
def test_golden(base, pair, boost, expected):
    boosted = boost_pairs(base, [Pair(0, pair[0], 1, pair[1])], boost)
    np.testing.assert_allclose(boosted, expected, rtol=0, atol=1e-12)


def test_third_set_is_carried_along():
    """Independent of the pair, it stays so: its members share the cells of the other two."""
    boosted = boost_pairs(product_table([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]),
                          [Pair(0, 0, 2, 1)], 0.2)  # fmt: skip
    plane = np.array([[0.2, 0.3], [0.3, 0.2]])
    np.testing.assert_allclose(boosted[:, 0], 0.25 * plane, rtol=0, atol=1e-12)
    np.testing.assert_allclose(boosted[:, 1], 0.75 * plane, rtol=0, atol=1e-12)


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_independent_sets_give_the_published_table(n_x, n_y, data):
    weights = [
        np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)), dtype=float)
        for n in (n_x, n_y)
    ]
    table = product_table([w / w.sum() for w in weights])
    i, j = data.draw(st.integers(0, n_x - 1)), data.draw(st.integers(0, n_y - 1))
    boost = data.draw(st.floats(0, 1))
    boosted = boost_pairs(table, [Pair(0, i, 1, j)], boost)
    np.testing.assert_allclose(boosted, published(table, i, j, boost), rtol=0, atol=1e-12)


@settings(max_examples=50)
@given(tables_and_pairs(), st.sampled_from((0.1, 0.5, 0.9, 1.0)))
def test_marginals_are_kept_and_pairs_raised_or_it_is_refused(case, boost):
    table, pairs = case
    try:
        boosted = boost_pairs(table, pairs, boost)
    except ConfigError as error:
        # What it says can be had, can be had; a little more cannot.
        found = re.search(r"must lie in \[0, (.*?)\]", str(error))
        assert found is not None
        most = float(found[1])
        assert 0 <= most < boost
        boosted = boost_pairs(table, pairs, most)
        with pytest.raises(ConfigError):
            boost_pairs(table, pairs, most + 1e-3)
        boost = most
    assert float(boosted.min()) >= 0
    for kept, margin in zip(margins(boosted), margins(table)):
        np.testing.assert_allclose(kept, margin, rtol=0, atol=1e-12)
    for pair in pairs:
        now = pair_probability(table, pair)
        most = min(margins(table)[pair.first][pair.i], margins(table)[pair.second][pair.j])
        expected = now + boost * (most - now)
        assert pair_probability(boosted, pair) == pytest.approx(expected, abs=1e-12)


@given(tables_and_pairs(most_pairs=1, low=1))
def test_one_pair_of_a_table_without_zeros_can_always_be_boosted(case):
    table, pairs = case
    boost_pairs(table, pairs, 1.0)


@given(tables_and_pairs(most_pairs=1, low=1), st.floats(0.05, 0.95))
def test_odds_ratios_outside_the_pair_are_kept(case, boost):
    """The closest table keeps every odds ratio that the constraints leave free."""
    table, [pair] = case
    if table.ndim != 2:
        return
    boosted = boost_pairs(table, [pair], boost)
    rows = [k for k in range(table.shape[0]) if k != pair.i]
    columns = [k for k in range(table.shape[1]) if k != pair.j]
    before, after = (np.log(t[np.ix_(rows, columns)]) for t in (table, boosted))
    for log in (before, after):
        log -= log.mean(0, keepdims=True) if len(rows) else 0
        log -= log.mean(1, keepdims=True) if len(columns) else 0
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("table", "pairs", "most"),
    [
        (np.array([[0.25, 0.25], [0.5, 0]]), [(0, 0)], "0"),  # nowhere to put what row 1 loses
        # Both cells of row 0 would grow.
        (uniform(2, 2), [(0, 0), (0, 1)], "0"),
        # Cells of row 0 rise by 2/9 c each, and the third of them falls from 1/9.
        (uniform(3, 3), [(0, 0), (0, 1)], "0.25"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(table, pairs, most):
    found = rf"^generator.boost = 0.5: .* must lie in \[0, {most}\]"
    with pytest.raises(ConfigError, match=found):
        boost_pairs(table, [Pair(0, i, 1, j) for i, j in pairs], 0.5)
