from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.firing import l0_distribution, realised_against_stated, stated_densities


def steps(figure: Figure, *, filled: bool) -> list[StepPatch]:
    patches = figure.axes[0].patches
    return [one for one in patches if isinstance(one, StepPatch) and one.fill == filled]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_densities_are_counted_in_bins_that_hold_round_numbers_well_inside() -> None:
    stated = [0.5, 0.2, 0.1, 0.1, 0.05]
    noisy = np.array(stated) * [1.04, 0.96, 0.96, 1.04, 1.04]
    figure = stated_densities({"a": stated}, {"a": noisy})
    (outline,), (bars,) = steps(figure, filled=False), steps(figure, filled=True)
    np.testing.assert_array_equal(outline.get_data()[0], bars.get_data()[0])
    counts, edges, _ = outline.get_data()
    assert counts.sum() == 5
    assert counts[np.searchsorted(edges, -1.0) - 1] == 2
    assert edges[-1] > 0


def test_densities_say_what_never_fired_and_where_dense_begins() -> None:
    figure = stated_densities({"a": [0.3, 1e-6], "b": []}, {"a": [0.3, 0.0], "b": []}, dense=0.1)
    assert legend(figure)[:3] == ["a: 2,\n1 never fired", "b: 0", "dense: above 0.1"]
    assert figure.axes[0].lines[0].get_xdata()[0] == pytest.approx(-1)


def test_points_are_realised_over_stated() -> None:
    band = ([0.01, 1.0], [0.005, 0.9], [0.02, 1.0])
    stated, realised = {"a": [0.1, 0.2, 0.3, 0.0]}, {"a": [0.11, 0.0, 0.3, 0.0]}
    figure = realised_against_stated(stated, realised, band, 100)
    fired, never = (one.get_offsets() for one in figure.axes[0].collections[1:])
    np.testing.assert_allclose(fired, [[0.1, 0.11], [0.3, 0.3]])
    np.testing.assert_allclose(never, [[0.2, 0.5 / 100]])
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


def test_l0_is_a_histogram_beside_the_law_of_independent_features() -> None:
    figure = l0_distribution([1, 1, 2, 4], 2.0, independent=[0.25, 0.5, 0.25])
    (bars,) = steps(figure, filled=True)
    shares, edges, _ = bars.get_data()
    np.testing.assert_array_equal(shares, [0, 0.5, 0.25, 0, 0.25])
    assert (edges[0], edges[-1]) == (-0.5, 4.5)
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(line.get_ydata(), [0.25, 0.5, 0.25, 0, 0])


def test_many_numbers_of_firings_share_bins() -> None:
    l0 = np.arange(800)
    figure = l0_distribution(l0, 400.0, independent=np.full(800, 1 / 800))
    shares = steps(figure, filled=True)[0].get_data()[0]
    assert len(shares) == 80
    np.testing.assert_allclose(shares, 1 / 80)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), 1 / 80)


def test_nothing_is_drawn_as_such() -> None:
    empty = ([], [], [])
    for figure in (
        stated_densities({}, {}),
        stated_densities({"a": [0.0]}, {"a": [0.0]}),
        realised_against_stated({"a": []}, {"a": []}, empty, 10),
        l0_distribution([], 0.0),
        l0_distribution([0, 0], 0.0, independent=[1.0]),
    ):
        assert style.to_png_bytes(figure, dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[2\]"):
        stated_densities({"a": [0.1, 0.2]}, {"a": [0.1]})
    with pytest.raises(ShapeError, match=r"expected \[N\]"):
        l0_distribution([[1]], 1.0)
