from __future__ import annotations

import numpy as np
import pytest

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.raster import sample_raster

VALUES = [[0.0, 0.5], [0.95, 0.0], [0.0, 0.0]]


def test_features_are_rows_and_what_does_not_fire_is_blank() -> None:
    figure = sample_raster(VALUES, ["a", "b"], groups={"second": [1], "first": [0]})
    shown = np.ma.asarray(figure.axes[0].images[0].get_array()).filled(-1)
    np.testing.assert_array_equal(shown, [[0.5, -1, -1], [-1, 0.95, -1]])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["b", "a"]


@pytest.mark.parametrize(("scale", "top"), [(1.0, 1.0), (100.0, 100.0), (2.0, 2.0), (0.013, 0.016)])
def test_shades_end_at_a_round_number(scale: float, top: float) -> None:
    figure = sample_raster(np.array(VALUES) * scale, ["a", "b"])
    low, high = figure.axes[0].images[0].get_clim()
    assert (low, high) == (0, pytest.approx(top))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0), (5, 50)])
def test_nothing_that_fires_is_drawn(shape: tuple[int, int]) -> None:
    figure = sample_raster(np.zeros(shape), [str(i) for i in range(shape[1])])
    assert style.to_png_bytes(figure, dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[samples, 3\]"):
        sample_raster(VALUES, list("abc"))
