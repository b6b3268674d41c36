from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from toysae.training.kernels.simd import (
    count,
    exponent,
    first_lanes,
    fma,
    lane_sum,
    load,
    maximum,
    power_of_two,
    select,
    splat,
    sqrt,
    store,
)
from toysae.training.kernels.simd_bundles import (
    dot,
    fma_each,
    load_each,
    splat_each,
    store_each,
    store_sums,
    zeros,
)
from toysae.training.kernels.simd_functions import exp, log
from toysae.training.kernels.simd_types import LANES

UNARY = {
    "sqrt": sqrt,
    "exp": exp,
    "log": log,
    "exponent": exponent,
    "power_of_two": power_of_two,
}


def apply(name: str, values: list[float] | np.ndarray) -> np.ndarray:
    """A function of one vector, on any number of values."""
    function = UNARY[name]

    @njit
    def run(x, out):
        for at in range(0, x.size, LANES):
            store(out, at, function(load(x, at)))

    n = len(values)
    x = np.ones(n + -n % LANES, np.float32)
    x[:n] = values
    out = np.empty_like(x)
    run(x, out)
    return out[:n]


@pytest.fixture
def a() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)


def ulps(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error in units in the last place of a float32."""
    return float((np.abs(found - expected) / np.spacing(np.abs(expected).astype(np.float32))).max())


def test_operators_are_those_of_float32(a):
    @njit
    def run(a, out):
        x, y = load(a, 0), load(a, 40)
        store(out, 0, x + y)
        store(out, 16, x - y)
        store(out, 32, x * y)
        store(out, 48, x / y)
        store(out, 64, -x)

    out = np.empty((5, LANES), np.float32)
    run(a, out)
    x, y = a[0, :LANES], a[1, :LANES]
    np.testing.assert_array_equal(out, [x + y, x - y, x * y, x / y, -x])


def test_fma_rounds_once():
    @njit
    def run(out):
        x = splat(np.float32(1 + 2**-12))
        store(out, 0, fma(x, x, splat(-1.0)))

    out = np.empty(LANES, np.float32)
    run(out)
    assert out.tolist() == [2**-11 + 2**-24] * LANES


def test_masks():
    @njit
    def run(x, n, out):
        values, some = load(x, 0), first_lanes(n)
        large = values > splat(1.0)
        store(out, 0, select(large & some, values, splat(0.0)))
        store(out, 16, select(large | ~some, values, splat(0.0)))
        return count(large), count(some), count(values == values), count(values < splat(1.0))

    x, out = np.arange(LANES, dtype=np.float32) / 4, np.empty((2, LANES), np.float32)
    x[3] = np.nan
    index = np.arange(LANES)
    for n, first in ((-1, 0), (0, 0), (7, 7), (16, 16), (99, 16)):
        assert run(x, n, out) == (11, first, 15, 3)
        np.testing.assert_array_equal(out[0], np.where((x > 1) & (index < n), x, 0))
        np.testing.assert_array_equal(out[1], np.where((x > 1) | (index >= n), x, 0))


def test_maximum_is_its_second_operand_where_one_is_nan():
    @njit
    def run(x, out):
        store(out, 0, maximum(splat(0.0), load(x, 0)))
        store(out, 16, maximum(load(x, 0), splat(0.0)))

    x, out = np.linspace(-1, 2, LANES, dtype=np.float32), np.empty((2, LANES), np.float32)
    x[5] = np.nan
    run(x, out)
    np.testing.assert_array_equal(out[0], np.maximum(x, 0))
    np.testing.assert_array_equal(out[1], np.fmax(x, 0))


def test_lane_sum_adds_halves():
    @njit
    def run(x):
        return lane_sum(load(x, 0))

    x = np.random.default_rng(1).normal(size=LANES).astype(np.float32)
    expected = x
    while len(expected) > 1:
        half = len(expected) // 2
        expected = expected[:half] + expected[half:]
    assert run(x) == expected[0]


def test_bundles(a):
    @njit
    def run(dims, a, weights, out, sums):
        rows = load_each(dims, a, 2, 40)
        scaled = fma_each(rows, splat_each(dims, weights, 1, 2), zeros(dims))
        store_each(out, 0, 16, scaled)
        store_sums(sums, 1, 2, fma_each(splat(2.0), rows, splat(1.0)))
        store(out, 48, dot(rows, rows, splat(0.5)))

    weights = np.array([9, 1, 9, 2, 9, 4], np.float32)
    out, sums = np.empty((4, LANES), np.float32), np.zeros(6, np.float32)
    run((0, 0, 0), a, weights, out, sums)
    rows = a[:, 2:18]
    np.testing.assert_array_equal(out[:3], rows * np.array([[1], [2], [4]], np.float32))
    np.testing.assert_allclose(sums[1::2], (2 * rows.astype(float) + 1).sum(1), rtol=1e-5)
    assert sums[::2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(out[3], 0.5 + (rows.astype(float) ** 2).sum(0), rtol=1e-6)


def test_square_root_is_correctly_rounded():
    x = np.random.default_rng(2).uniform(0, 10, 1000).astype(np.float32)
    np.testing.assert_array_equal(apply("sqrt", x), np.sqrt(x))


def test_exponential():
    x = np.linspace(-87, 88.7, 100_000).astype(np.float32)
    assert ulps(apply("exp", x), np.exp(x.astype(float))) < 2
    found = apply("exp", [0, -np.inf, -200, np.inf, 200, np.nan])
    np.testing.assert_array_equal(found, [1, 0, 0, np.inf, np.inf, np.nan])


def test_logarithm():
    for x in (np.geomspace(1e-37, 1e38, 100_000), np.linspace(0.5, 2, 100_000)):
        x = x.astype(np.float32)
        assert ulps(apply("log", x), np.log(x.astype(float))) < 2
    assert apply("log", [1.0]).tolist() == [0.0]


def test_powers_of_two():
    n = np.arange(-126, 128)
    assert apply("power_of_two", n).tolist() == [2.0**k for k in n.tolist()]
    assert apply("exponent", 1.5 * 2.0**n).tolist() == n.tolist()
    assert apply("exponent", [1.0, 2.0, np.nextafter(np.float32(2), 0)]).tolist() == [0, 1, 0]
