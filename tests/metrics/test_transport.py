from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from toysae.errors import ConfigError
from toysae.metrics.dictionary import (
    cosine_matrix,
    hungarian,
    soft_matching,
    soft_matching_sinkhorn,
)

from .draw import SEEDS, normal, pairs_of_dictionaries
from .golden import END_TO_END, FOUR, LOCAL, OPPOSITE, THREE, TWICE

FEW = settings(max_examples=15)
BOTH = pytest.mark.parametrize("function", [soft_matching, soft_matching_sinkhorn])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (TWICE, OPPOSITE, 0),
        (LOCAL, END_TO_END, 0.225),
        (FOUR, THREE, 0.391282),
        # One third and one half of the mass of e1 against e1, one third of e2 against e2.
        (torch.eye(3)[[0, 0, 1]], torch.eye(3)[[0, 1]], 0.833333),
    ],
    ids=["opposite", "quadruple", "four-three", "duplicates"],
)
def test_golden(a: Tensor, b: Tensor, expected: float) -> None:
    exact = soft_matching(a, b)
    assert exact.mean == pytest.approx(expected, abs=1e-6)
    assert exact.bound == pytest.approx(expected, abs=1e-6)
    close = soft_matching_sinkhorn(a, b, tolerance=1e-4)
    assert close.mean - 1e-6 <= expected <= close.bound + 1e-6
    assert close.bound - close.mean <= 1e-4


@BOTH
@FEW
@given(ab=pairs_of_dictionaries())
def test_the_plan_is_one(function: object, ab: tuple[Tensor, Tensor]) -> None:
    a, b = ab
    found = function(a, b)  # type: ignore[operator]
    kept_a, kept_b = a.any(dim=1), b.any(dim=1)
    assert (found.n_rows, found.n_cols) == (int(kept_a.sum()), int(kept_b.sum()))
    assert found.plan.shape == (len(a), len(b))
    if not (found.n_rows and found.n_cols):
        assert math.isnan(found.mean)
        assert math.isnan(found.bound)
        return
    assert (found.plan >= 0).all()
    rows, cols = kept_a.double() / kept_a.sum(), kept_b.double() / kept_b.sum()
    assert torch.allclose(found.plan.sum(dim=1), rows, atol=1e-9)
    assert torch.allclose(found.plan.sum(dim=0), cols, atol=1e-9)
    assert found.mean == pytest.approx(float((found.plan * cosine_matrix(a, b)).nansum()), abs=1e-9)
    assert found.mean <= found.bound + 1e-9


@FEW
@given(SEEDS, st.integers(1, 6))
def test_equal_sizes_are_matched_one_to_one(seed: int, n: int) -> None:
    a, b = normal(seed, n, 3), normal(seed + 1, n, 3)
    raw = cosine_matrix(a, b)
    best = float(raw[linear_sum_assignment(raw, maximize=True)].mean())
    assert soft_matching(a, b).mean == pytest.approx(best, abs=1e-9)
    a, b = a.abs(), b.abs()
    assert soft_matching(a, b).mean == pytest.approx(hungarian(a, b).mean_over_max, abs=1e-9)


@FEW
@given(SEEDS, st.integers(1, 7), st.integers(1, 7))
def test_the_tolerance_is_kept_and_the_bound_holds(seed: int, n: int, m: int) -> None:
    a, b = normal(seed, n, 4), normal(seed + 1, m, 4)
    exact, close = soft_matching(a, b), soft_matching_sinkhorn(a, b, tolerance=1e-3)
    assert exact.bound == pytest.approx(exact.mean, abs=1e-8)
    assert close.mean <= exact.mean + 1e-9 <= close.bound + 2e-9
    assert close.bound - close.mean <= 1e-3


def test_dead_rows_take_no_part() -> None:
    alive = torch.tensor([True, True, True, False])
    longer = torch.cat([THREE, FOUR[:1]])
    for function in (soft_matching, soft_matching_sinkhorn):
        assert function(FOUR, longer, alive_b=alive).mean == pytest.approx(0.391282, abs=1e-3)
        assert function(FOUR, longer, alive_b=alive).plan[:, 3].sum() == 0
        assert function(longer, FOUR, alive_a=alive).plan[3].sum() == 0


@pytest.mark.parametrize("max_sweeps", [1, 25])
def test_too_few_sweeps_are_admitted(max_sweeps: int) -> None:
    a, b, told = normal(0, 9, 4), normal(1, 7, 4), []
    rough = soft_matching_sinkhorn(
        a,
        b,
        tolerance=1e-9,
        max_sweeps=max_sweeps,
        report=lambda done, all_: told.append((done, all_)),
    )
    assert rough.bound - rough.mean > 1e-9
    assert rough.mean <= soft_matching(a, b).mean <= rough.bound
    assert torch.allclose(rough.plan.sum(dim=1), torch.full((9,), 1 / 9).double(), rtol=1e-9)
    assert torch.allclose(rough.plan.sum(dim=0), torch.full((7,), 1 / 7).double(), rtol=1e-9)
    assert told[-1] == (max_sweeps, max_sweeps)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="tolerance=0"):
        soft_matching_sinkhorn(FOUR, THREE, tolerance=0)
    with pytest.raises(ConfigError, match="max_sweeps=0"):
        soft_matching_sinkhorn(FOUR, THREE, max_sweeps=0)


@BOTH
@pytest.mark.parametrize(("n", "m"), [(0, 2), (2, 0), (0, 0)])
def test_empty_dictionaries_are_undefined(function: object, n: int, m: int) -> None:
    found = function(torch.ones(n, 3), torch.ones(m, 3))  # type: ignore[operator]
    assert math.isnan(found.mean)
    assert math.isnan(found.bound)
    assert found.plan.shape == (n, m)
