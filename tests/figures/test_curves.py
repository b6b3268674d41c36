from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.curves import banded_curves, one_hot_curve

Q = np.array([0.0, 0.5, 1.0])
MIDDLE = np.array([1.0, 0.6, 0.1])
BAND = (MIDDLE, MIDDLE - 0.1, MIDDLE + 0.1)


def lines(figure: Figure) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in figure.axes[0].lines}


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_lines_and_bands_carry_the_series() -> None:
    figure = one_hot_curve(Q, {"random": BAND}, 0.5858, ylabel="composed")
    np.testing.assert_allclose(np.asarray(lines(figure)["random"].get_ydata(), float), MIDDLE)
    (band,) = [one for one in figure.axes[0].collections if isinstance(one, PolyCollection)]
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.0)
    assert corners[:, 1].max() == pytest.approx(1.1)


def test_crossings_are_vertical_lines_named_in_the_legend() -> None:
    figure = one_hot_curve(
        Q, {"random": BAND}, 2 - math.sqrt(2), measured_crossing=0.55, ylabel="composed"
    )
    predicted, measured = "predicted crossing, q = 0.586", "measured crossing, q = 0.550"
    assert legend_labels(figure) == ["random", predicted, measured]
    assert lines(figure)[predicted].get_xdata()[0] == pytest.approx(0.5857864)
    assert lines(figure)[measured].get_linestyle() != lines(figure)[predicted].get_linestyle()


def test_crossings_that_do_not_exist_are_left_out() -> None:
    figure = one_hot_curve(
        Q, {"random": BAND}, math.nan, measured_crossing=math.nan, ylabel="composed"
    )
    assert legend_labels(figure) == ["random"]


def test_initialisations_named_after_outcomes_have_their_colours() -> None:
    series = {"random": BAND, "composed": BAND, "true": BAND}
    found = lines(one_hot_curve(Q, series, 0.5, ylabel="gap"))
    assert found["true"].get_color() == style.TRUE
    assert found["composed"].get_color() == style.COMPOSED


def test_chance_is_dotted_grey() -> None:
    figure = banded_curves(Q, {"run": BAND}, xlabel="x", ylabel="y", chance=0.25)
    chance = lines(figure)["chance level"]
    assert chance.get_color() == style.CHANCE
    assert chance.get_linestyle() == ":"
    assert chance.get_ydata()[0] == 0.25


def test_limits_keep_a_margin() -> None:
    axes = banded_curves(Q, {"run": BAND}, xlabel="x", ylabel="y", limits=(0, 1)).axes[0]
    low, high = axes.get_ylim()
    assert -0.1 < low < 0
    assert 1 < high < 1.1


def test_legend_lies_outside_of_the_data() -> None:
    figure = banded_curves(Q, {"a long name of a run": BAND}, xlabel="x", ylabel="y")
    figure.canvas.draw()
    data = figure.axes[0].get_window_extent()
    assert figure.legends[0].get_window_extent().x0 >= data.x1


@pytest.mark.parametrize(
    ("x", "series"),
    [
        (Q, {"run": tuple(np.full((3, 3), np.nan))}),
        (Q[:1], {"run": tuple(np.ones((3, 1)))}),
        (Q[:0], {"run": tuple(np.ones((3, 0)))}),
        (Q, {}),
    ],
)
def test_degenerate_input_is_drawn(x: np.ndarray, series: dict) -> None:
    figure = banded_curves(x, series, xlabel="x", ylabel="y")
    assert style.to_png_bytes(figure, dpi=40)


def test_series_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="series 'run'"):
        banded_curves(Q[:2], {"run": BAND}, xlabel="x", ylabel="y")
