from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.densities import density_histogram


def outlines(figure: Figure) -> list[StepPatch]:
    return [one for one in figure.axes[0].patches if isinstance(one, StepPatch) and not one.fill]


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_histogram_counts_the_living_by_the_power_of_ten() -> None:
    densities = np.array([0.0, 0.0, np.nan, 10**-3.1, 10**-3.1, 10**-0.1, 1.0])
    figure = density_histogram({"local": densities})
    (outline,) = outlines(figure)
    counts, edges, _ = outline.get_data()
    assert counts.sum() == 4
    assert counts[np.searchsorted(edges, -3.1) - 1] == 2
    assert counts[-1] == 2
    assert (edges[0], edges[-1]) == (-4, 0)


def test_legend_counts_the_dead_and_the_undefined() -> None:
    figure = density_histogram({"local": [0.0, 0.0, np.nan, 0.1], "e2e": [0.1, 0.2]})
    assert legend_labels(figure) == [
        "local: 4 latents,\n2 dead (50.0%), 1 undefined",
        "e2e: 2 latents,\n0 dead (0.0%)",
    ]


@pytest.mark.parametrize("densities", [[], [0.0, 0.0], [np.nan]])
def test_without_a_living_latent_the_figure_says_so(densities: list[float]) -> None:
    figure = density_histogram({"local": densities})
    assert [text.get_text() for text in figure.axes[0].texts] == ["no latent fires"]
    assert style.to_png_bytes(figure, dpi=40)


def test_no_series_is_drawn() -> None:
    assert style.to_png_bytes(density_histogram({}), dpi=40)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[m\]"):
        density_histogram({"local": np.ones((2, 2))})
