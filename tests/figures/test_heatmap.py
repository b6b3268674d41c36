from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.heatmap import cosine_heatmap, decoder_encoder_heatmaps

COSINES = np.array([[1.0, -0.25, 0.0], [0.5, np.nan, -0.001]])
NAMES = ["x1", "y1"]


def image(figure: Figure, panel: int = 0) -> np.ma.MaskedArray:
    return np.ma.asarray(figure.axes[panel].images[0].get_array())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_image_is_the_matrix_with_limits_minus_one_and_one() -> None:
    figure = cosine_heatmap(torch.from_numpy(COSINES), NAMES, title="Decoder")
    np.testing.assert_array_equal(image(figure).filled(np.nan), COSINES)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert figure.axes[0].get_title(loc="left") == "Decoder"


def test_limits_are_fixed_whatever_the_values() -> None:
    figure = cosine_heatmap(np.zeros((2, 2)), NAMES)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_values_are_written_where_defined() -> None:
    assert texts(cosine_heatmap(COSINES, NAMES)) == ["1.00", "−0.25", "0.00", "0.50", "0.00"]


def test_large_matrices_have_neither_values_nor_names() -> None:
    figure = cosine_heatmap(np.zeros((50, 60)), [str(place) for place in range(50)])
    assert texts(figure) == []
    assert list(figure.axes[0].get_yticks()) == []
    assert figure.axes[0].get_xlabel() == "60 latents"


def test_order_selects_and_names_latents() -> None:
    figure = cosine_heatmap(COSINES, NAMES, order=[2, 0])
    np.testing.assert_array_equal(image(figure), COSINES[:, [2, 0]])
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["2", "0"]


def test_groups_order_rows_with_lines_between() -> None:
    cosines = np.array([[0.0], [0.1], [0.2], [0.3], [0.4]])
    names = list("abcde")
    figure = cosine_heatmap(cosines, names, groups={"island": [3, 1], "pair": [1, 0], "none": []})
    np.testing.assert_array_equal(image(figure)[:, 0], [0.3, 0.1, 0.0, 0.2, 0.4])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list("dbace")
    assert [line.get_ydata()[0] for line in figure.axes[0].lines] == [1.5, 2.5]
    assert texts(figure)[-3:] == ["island", "pair", "no group"]


def test_decoder_and_encoder_share_limits_and_order() -> None:
    figure = decoder_encoder_heatmaps(COSINES, COSINES / 2, NAMES, order=[1, 0])
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["Decoder", "Encoder"]
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(-1, 1)}
    np.testing.assert_array_equal(image(figure, 1).filled(9), [[-0.125, 0.5], [9, 0.25]])


@pytest.mark.parametrize(
    "cosines", [np.empty((0, 0)), np.empty((0, 3)), np.empty((2, 0)), np.full((2, 2), np.nan)]
)
def test_degenerate_input_is_drawn(cosines: np.ndarray) -> None:
    figure = cosine_heatmap(cosines, NAMES[: len(cosines)])
    assert style.to_png_bytes(figure, dpi=40)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[1, m\]"):
        cosine_heatmap(COSINES, ["x1"])
    with pytest.raises(ShapeError, match="indices from 0 to 2"):
        cosine_heatmap(COSINES, NAMES, order=[3])
    with pytest.raises(ShapeError, match="group 'set_x' holds 2"):
        cosine_heatmap(COSINES, NAMES, groups={"set_x": [2]})
    with pytest.raises(ShapeError, match="the same number"):
        decoder_encoder_heatmaps(COSINES, COSINES[:, :2], NAMES)
