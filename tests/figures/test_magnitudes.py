from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.magnitudes import magnitude_histograms


def test_histogram_is_a_density() -> None:
    values = np.linspace(0.001, 0.999, 5000)
    figure = magnitude_histograms({"a": values})
    outline = next(p for p in figure.axes[0].patches if isinstance(p, StepPatch) and not p.fill)
    heights, edges, _ = outline.get_data()
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(1)
    np.testing.assert_allclose(heights[3:50], 1, atol=0.06)


def test_rare_giants_do_not_set_the_axis_but_count() -> None:
    values = np.append(np.full(999, 1.0), 1e6)
    figure = magnitude_histograms({"a": values, "b": []})
    assert figure.axes[0].get_xlim()[1] == pytest.approx(1.02)
    outline = next(p for p in figure.axes[0].patches if isinstance(p, StepPatch) and not p.fill)
    heights, edges, _ = outline.get_data()
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(0.999)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a: mean 1e+03", "b: did not fire"]


@pytest.mark.parametrize("magnitudes", [{}, {"a": []}])
def test_nothing_is_drawn_as_such(magnitudes: dict[str, list[float]]) -> None:
    assert style.to_png_bytes(magnitude_histograms(magnitudes), dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[n\]"):
        magnitude_histograms({"a": np.ones((2, 2))})
