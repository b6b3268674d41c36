from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.report.numbers import format_number, is_number, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "undefined"),
        (np.float32("nan"), "undefined"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, "–"),
        (True, "yes"),
        (np.False_, "no"),
        (24576, "24,576"),
        (np.int64(-1200), "−1,200"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (2.0, "2"),
        (1.41421356, "1.414"),
        (0.999999, "1.000"),
        (-0.0123456, "−0.01235"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234 × 10⁻⁵"),
        (8e-5, "8 × 10⁻⁵"),
        (12345.6, "12,350"),
        (999999.9, "1 × 10⁶"),
        (-3.2e7, "−3.2 × 10⁷"),
        (torch.tensor(0.25), "0.25"),
        (torch.tensor([7]), "7"),
        ((0.21, 0.45), "[0.21, 0.45]"),
        ((0.2, math.nan), "[0.2, undefined]"),
        ("> 0.5", "> 0.5"),
    ],
)
def test_format_number(value: object, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(("digits", "text"), [(1, "0.3"), (2, "0.33"), (6, "0.333333")])
def test_digits_are_significant(digits: int, text: str) -> None:
    assert format_number(1 / 3, digits) == text


# Larger numbers may round up to what no float can hold when read back.
@given(st.floats(-1e308, 1e308))
def test_what_is_written_is_within_half_a_digit(value: float) -> None:
    ascii_digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", ",")
    text = format_number(value).translate(ascii_digits).replace(" × 10", "e")
    assert float(text) == pytest.approx(value, rel=5.0001e-4, abs=0)


@pytest.mark.parametrize("value", [1, 0.5, math.nan, np.float32(1), torch.tensor(2.0)])
def test_numbers(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", ["1", None, True, np.True_, torch.ones(2), (1, 2)])
def test_not_numbers(value: object) -> None:
    assert not is_number(value)


def test_a_value_and_its_interval_stay_on_one_line() -> None:
    assert with_interval(0.421, -0.3, 0.55, 2) == "0.42\u00a0[−0.30,\u00a00.55]"
    assert with_interval(math.nan, math.nan, math.nan, 2) == "undefined"
    assert with_interval(0.421, math.nan, math.nan, 2) == "0.42\u00a0[undefined]"
