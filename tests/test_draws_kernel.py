from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toysae.draws import Draws
from toysae.draws_kernel import fill_uniform, next_gap, next_uint64, next_uniform


def reference(state):
    """numpy's own generator, brought to the same state."""
    generator = np.random.SFC64(0)
    generator.state = {
        "bit_generator": "SFC64",
        "state": {"state": state.copy()},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator


@given(st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4))
def test_bits_are_those_of_numpy(words):
    state = np.array(words, dtype=np.uint64)
    expected = reference(state).random_raw(20)
    assert [int(next_uint64(state)) for _ in range(20)] == [int(word) for word in expected]


def test_uniform_numbers_are_those_of_numpy():
    state = Draws(5).kernel_state("a")
    expected = np.random.Generator(reference(state)).random(20)
    np.testing.assert_array_equal([next_uniform(state) for _ in range(20)], expected)


@pytest.mark.parametrize("n", [0, 1, 6, 7])
def test_two_uniform_numbers_come_out_of_64_bits(n):
    """Of 24 bits each: the highest ones, and those above the lowest byte."""
    state = Draws(5).kernel_state("a")
    words = [int(word) for word in reference(state).random_raw((n + 1) // 2)]
    expected = [part / 2**24 for word in words for part in (word >> 40, word >> 8 & 0xFFFFFF)]
    numbers = np.full(n, np.nan, np.float32)
    fill_uniform(state, numbers)
    assert numbers.tolist() == expected[:n]


@pytest.mark.parametrize("p", [0.9, 0.3, 0.01])
def test_gaps_are_geometric(p):
    state = Draws(1).kernel_state("gaps")
    gaps = [int(next_gap(state, math.log1p(-p))) for _ in range(4000)]
    # Error rate 4e-8: both sides of 5.5 standard errors.
    assert abs(np.mean(gaps) - (1 - p) / p) < 5.5 * math.sqrt(1 - p) / p / math.sqrt(4000)
    assert stats.binomtest(gaps.count(0), 4000, p).pvalue > 4e-8


def test_a_sure_success_needs_no_gap_and_a_rare_one_does_not_overflow():
    state = Draws(1).kernel_state("gaps")
    assert {int(next_gap(state, -math.inf)) for _ in range(100)} == {0}
    gaps = [int(next_gap(state, math.log1p(-1e-300))) for _ in range(100)]
    assert set(gaps) == {2**62}


def test_states_are_functions_of_their_name():
    draws, state = Draws(3), Draws(3).kernel_state("a")
    assert np.array_equal(draws.kernel_state("a"), state)
    others = [draws.kernel_state("b")]
    others += [other.kernel_state("a") for other in (Draws(4), draws.at_block(1), draws.child("x"))]
    assert not any(np.array_equal(state, other) for other in others)
