from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.agreement import similarity_histograms, similarity_matrix

ASYMMETRIC = np.array([[np.nan, 1.0], [0.25, np.nan]])


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_matrix_goes_from_rows_to_columns() -> None:
    figure = similarity_matrix(ASYMMETRIC, ["e2e", "local"], "Layer 6")
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), ASYMMETRIC)
    assert axes.images[0].get_clim() == (0, 1)
    written = {text.get_text(): text.get_position() for text in axes.texts}
    assert written == {"1.00": (1, 0), "0.25": (0, 1)}  # (column, row)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["e2e", "local"]
    assert axes.get_ylabel() == "latents of …"
    assert axes.get_xlabel() == "… matched in"


@pytest.mark.parametrize("size", [0, 1])
def test_degenerate_matrices_are_drawn(size: int) -> None:
    figure = similarity_matrix(np.full((size, size), np.nan), ["a"] * size)
    assert style.to_png_bytes(figure, dpi=40)


def test_histograms_are_fractions_of_the_defined() -> None:
    values = [0.1, 0.1, 0.5, 0.9, np.nan]
    figure = similarity_histograms({"local": values}, 0.162)
    (outline,) = [
        one for one in figure.axes[0].patches if isinstance(one, StepPatch) and not one.fill
    ]
    heights, edges, _ = outline.get_data()
    assert heights.sum() == pytest.approx(1)
    assert heights.max() == pytest.approx(0.5)
    assert (edges[0], edges[-1]) == (0, 1)
    assert legend_labels(figure) == ["local: mean 0.400, 1 undefined", "chance level 0.162"]


def test_means_are_dashed_and_chance_is_dotted_grey() -> None:
    figure = similarity_histograms({"local": [0.2, 0.4]}, 0.162)
    mean, chance = figure.axes[0].lines
    assert mean.get_xdata()[0] == pytest.approx(0.3)
    assert mean.is_dashed()
    assert chance.get_xdata()[0] == 0.162
    assert (chance.get_color(), chance.get_linestyle()) == (style.CHANCE, ":")


def test_negative_similarities_are_shown() -> None:
    figure = similarity_histograms({"local": [-0.5, 0.5]}, math.nan)
    (outline,) = [
        one for one in figure.axes[0].patches if isinstance(one, StepPatch) and not one.fill
    ]
    assert outline.get_data().edges[0] == -0.5
    assert legend_labels(figure) == ["local: mean 0.000"]


@pytest.mark.parametrize("values", [{}, {"local": []}, {"local": [np.nan]}])
def test_degenerate_histograms_are_drawn(values: dict[str, list[float]]) -> None:
    figure = similarity_histograms(values, math.nan)
    assert style.to_png_bytes(figure, dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[2, 2\]"):
        similarity_matrix(np.ones((3, 3)), ["a", "b"])
    with pytest.raises(ShapeError, match="similarities of 'local'"):
        similarity_histograms({"local": np.ones((2, 2))}, 0.1)
