"""The plane in which a two-dimensional toy model stores its features, and what SAEs made of it.

After the figures of Anders, Neo, Hoelscher-Obermaier and Howard, "Sparse autoencoders find composed
features in small toy models" (2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toysae.figures import style
from toysae.figures.arrays import Values
from toysae.figures.directions import TOLERANCE_DEGREES
from toysae.figures.plane import draw_hidden_plane

# Inches: a panel's square, and the strips above and below it.
_PANEL = 3.1
_HEADING = 0.5
_NOTE = 0.25


@style.paper_style()
def hidden_plane(
    points: Values,
    features: Values,
    feature_names: Sequence[str],
    decoders: Values,
    *,
    encoders: Values | None = None,
    components: Values | None = None,
    components_defined: bool = True,
    title: str = "",
) -> Figure:
    """Data, true features, and the decoder directions of every seed, in a hidden plane.

    Arrows show directions only (the length of a decoder row is arbitrary, its activation makes up
    for it) and end at a ring that marks which angles count as true or composed. Colours: `true`
    within 15 degrees of a feature, `composed` within 15 degrees of the diagonal of two adjacent
    features, else `other`.

    Args:
        points: hidden activations `[N, 2]`; rows that are not finite are left out.
        features: true directions `[n, 2]`.
        feature_names: `n` labels.
        decoders: decoder rows of all seeds `[S, m, 2]`; rows without direction are counted in the
            heading, not drawn.
        encoders: encoder rows `[S, m, 2]`, drawn dashed in the colour of their decoder row.
        components: principal directions `[k, 2]`.
        components_defined: whether the eigenvalues are separated. If not, the components are not
            drawn and the heading says so.
        title: heading.

    Raises:
        ShapeError: a shape other than stated.
    """
    panel = {
        "points": points,
        "features": features,
        "feature_names": feature_names,
        "decoders": decoders,
        "encoders": encoders,
        "components": components,
        "components_defined": components_defined,
        "title": title,
    }
    return hidden_plane_panels([panel])


@style.paper_style()
def hidden_plane_panels(panels: Sequence[Mapping[str, Any]]) -> Figure:
    """Several hidden planes side by side under one legend.

    Args:
        panels: the arguments of `hidden_plane`, one mapping a panel.

    Raises:
        ShapeError: a shape other than stated there.
    """
    with_encoders = any(panel.get("encoders") is not None for panel in panels)
    with_components = any(
        panel.get("components") is not None and panel.get("components_defined", True)
        for panel in panels
    )
    figure, axes = _place_panels(panels)
    for one, panel in zip(axes, panels):
        draw_hidden_plane(one, **panel)
    if not panels:
        style.mark_empty(axes[0])
        axes[0].set_axis_off()
    figure.legend(
        handles=_legend(with_encoders, with_components),
        loc="lower center",
        ncols=2 if len(panels) < 2 else 4,
        handlelength=1.8,
        columnspacing=1.6,
    )
    return figure


def _place_panels(panels: Sequence[Mapping[str, Any]]) -> tuple[Figure, list[Axes]]:
    """Square axes at fixed places: layout engines lose the headings of axes of equal aspect."""
    rows, columns = style.panel_shape(len(panels))
    names = [name for panel in panels for name in panel["feature_names"]]
    side = 0.1 + 0.07 * max((len(name) for name in names), default=0)
    cell = (_PANEL + 2 * side, _PANEL + _HEADING + _NOTE)
    legend = 1.0 if len(panels) < 2 else 0.6
    width, height = cell[0] * columns, cell[1] * rows + legend
    figure = style.canvas(width, height)
    figure.set_layout_engine("none")
    axes = []
    for index in range(max(1, len(panels))):
        row, column = divmod(index, columns)
        left, bottom = column * cell[0] + side, height - (row + 1) * cell[1] + _NOTE
        axes.append(
            figure.add_axes((left / width, bottom / height, _PANEL / width, _PANEL / height))
        )
    return figure, axes


def _legend(with_encoders: bool, with_components: bool) -> list[Line2D]:
    meanings = {
        "true": f"decoder: true (±{TOLERANCE_DEGREES:g}°)",
        "composed": f"decoder: composed (±{TOLERANCE_DEGREES:g}°)",
        "other": "decoder: other",
    }
    handles = [
        Line2D([], [], color=style.TRUE, alpha=0.3, lw=6, label="true feature"),
        Line2D([], [], color=style.DATA, marker="o", ms=4, ls="none", label="hidden activations"),
    ]
    handles += [
        Line2D([], [], color=style.OUTCOME_COLOURS[name], lw=1.8, label=meaning)
        for name, meaning in meanings.items()
    ]
    if with_encoders:
        handles.append(
            Line2D([], [], color=style.INK, lw=0.9, ls=(0, (3, 2)), label="encoder (same colour)")
        )
    if with_components:
        handles.append(
            Line2D(
                [], [], color=style.COMPONENT, lw=1.3, ls=(0, (6, 3)), label="principal component"
            )
        )
    return handles
