from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics.chance import (
    Simulated,
    expected_hungarian,
    expected_max_abs_cosine,
    expected_max_cosine,
    simulated_chance,
)
from toysae.metrics.dictionary import max_abs_cosine, max_cosine, mutual_nearest

NAN = math.nan


def test_summaries_leave_undefined_draws_out() -> None:
    level = Simulated(torch.tensor([0.0, NAN, 2.0, 4.0], dtype=torch.float64))
    assert level.n_defined == 3
    assert level.mean == pytest.approx(2)
    assert level.sd == pytest.approx(2)  # (4 + 0 + 4) / (3 - 1) = 4
    assert level.standard_error == pytest.approx(2 / math.sqrt(3))
    assert level.q95 == pytest.approx(3.8)  # between 2 and 4, at 0.95 * 2 = 1.9 of the way


def test_without_defined_draws_everything_is_undefined() -> None:
    level = Simulated(torch.tensor([NAN, NAN], dtype=torch.float64))
    assert level.n_defined == 0
    for value in (level.mean, level.sd, level.standard_error, level.q95):
        assert math.isnan(value)


def test_one_draw_has_no_deviation() -> None:
    level = Simulated(torch.tensor([0.5], dtype=torch.float64))
    assert level.mean == level.q95 == 0.5
    assert math.isnan(level.sd)
    assert math.isnan(level.standard_error)


# n = m and d, the level of the matching and the level with replacement, to three digits.
@pytest.mark.parametrize(
    ("n", "d", "matched", "replaced", "n_draws"),
    [
        (64, 16, 0.519, 0.556, 40),
        (512, 64, 0.355, 0.371, 3),
        (1024, 256, 0.194, 0.201, 1),
        (2048, 768, 0.119, 0.124, 1),
    ],
)
def test_golden_levels_of_the_matching(
    n: int, d: int, matched: float, replaced: float, n_draws: int
) -> None:
    level = expected_hungarian(d, n, n, n_draws=n_draws)
    assert level.over_matched.mean == pytest.approx(matched, abs=2e-3)
    assert expected_max_cosine(d, n) == pytest.approx(replaced, abs=6e-4)
    assert 0.93 < level.over_matched.mean / expected_max_cosine(d, n) < 0.97


def test_with_a_row_to_match_the_matching_is_the_best_cosine() -> None:
    """One row against m: the larger side has m rows, and a negative best cosine is no match."""
    level = expected_hungarian(10, 1, 50, n_draws=400)
    expected = expected_max_cosine(10, 50)
    assert level.over_matched.mean == pytest.approx(
        expected, abs=5 * level.over_matched.standard_error
    )
    assert level.over_max.draws.tolist() == pytest.approx((level.over_matched.draws / 50).tolist())


def test_nothing_to_match_is_undefined() -> None:
    level = expected_hungarian(3, 0, 4, n_draws=2)
    assert level.over_matched.n_defined == level.over_max.n_defined == 0


def test_simulation_finds_the_closed_forms() -> None:
    def best(a: Tensor, b: Tensor) -> float:
        return max_cosine(a, b).mean_a_to_b

    def best_abs(a: Tensor, b: Tensor) -> float:
        return max_abs_cosine(a, b).mean_b_to_a

    for statistic, expected in (
        (best, expected_max_cosine(6, 12)),
        (best_abs, expected_max_abs_cosine(6, 8)),
    ):
        level = simulated_chance(statistic, 6, 8, 12, n_draws=200)
        assert level.standard_error < 0.01
        assert level.mean == pytest.approx(expected, abs=4 * level.standard_error)


def test_mutual_neighbours_of_two_rows_on_the_line() -> None:
    """In one dimension rows are +-1. The rate of single rows is 1: each has nobody else."""
    level = simulated_chance(lambda a, b: mutual_nearest(a, b).rate, 1, 1, 1, n_draws=5)
    assert level.draws.tolist() == [1] * 5


def test_draws_are_functions_of_seed_sizes_and_index() -> None:
    def first(a: Tensor, b: Tensor) -> float:
        return float(a[0, 0] + b[0, 0])

    short = simulated_chance(first, 3, 2, 2, seed=1, n_draws=3).draws.tolist()
    assert simulated_chance(first, 3, 2, 2, seed=1, n_draws=5).draws[:3].tolist() == short
    assert len(set(short)) == 3
    for seed, d, n, m in ((2, 3, 2, 2), (1, 4, 2, 2), (1, 3, 3, 2), (1, 3, 2, 3)):
        assert simulated_chance(first, d, n, m, seed=seed, n_draws=3).draws.tolist() != short


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    simulated_chance(lambda a, b: 0.0, 3, 2, 2, n_draws=2)
    assert torch.equal(torch.rand(3), expected)


def test_sizes_are_what_was_asked_for() -> None:
    shapes = []
    simulated_chance(
        lambda a, b: shapes.append((tuple(a.shape), tuple(b.shape))) or 0.0, 5, 2, 7, n_draws=1
    )
    assert shapes == [((2, 5), (7, 5))]


def test_progress_is_reported_draw_by_draw() -> None:
    seen: list[tuple[int, int]] = []
    expected_hungarian(3, 2, 2, n_draws=3, report=lambda done, n: seen.append((done, n)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="n_draws=0"):
        expected_hungarian(3, 2, 2, n_draws=0)
    for d, n, m in ((0, 2, 2), (3, -1, 2), (3, 2, -1)):
        with pytest.raises(ShapeError, match="expected at least one dimension"):
            expected_hungarian(d, n, m)
