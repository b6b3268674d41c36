from __future__ import annotations

import numpy as np
import pytest

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.cofiring import phi_heatmaps

PHI = np.array([[1.0, 0.03, -0.01], [0.03, 1.0, np.nan], [-0.01, np.nan, 1.0]])


def test_panels_share_the_round_limit_above_the_largest_correlation() -> None:
    figure = phi_heatmaps({"Stated": PHI, "Realised": PHI / 10}, list("abc"))
    images = [axes.images[0] for axes in figure.axes[:2]]
    assert [image.get_clim() for image in images] == [(-0.05, 0.05)] * 2
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["Stated", "Realised"]
    shown = np.ma.asarray(images[0].get_array()).filled(9)
    np.testing.assert_array_equal(shown, [[9, 0.03, -0.01], [0.03, 9, 9], [-0.01, 9, 9]])


def test_groups_order_rows_and_columns() -> None:
    figure = phi_heatmaps({"Stated": PHI}, list("abc"), groups={"late": [2], "early": [0, 1]})
    shown = np.ma.asarray(figure.axes[0].images[0].get_array()).filled(9)
    np.testing.assert_array_equal(shown, [[9, -0.01, 9], [-0.01, 9, 0.03], [9, 0.03, 9]])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list("cab")
    assert [line.get_ydata()[0] for line in figure.axes[0].lines[::2]] == [0.5]
    assert [text.get_text() for text in figure.axes[0].texts] == ["late", "early"]


@pytest.mark.parametrize("k", [0, 1, 60])
def test_any_number_of_features_is_drawn(k: int) -> None:
    figure = phi_heatmaps({"Stated": np.eye(k)}, [str(i) for i in range(k)])
    assert style.to_png_bytes(figure, dpi=40)
    assert len(figure.axes[0].get_yticks()) == (k if k <= 40 else 0)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[2, 2\]"):
        phi_heatmaps({"Stated": PHI}, ["a", "b"])
