from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from toysae.errors import DataError, ShapeError
from toysae.figures import style
from toysae.figures.grid import outcome_grid, outcome_grids

LRS = [3e-5, 1e-3]
L1S = [0.01, 0.1, 1.0]
FRACTIONS = np.array(
    [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.5, 0.25, 0.25], [0.2, 0.8, 0.0], [0.1, 0.2, 0.7]],
    ]
)


def bars(figure: Figure, panel: int = 0) -> dict[str, BarContainer]:
    found = figure.axes[panel].containers
    return {str(one.get_label()): one for one in found if isinstance(one, BarContainer)}


def test_bar_heights_are_the_fractions_of_their_cells() -> None:
    found = bars(outcome_grid(torch.from_numpy(FRACTIONS), LRS, L1S, "q = 0"))
    heights = np.array([[bar.get_height() for bar in found[name]] for name in style.OUTCOMES])
    np.testing.assert_allclose(heights / heights.sum(axis=0), FRACTIONS.reshape(6, 3).T)
    np.testing.assert_allclose(heights.sum(axis=0), heights.sum(axis=0)[0])


def test_outcomes_are_stacked_in_order_and_colour() -> None:
    found = bars(outcome_grid(FRACTIONS, LRS, L1S, "q = 0"))
    true, composed, other = (found[name][3] for name in style.OUTCOMES)  # the cell (1, 0)
    assert true.get_y() < composed.get_y() < other.get_y()
    assert composed.get_y() == pytest.approx(true.get_y() + true.get_height())
    assert true.get_x() + true.get_width() / 2 == pytest.approx(0)
    assert true.get_y() + true.get_height() == pytest.approx(1)  # half full: up to the middle
    for name in style.OUTCOMES:
        assert to_hex(found[name][0].get_facecolor()).upper() == style.OUTCOME_COLOURS[name]


def test_ticks_name_the_sweep() -> None:
    axes = outcome_grid(FRACTIONS, LRS, L1S, "q = 0").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.01", "0.1", "1"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["3e-5", "0.001"]


def test_cells_without_runs_are_hatched_and_have_no_bar() -> None:
    fractions = FRACTIONS.copy()
    fractions[1, 2] = np.nan
    figure = outcome_grid(fractions, LRS, L1S, "q = 0")
    assert len(bars(figure)["true"]) == 5
    (hatched,) = [
        one for one in figure.axes[0].patches if isinstance(one, Rectangle) and one.get_hatch()
    ]
    assert hatched.get_x() + hatched.get_width() / 2 == pytest.approx(2)


def test_annotations_stand_above_the_bars_of_their_cells() -> None:
    notes = [["a", "b", "c"], ["d", "e", "f"]]
    figure = outcome_grid(FRACTIONS, LRS, L1S, "q = 0", notes)
    shown = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert set(shown) == set("abcdef")
    column, height = shown["f"]
    top = bars(figure)["other"][5]
    assert column == 2
    assert top.get_y() + top.get_height() < height < 1.5


def test_panels_share_one_legend() -> None:
    figure = outcome_grids({"first": FRACTIONS, "second": FRACTIONS}, LRS, L1S)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["true", "composed", "other"]


def test_empty_sweeps_say_so() -> None:
    for figure in (outcome_grid(np.empty((0, 3, 3)), [], L1S, "none"), outcome_grids({}, LRS, L1S)):
        assert [text.get_text() for text in figure.axes[0].texts] == ["no data"]
        assert style.to_png_bytes(figure, dpi=40)


@pytest.mark.parametrize("cell", [[0.5, 0.2, 0.2], [1.2, -0.2, 0.0]])
def test_what_is_not_a_partition_is_refused(cell: list[float]) -> None:
    fractions = FRACTIONS.copy()
    fractions[0, 0] = cell
    with pytest.raises(DataError, match="add up to 1"):
        outcome_grid(fractions, LRS, L1S, "q = 0")


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[2, 3, 3\]"):
        outcome_grid(FRACTIONS.transpose(1, 0, 2), LRS, L1S, "q = 0")
    with pytest.raises(ShapeError, match="2 rows of 3 texts"):
        outcome_grid(FRACTIONS, LRS, L1S, "q = 0", [["a"]])
