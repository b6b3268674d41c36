from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from toysae.errors import DataError, ShapeError
from toysae.metrics import chance, dictionary

GOLDEN = [
    # d, m, E signed, E absolute, sqrt(2 ln m / d) to three digits
    (2, 4, 0.723087, 0.921280, 1.177),
    (3, 10, 0.818182, 0.909091, 1.239),
    (20, 100, 0.533081, 0.575314, 0.679),
    (64, 512, 0.370584, 0.393569, 0.442),
    (256, 512, 0.189002, 0.201455, 0.221),
    (512, 4096, 0.159435, 0.167078, 0.180),
    (768, 16384, 0.142697, 0.148481, 0.159),
    (768, 24576, 0.146107, 0.151766, 0.162),
    (768, 46080, 0.151248, 0.156728, 0.167),
    (768, 49152, 0.151766, 0.157229, 0.168),
]


@pytest.mark.parametrize(("d", "m", "signed", "absolute", "usual"), GOLDEN)
def test_golden_expectations(d: int, m: int, signed: float, absolute: float, usual: float) -> None:
    assert chance.expected_max_cosine(d, m) == pytest.approx(signed, abs=1e-6)
    assert chance.expected_max_abs_cosine(d, m) == pytest.approx(absolute, abs=1e-6)
    assert math.sqrt(2 * math.log(m) / d) == pytest.approx(usual, abs=6e-4)
    assert usual / chance.expected_max_cosine(d, m) > 1.1
    if d >= 64:
        assert usual / chance.expected_max_cosine(d, m) < 1.2


@pytest.mark.parametrize(
    ("d", "m", "simulated"),
    [
        (3, 10, 0.8206),
        (20, 100, 0.5334),
        (64, 512, 0.3702),
        (256, 512, 0.1891),
        (512, 4096, 0.1598),
    ],
)
def test_published_simulations_agree(d: int, m: int, simulated: float) -> None:
    assert chance.expected_max_cosine(d, m) == pytest.approx(simulated, abs=3e-3)


# From Student's law: cos = T / sqrt(d - 1 + T^2) with T of d - 1 degrees of freedom.
@pytest.mark.parametrize(
    ("t", "signed", "absolute"),
    [
        (0.15, 0.304930177, 0.516880542),
        (0.20, 2.73009334e-4, 5.45944138e-4),
        (0.25, 2.47646554e-8, 4.95293101e-8),
    ],
)
def test_golden_tails(t: float, signed: float, absolute: float) -> None:
    assert chance.prob_max_cosine_above(t, 768, 24576) == pytest.approx(signed, rel=1e-7)
    assert chance.prob_max_abs_cosine_above(t, 768, 24576) == pytest.approx(absolute, rel=1e-7)


# Roots of the same law.
@pytest.mark.parametrize(
    ("d", "m", "signed", "absolute"),
    [
        (2, 4, 0.999198968, 0.999799722),
        (20, 100, 0.664149127, 0.691782535),
        (768, 24576, 0.165099150, 0.170129753),
    ],
)
def test_golden_quantiles(d: int, m: int, signed: float, absolute: float) -> None:
    assert chance.max_cosine_quantile(0.95, d, m) == pytest.approx(signed, abs=1e-8)
    assert chance.max_abs_cosine_quantile(0.95, d, m) == pytest.approx(absolute, abs=1e-8)


def test_golden_chance_correction() -> None:
    assert chance.chance_corrected(0.686, 0.146107) == pytest.approx(0.632272, abs=1e-6)


@given(st.integers(1, 10**6))
def test_closed_forms(m: int) -> None:
    assert chance.expected_max_cosine(3, m) == pytest.approx((m - 1) / (m + 1), abs=1e-8)
    assert chance.expected_max_abs_cosine(3, m) == pytest.approx(m / (m + 1), abs=1e-8)
    assert chance.expected_max_cosine(1, m) == pytest.approx(1 - 2.0 ** (1 - m))
    assert chance.expected_max_abs_cosine(1, m) == 1


def test_billions_of_directions() -> None:
    """A law to the power of a billion has lost its digits where its tail has all of them."""
    for m in (10**9, 10**12):
        assert chance.expected_max_cosine(3, m) == pytest.approx(1 - 2 / m, abs=1e-13)
        assert chance.expected_max_abs_cosine(3, m) == pytest.approx(1 - 1 / m, abs=1e-13)


# On the line a cosine is 1 or -1.
@pytest.mark.parametrize(
    ("t", "signed", "absolute"),
    [(-1.5, 1, 1), (-1, 0.75, 1), (-0.5, 0.75, 1), (0.5, 0.75, 1), (1, 0, 0), (1.5, 0, 0)],
)
def test_two_directions_of_a_line(t: float, signed: float, absolute: float) -> None:
    assert chance.prob_max_cosine_above(t, 1, 2) == signed
    assert chance.prob_max_abs_cosine_above(t, 1, 2) == absolute


@pytest.mark.parametrize("d", [1, 2, 5, 40, 768])
def test_one_random_direction_is_orthogonal_on_average(d: int) -> None:
    assert chance.expected_max_cosine(d, 1) == pytest.approx(0, abs=1e-9)


@given(st.integers(2, 1000), st.integers(1, 5000))
def test_monotone_in_directions_and_dimension(d: int, m: int) -> None:
    for expected in (chance.expected_max_cosine, chance.expected_max_abs_cosine):
        assert expected(d, m + 1) > expected(d, m)
        # One random direction has mean cosine 0 in every dimension.
        assert expected(d + 1, m + 1) < expected(d, m + 1)


@pytest.mark.parametrize(("d", "m"), [(1, 3), (2, 4), (5, 7), (30, 20)])
def test_expectation_is_what_random_directions_give(d: int, m: int) -> None:
    rng = np.random.default_rng(0)
    fixed = torch.eye(1, d).double()
    random = torch.from_numpy(rng.normal(size=(20_000 * m, d)))
    cosine = dictionary.cosine_matrix(random, fixed).reshape(20_000, m)
    for table, expected in (
        (cosine, chance.expected_max_cosine(d, m)),
        (cosine.abs(), chance.expected_max_abs_cosine(d, m)),
    ):
        best = table.amax(dim=1)
        error = best.std().item() / math.sqrt(len(best))
        assert best.mean().item() == pytest.approx(expected, abs=5 * error + 1e-12)
    above = (cosine.amax(dim=1) > 0.5).double().mean().item()
    expected = chance.prob_max_cosine_above(0.5, d, m)
    assert above == pytest.approx(expected, abs=5 * math.sqrt(0.25 / 20_000))


@given(st.integers(2, 800), st.integers(1, 30_000), st.floats(0.001, 0.999))
@example(2, 9803, 0.999)
@example(2, 30_000, 0.5)
def test_quantiles_undo_the_tails(d: int, m: int, p: float) -> None:
    """To 1e-6; of few dimensions and many directions to the number of float64 that is nearest.

    In the plane cosines come so close to 1 that one number and the next differ by up to 1e-5 in
    probability.
    """
    for quantile, tail, lowest in (
        (chance.max_cosine_quantile, chance.prob_max_cosine_above, -1.0),
        (chance.max_abs_cosine_quantile, chance.prob_max_abs_cosine_above, 0.0),
    ):
        t = quantile(p, d, m)
        assert lowest <= t <= 1

        def error(t: float, tail: Callable[[float, int, int], float] = tail) -> float:
            return abs(1 - tail(t, d, m) - p)

        neighbours = math.nextafter(t, lowest), min(math.nextafter(t, 2), 1.0)
        assert error(t) <= max(1e-6, 0 if d > 2 else min(map(error, neighbours)))


def test_quantiles_of_the_line() -> None:
    """All of three directions point away with probability 1/8."""
    assert chance.max_cosine_quantile(0.125, 1, 3) == -1
    assert chance.max_cosine_quantile(0.126, 1, 3) == 1
    assert chance.max_abs_cosine_quantile(0.01, 1, 3) == 1


@given(st.integers(1, 100), st.integers(1, 100), st.floats(-1.5, 1.5))
def test_absolute_probability_is_a_survival_function(d: int, m: int, t: float) -> None:
    p = chance.prob_max_abs_cosine_above(t, d, m)
    assert chance.prob_max_cosine_above(t, d, m) - 1e-12 <= p <= 1
    assert chance.prob_max_abs_cosine_above(t + 0.1, d, m) <= p
    if t >= 1:
        assert p == 0
    if t < 0 or (d == 1 and t < 1):
        assert p == 1


@given(st.integers(1, 100), st.integers(1, 100), st.floats(-1.5, 1.5))
def test_probability_is_a_survival_function(d: int, m: int, t: float) -> None:
    p = chance.prob_max_cosine_above(t, d, m)
    assert 0 <= p <= 1
    assert chance.prob_max_cosine_above(t + 0.1, d, m) <= p
    if t >= 1:
        assert p == 0
    if t < -1:
        assert p == 1


def test_tiny_tails_keep_their_digits() -> None:
    # (1 + cos) / 2 is Beta(31.5, 31.5); a union of 1000 events that rare is their sum.
    single = stats.beta.sf(0.95, 31.5, 31.5)
    assert single < 1e-20
    assert chance.prob_max_cosine_above(0.9, 64, 1000) == pytest.approx(
        1000 * single, rel=1e-9, abs=0
    )


def test_expectation_is_the_integral_of_the_tail() -> None:
    grid = np.linspace(-1, 1, 20_001)
    tail = [chance.prob_max_cosine_above(t, 6, 9) for t in grid]
    assert chance.expected_max_cosine(6, 9) == pytest.approx(
        -1 + np.trapezoid(tail, grid), abs=1e-6
    )


def test_chance_correction() -> None:
    assert chance.chance_corrected(1.0, 0.3) == 1
    assert chance.chance_corrected(0.3, 0.3) == 0
    assert chance.chance_corrected(0.0, 0.5) == -1
    per_item = chance.chance_corrected(torch.tensor([1.0, 0.5]), 0.5)
    assert per_item.tolist() == [1, 0]
    assert math.isnan(chance.chance_corrected(1.0, 1.0))


def test_nothing_to_choose_from_is_undefined() -> None:
    assert math.isnan(chance.expected_max_cosine(5, 0))
    assert math.isnan(chance.expected_max_abs_cosine(5, 0))
    assert math.isnan(chance.prob_max_cosine_above(0.5, 5, 0))
    assert math.isnan(chance.prob_max_abs_cosine_above(0.5, 5, 0))
    assert math.isnan(chance.max_cosine_quantile(0.5, 5, 0))
    assert math.isnan(chance.max_abs_cosine_quantile(0.5, 5, 0))


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ShapeError, match="d=0"):
        chance.expected_max_cosine(0, 3)
    with pytest.raises(ShapeError, match="m=-1"):
        chance.expected_max_abs_cosine(3, -1)
    for probability in (chance.prob_max_cosine_above, chance.prob_max_abs_cosine_above):
        with pytest.raises(DataError, match="t=nan"):
            probability(math.nan, 3, 3)
        with pytest.raises(ShapeError, match="d=0"):
            probability(0.5, 0, 3)
    for quantile in (chance.max_cosine_quantile, chance.max_abs_cosine_quantile):
        for p in (0, 1, math.nan):
            with pytest.raises(DataError, match="p="):
                quantile(p, 3, 3)
        with pytest.raises(ShapeError, match="d=0"):
            quantile(0.5, 0, 3)
    for level in (math.nan, -math.inf, 1.5):
        with pytest.raises(DataError, match="chance="):
            chance.chance_corrected(0.5, level)
