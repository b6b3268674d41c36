from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.hidden_plane import hidden_plane, hidden_plane_panels
from toysae.figures.plane import UNDEFINED_COMPONENTS

AXES = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
NAMES = ["x1", "x2", "y1", "y2"]
DIAGONALS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
POINTS = torch.tensor([[0.5, 0.5], [0.2, -0.2], [-0.9, 0.9]])


def arrows(figure: Figure, panel: int = 0) -> dict[str, Quiver]:
    found = figure.axes[panel].collections
    return {str(one.get_label()): one for one in found if isinstance(one, Quiver)}


def texts(figure: Figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def lines(figure: Figure) -> list[str]:
    return [str(line.get_label()) for line in figure.axes[0].lines]


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def panel(**changes: Any) -> dict[str, Any]:
    usual = {
        "points": POINTS,
        "features": AXES,
        "feature_names": NAMES,
        "decoders": torch.stack([DIAGONALS, AXES, DIAGONALS]),
    }
    return usual | changes


def test_one_arrow_for_each_latent_of_each_seed_in_the_colour_of_its_class() -> None:
    decoders = torch.stack([DIAGONALS, AXES, DIAGONALS])
    decoders[0, 0] = torch.tensor([0.9, 0.4])  # 24 degrees: neither
    found = arrows(hidden_plane(**panel(decoders=decoders)))
    assert {name: found[name].N for name in style.OUTCOMES} == {
        "true": 4,
        "composed": 7,
        "other": 1,
    }
    assert found["features"].N == 4
    for name in style.OUTCOMES:
        assert to_hex(found[name].get_facecolor()[0]).upper() == style.OUTCOME_COLOURS[name]


def test_arrows_show_directions_whatever_the_length_of_decoder_rows() -> None:
    short = arrows(hidden_plane(**panel(decoders=0.01 * AXES[None])))["true"]
    long = arrows(hidden_plane(**panel(decoders=7 * AXES[None])))["true"]
    np.testing.assert_allclose(np.hypot(short.U, short.V), np.hypot(long.U, long.V))


def test_heading_counts_classes_and_rows_without_direction() -> None:
    decoders = torch.stack([DIAGONALS, AXES])
    decoders[0, 0] = 0.0
    decoders[1, 3] = torch.nan
    figure = hidden_plane(**panel(decoders=decoders, title="Equal amplitudes"))
    assert "3 true, 3 composed, 0 other, 2 without direction" in texts(figure)
    assert figure.axes[0].get_title(loc="left") == "Equal amplitudes"
    assert sum(found.N for name, found in arrows(figure).items() if name != "features") == 6


def test_features_of_equal_direction_share_a_label() -> None:
    features = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    shown = texts(hidden_plane(**panel(features=features, feature_names=["a", "b", "c"])))
    assert "a, b" in shown
    assert "c" in shown


def test_components_are_drawn_dashed_and_named() -> None:
    figure = hidden_plane(**panel(components=DIAGONALS[:2]))
    assert lines(figure) == ["PC1", "PC2"]
    assert {line.get_color() for line in figure.axes[0].lines} == {style.COMPONENT}
    assert all(line.is_dashed() for line in figure.axes[0].lines)
    assert {"PC1", "PC2"} <= set(texts(figure))
    assert "principal component" in legend_labels(figure)


def test_undefined_components_are_named_and_not_drawn() -> None:
    figure = hidden_plane(**panel(components=DIAGONALS[:2], components_defined=False))
    assert lines(figure) == []
    assert UNDEFINED_COMPONENTS in texts(figure)
    assert "principal component" not in legend_labels(figure)


def test_encoders_are_dashed_lines_in_the_colours_of_their_decoders() -> None:
    decoders = torch.stack([AXES, DIAGONALS])
    figure = hidden_plane(**panel(decoders=decoders, encoders=decoders * 0.3))
    (encoders,) = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    assert len(encoders.get_segments()) == 8
    colours = [to_hex(colour).upper() for colour in encoders.get_colors()]
    assert colours == [style.TRUE] * 4 + [style.COMPOSED] * 4
    assert "encoder (same colour)" in legend_labels(figure)


def test_points_are_rasterised_and_those_not_finite_left_out() -> None:
    points = torch.cat([POINTS, torch.tensor([[torch.nan, 0.0]])])
    (scatter,) = [
        one
        for one in hidden_plane(**panel(points=points)).axes[0].collections
        if one.get_rasterized()
    ]
    np.testing.assert_allclose(scatter.get_offsets(), POINTS.numpy())


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.empty((0, 2))},
        {"decoders": np.empty((0, 4, 2))},
        {"decoders": np.full((1, 4, 2), np.nan)},
        {"features": np.empty((0, 2)), "feature_names": []},
        {"components": np.full((2, 2), np.nan)},
        {"components": AXES[[0, 2]]},
        {"encoders": torch.zeros(3, 4, 2)},
    ],
)
def test_degenerate_input_is_drawn(changes: dict[str, Any]) -> None:
    assert style.to_png_bytes(hidden_plane(**panel(**changes)), dpi=40)


def test_panels_share_one_legend() -> None:
    figure = hidden_plane_panels([panel(title="a"), panel(title="b", decoders=AXES[None])])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert len(figure.legends) == 1
    assert arrows(figure, 0)["composed"].N == 8
    assert arrows(figure, 1)["true"].N == 4


@pytest.mark.parametrize("count", [0, 1, 5])
def test_headings_and_labels_lie_within_the_figure(count: int) -> None:
    panels = [panel(title="Equal amplitudes", components_defined=False)] * count
    figure = hidden_plane_panels(panels)
    figure.canvas.draw()
    outer = figure.bbox
    for axes in figure.axes[: len(panels)]:
        inner = axes.get_tightbbox()
        assert inner is not None
        assert inner.x0 >= outer.x0
        assert inner.x1 <= outer.x1
        assert inner.y0 >= figure.legends[0].get_window_extent().y1
        assert inner.y1 <= outer.y1


@pytest.mark.parametrize(
    "changes",
    [
        {"points": torch.zeros(5, 3)},
        {"decoders": torch.zeros(4, 2)},
        {"feature_names": ["x1"]},
        {"encoders": torch.zeros(1, 4, 2)},
        {"components": torch.zeros(2)},
    ],
)
def test_other_shapes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="expected"):
        hidden_plane(**panel(**changes))
