from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.figures.directions import classify, composed_diagonals, count_outcomes, unit_rows

AXES = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


def at(*degrees: float) -> np.ndarray:
    turns = np.deg2rad(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def test_diagonals_of_two_antipodal_pairs_are_the_four_of_the_square() -> None:
    half = np.sqrt(0.5)
    expected = {(half, half), (half, -half), (-half, half), (-half, -half)}
    found = {tuple(np.round(row, 12)) for row in composed_diagonals(AXES)}
    assert found == {tuple(np.round(row, 12)) for row in expected}


def test_diagonal_ignores_the_length_of_features() -> None:
    np.testing.assert_allclose(composed_diagonals(np.diag([3.0, 0.5])), [[0.5**0.5, 0.5**0.5]])


@pytest.mark.parametrize(
    "features",
    [
        np.empty((0, 2)),
        np.array([[1.0, 0.0]]),
        np.array([[1.0, 0.0], [-1.0, 0.0]]),
        np.array([[1.0, 0.0], [2.0, 0.0]]),
        np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, 1.0]]),
    ],
)
def test_no_diagonal_without_two_directions_less_than_a_half_turn_apart(
    features: np.ndarray,
) -> None:
    assert composed_diagonals(features).shape == (0, 2)


def test_classes_around_the_circle() -> None:
    directions = at(0, 14.9, 15.1, 29.9, 30.1, 45, 59.9, 60.1, 180, 225)
    expected = ["true", "true", "other", "other"] + ["composed"] * 3 + ["other", "true", "composed"]
    assert classify(directions, AXES).tolist() == expected


def test_the_opposite_of_a_feature_is_not_that_feature() -> None:
    assert classify(at(180), at(0, 90)).tolist() == ["other"]


def test_true_wins_where_both_are_near() -> None:
    assert classify(at(10), at(0, 20)).tolist() == ["true"]


def test_rows_without_direction_are_undefined() -> None:
    rows = np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, 0.0], [1.0, 0.0]])
    classes = classify(rows, AXES)
    assert classes.tolist() == ["undefined"] * 3 + ["true"]
    assert count_outcomes(classes) == (1, 0, 0, 3)


def test_without_features_every_direction_is_other() -> None:
    assert classify(at(10, 50), np.empty((0, 2))).tolist() == ["other", "other"]


@given(
    angle=st.floats(0, 360),
    turn=st.floats(0, 360),
    length=st.floats(1e-3, 1e3),
)
def test_classes_do_not_depend_on_length_and_turn_with_the_plane(
    angle: float, turn: float, length: float
) -> None:
    distance = abs((angle % 45) - 22.5)  # 7.5 on a boundary, which rounding may cross
    if abs(distance - 7.5) < 1e-6:
        return
    direct = classify(at(angle), AXES)
    turned = classify(length * at(angle + turn), at(turn, turn + 180, turn + 90, turn + 270))
    assert direct.tolist() == turned.tolist()


def test_unit_rows_have_length_one() -> None:
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0]])), [[0.6, 0.8]])
