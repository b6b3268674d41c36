from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.tree import MOST_NODES, tree_diagram

#: Two trees, 1 -> (3, 4) and 0 -> 2 -> 5, and feature 6 outside.
PARENTS = [-1, -1, 0, 1, 1, 2, -1]
MARGINALS = [0.2, 0.5, 0.1, 0.3, 0.2, 0.05, 0.9]


def dots(figure: Figure) -> PathCollection:
    return next(c for c in figure.axes[0].collections if isinstance(c, PathCollection))


def lines(figure: Figure) -> list[np.ndarray]:
    return next(
        c for c in figure.axes[0].collections if isinstance(c, LineCollection)
    ).get_segments()


def test_frequent_trees_come_first_and_parents_stand_above_the_middle_of_children() -> None:
    figure = tree_diagram(PARENTS, MARGINALS, list("abcdefg"))
    where = dict(zip(np.asarray(dots(figure).get_array()), dots(figure).get_offsets().tolist()))
    assert where[0.5] == [0.5, 0]
    assert where[0.3] == [0, -1]
    assert where[0.05] == [2, -2]
    assert 0.9 not in where
    assert {text.get_text() for text in figure.axes[0].texts} == set("abcdef")


def test_lines_lead_from_parent_to_child() -> None:
    figure = tree_diagram(PARENTS, MARGINALS, list("abcdefg"))
    ends = {tuple(map(tuple, line.tolist())) for line in lines(figure)}
    assert ends == {
        ((0.5, 0), (0, -1)),
        ((0.5, 0), (1, -1)),
        ((2, 0), (2, -1)),
        ((2, -1), (2, -2)),
    }


def test_a_tree_that_does_not_fit_is_drawn_from_the_root_down() -> None:
    parents = [-1] + [0] * 10 + [place for place in range(1, 11) for _ in range(30)]
    figure = tree_diagram(parents, np.full(len(parents), 0.1), [""] * len(parents))
    depths = -dots(figure).get_offsets()[:, 1]
    assert np.bincount(depths.astype(int)).tolist() == [1, 10, MOST_NODES - 11]


def test_without_a_tree_the_figure_says_so() -> None:
    for n in (0, 3):
        figure = tree_diagram([-1] * n, [0.1] * n, list("abc")[:n])
        assert [text.get_text() for text in figure.axes[0].texts] == ["no tree"]
        assert style.to_png_bytes(figure, dpi=40)


def test_features_that_never_fire_are_drawn() -> None:
    assert style.to_png_bytes(tree_diagram([-1, 0], [0.0, 0.0], ["a", "b"]), dpi=40)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected -1 to 1"):
        tree_diagram([-1, 2], [0.1, 0.1], ["a", "b"])
    with pytest.raises(ShapeError, match="1 feature names: expected 2"):
        tree_diagram([-1, 0], [0.1, 0.1], ["a"])
