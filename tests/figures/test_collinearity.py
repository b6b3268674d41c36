from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.collinearity import (
    INFINITE_MARK,
    UNDEFINED_MARK,
    correlation_plot,
    vif_bars,
)

NAMES = ["a", "b", "c", "d"]
VIFS = [1.0, 50.0, math.inf, math.nan]


def tops(figure: Figure) -> list[float]:
    (bars,) = [one for one in figure.axes[0].containers if isinstance(one, BarContainer)]
    return [bar.get_y() + bar.get_height() for bar in bars]


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_correlations_have_fixed_limits_and_names_on_both_sides() -> None:
    figure = correlation_plot(np.array([[1.0, 0.5], [0.5, 1.0]]), ["a", "b"], "Latents")
    axes = figure.axes[0]
    assert axes.images[0].get_clim() == (-1, 1)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.50", "0.50", "1.00"]


def test_bars_end_at_their_factor_and_infinity_at_the_top() -> None:
    figure = vif_bars({"latents": VIFS}, NAMES)
    heights = tops(figure)
    assert heights[:2] == pytest.approx([1.0, 50.0])
    assert heights[2] == pytest.approx(figure.axes[0].get_ylim()[1])
    assert math.isnan(heights[3])
    assert figure.axes[0].get_ylim()[1] > 50
    assert figure.axes[0].get_yscale() == "log"


def test_infinite_and_undefined_factors_are_marked_and_explained() -> None:
    figure = vif_bars({"latents": VIFS}, NAMES)
    marks = {text.get_text(): text.xy[0] for text in figure.axes[0].texts}
    assert marks == {INFINITE_MARK: pytest.approx(2), UNDEFINED_MARK: pytest.approx(3)}
    assert legend_labels(figure) == ["latents", "infinite", "undefined"]


def test_series_stand_side_by_side() -> None:
    figure = vif_bars({"latents": [2.0], "features": [3.0]}, ["a"])
    first, second = (container[0] for container in figure.axes[0].containers)
    assert first.get_x() + first.get_width() <= second.get_x()
    assert legend_labels(figure) == ["latents", "features"]


@pytest.mark.parametrize(
    ("vifs", "names"),
    [
        ({}, NAMES),
        ({"latents": []}, []),
        ({"latents": [math.nan] * 4}, NAMES),
        ({"latents": [math.inf] * 4}, NAMES),
    ],
)
def test_degenerate_factors_are_drawn(vifs: dict[str, list[float]], names: list[str]) -> None:
    assert style.to_png_bytes(vif_bars(vifs, names), dpi=40)


@pytest.mark.parametrize("size", [0, 1])
def test_degenerate_correlations_are_drawn(size: int) -> None:
    figure = correlation_plot(np.full((size, size), np.nan), NAMES[:size])
    assert style.to_png_bytes(figure, dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="VIF of 'latents'"):
        vif_bars({"latents": [1.0]}, NAMES)
    with pytest.raises(ShapeError, match=r"expected \[2, 2\]"):
        correlation_plot(np.ones((2, 3)), ["a", "b"])
