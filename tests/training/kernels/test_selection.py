from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.compiled import njit
from toysae.training.kernels.selection import keep_largest, list_above
from toysae.training.kernels.simd_types import LANES


@njit
def listed(memory, z, floor, n, rows, values):
    return list_above(memory, z, floor, n, rows, values)


@njit
def kept(memory, rows, values, keys, n, k):
    return keep_largest(memory, rows, values, keys, n, k)


def padded(values):
    return np.r_[np.asarray(values, np.float32), np.full(2 * LANES, 9, np.float32)]


def keep(values, k):
    """What is kept of a list of `values` at positions 100, 101, ..."""
    memory, n = padded(values), len(values)
    rows = np.arange(100, 100 + n + LANES, dtype=np.int32)
    length = kept(memory, rows, 0, np.empty(n + LANES, np.int32), n, k)
    return (rows[:length] - 100).tolist(), memory[:length].tolist()


@pytest.mark.parametrize("n", [1, 15, 16, 17, 40])
def test_listed_is_what_exceeds_the_floor_or_is_no_number(n):
    size = 3 * LANES
    memory = np.zeros(4 * size, np.float32)
    z, floor = np.sin(np.arange(size)).astype(np.float32), np.full(size, 0.5, np.float32)
    z[n // 2], floor[0] = np.nan, z[0]
    memory[:size], memory[size : 2 * size] = z, floor
    rows = np.zeros(size + LANES, np.int32)
    found = listed(memory, 0, size, n, rows, 2 * size)
    expected = [j for j in range(n) if not z[j] <= floor[j]]
    assert rows[:found].tolist() == expected
    np.testing.assert_array_equal(memory[2 * size :][:found], z[expected])


@given(
    st.lists(st.floats(-3, 3, width=32) | st.sampled_from([-1.0, 0.0, 1.0, np.inf]), min_size=1),
    st.integers(1, 40),
)
def test_the_largest_are_kept_in_their_order_and_of_equal_ones_the_first(values, k):
    by_size = sorted(range(len(values)), key=lambda e: (-values[e], e))
    expected = sorted(by_size[:k])
    assert keep([v + 0.0 for v in values], k) == (expected, [values[e] for e in expected])


@pytest.mark.parametrize("strange", [np.nan, -np.nan])
def test_no_number_counts_as_the_largest(strange):
    """Of either sign: x86 sets it, for example in inf - inf."""
    rows, values = keep([1.0, 2.0, strange, 3.0], 2)
    assert rows == [2, 3]
    assert np.isnan(values[0])
    assert keep([np.inf, strange, strange, strange], 2)[0] == [1, 2]
