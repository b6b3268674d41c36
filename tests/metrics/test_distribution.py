from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import DataError
from toysae.metrics.dictionary import fraction_above, max_cosine, quantiles

from .draw import SEEDS, normal, tensor
from .golden import END_TO_END, FOUR, LOCAL, THREE


def test_golden_quadruple_counting() -> None:
    best = max_cosine(LOCAL, END_TO_END)
    assert fraction_above(best.a_to_b, [0.8, 0.9]).fraction.tolist() == [1, 0]
    assert fraction_above(best.b_to_a, [0.8, 0.9]).fraction.tolist() == [0.25, 0]


def test_golden_four_against_three() -> None:
    best = max_cosine(FOUR, THREE)
    above = fraction_above(best.a_to_b)
    assert above.thresholds.tolist() == [0.7, 0.8, 0.9]
    assert above.fraction.tolist() == [0.75, 0.5, 0.5]
    assert fraction_above(best.b_to_a).fraction.tolist() == pytest.approx([2 / 3] * 3)
    found = quantiles(best.a_to_b)
    assert found.levels.tolist() == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert found.value.tolist() == pytest.approx(
        [0.620769, 0.703846, 0.830769, 0.932308, 0.954462], abs=1e-6
    )
    assert found.n_defined == 4


def test_thresholds_are_strict() -> None:
    above = fraction_above(tensor([0.95, math.nan, 0.7]), [0.7, 0.9, 0.95])
    assert above.fraction.tolist() == [0.5, 0.5, 0]
    assert above.n_defined == 2


@given(SEEDS, st.integers(1, 9))
def test_quantiles_are_numpys_of_what_is_defined(seed: int, n: int) -> None:
    values = normal(seed, n)
    mixed = torch.cat([values, tensor([math.nan, math.nan])])
    levels = [0.0, 0.3, 0.5, 1.0]
    found = quantiles(mixed.float().reshape(1, -1), levels)
    assert found.n_defined == n
    assert found.value.tolist() == pytest.approx(
        np.quantile(values.float().double(), levels).tolist()
    )


def test_nothing_defined_is_undefined() -> None:
    for nothing in (tensor([math.nan]), tensor([])):
        above, found = fraction_above(nothing, [0.7]), quantiles(nothing)
        assert torch.isnan(above.fraction).all()
        assert torch.isnan(found.value).all()
        assert found.value.shape == (5,)
        assert (above.n_defined, found.n_defined) == (0, 0)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DataError, match="values: 1 of 1"):
        quantiles(tensor([math.inf]))
    with pytest.raises(DataError, match="values: 1 of 1"):
        fraction_above(tensor([math.inf]))
    with pytest.raises(DataError, match="thresholds: 1 of 1"):
        fraction_above(tensor([1]), [math.nan])
    for level in (-0.1, 1.1):
        with pytest.raises(DataError, match=r"expected shares in \[0, 1\]"):
            quantiles(tensor([1]), [0.5, level])
