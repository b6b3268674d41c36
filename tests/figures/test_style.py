from __future__ import annotations

import base64

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.arrays import as_array

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_semantic_colours_differ_from_each_other_and_from_every_series() -> None:
    semantic = {style.TRUE, style.COMPOSED, style.OTHER, style.COMPONENT, style.CHANCE}
    assert len(semantic) == 5
    assert not semantic & set(style.SERIES_COLOURS)


@pytest.mark.parametrize("colour", [style.TRUE, style.COMPOSED, style.COMPONENT, style.OTHER])
def test_semantic_colours_stand_out_from_white(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) > 3


def test_style_restores_what_it_changed() -> None:
    before = mpl.rcParams["font.size"], mpl.rcParams["axes.spines.top"]
    with style.paper_style():
        assert mpl.rcParams["axes.spines.top"] is False
    assert (mpl.rcParams["font.size"], mpl.rcParams["axes.spines.top"]) == before


def test_series_named_after_an_outcome_has_its_colour_wherever_it_stands() -> None:
    assert style.series_look("composed", 0)[0] == style.COMPOSED
    assert style.series_look("true", 4)[0] == style.TRUE


def test_series_beyond_the_palette_differ_by_dash() -> None:
    looks = {str(style.series_look("seed", place)) for place in range(12)}
    assert len(looks) == 12


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-5, "3e-5"), (0.0001, "0.0001"), (0.03, "0.03"), (1.0, "1"), (2e10, "2e10")],
)
def test_compact_number(value: float, text: str) -> None:
    assert style.compact_number(value) == text


def test_png_is_deterministic_and_twice_the_size() -> None:
    figures = []
    for _ in range(2):
        figure = style.canvas(2.0, 1.0)
        style.panel_axes(figure, 1)[0].plot([0, 1], [1, 0])
        figures.append(figure)
    first, second = (style.to_png_base64(figure, dpi=192) for figure in figures)
    assert first == second
    png = base64.b64decode(first)
    assert png.startswith(PNG_SIGNATURE)
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (384, 192)


@given(count=st.integers(0, 30), most=st.integers(1, 6))
def test_panels_fit_their_grid_without_an_empty_row(count: int, most: int) -> None:
    rows, columns = style.panel_shape(count, most)
    assert rows * columns >= count
    assert columns <= most
    assert (rows - 1) * columns < max(count, 1)


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16),
        torch.tensor([[1.0, 2.0]], requires_grad=True),
        np.array([[1, 2]]),
        [[1, 2]],
    ],
)
def test_as_array_takes_what_callers_have(values: object) -> None:
    array = as_array(values, "points", "N", 2)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [[1.0, 2.0]])


def test_as_array_names_what_it_found_and_wanted() -> None:
    with pytest.raises(ShapeError, match=r"points of shape \[1, 3\]: expected \[N, 2\]"):
        as_array([[1, 2, 3]], "points", "N", 2)
