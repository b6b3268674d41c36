"""The parts of a hidden plane, drawn into one pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Wedge
from numpy.typing import NDArray

from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array, check_names
from toysae.figures.directions import (
    TOLERANCE_DEGREES,
    classify,
    composed_diagonals,
    count_outcomes,
    unit_rows,
)

UNDEFINED_COMPONENTS = "PCs undefined: eigenvalues not separated"

_RING_WIDTH = 0.06
_LABEL_RADIUS = 1.1
_VIEW_RADIUS = 1.24
_MERGE_DEGREES = 12.0


def draw_hidden_plane(
    axes: Axes,
    points: Values,
    features: Values,
    feature_names: Sequence[str],
    decoders: Values,
    *,
    encoders: Values | None = None,
    components: Values | None = None,
    components_defined: bool = True,
    title: str = "",
) -> None:
    """Draw one hidden plane into `axes`; arguments as of `hidden_plane.hidden_plane`."""
    data = as_array(points, "points", "N", 2)
    truth = as_array(features, "features", "n", 2)
    names = check_names(feature_names, "feature names", len(truth))
    stack = as_array(decoders, "decoders", "S", "m", 2)
    rows = stack.reshape(-1, 2)
    classes = classify(rows, truth)

    data = data[np.isfinite(data).all(axis=1)]
    radius = 1.08 * float(np.linalg.norm(data, axis=1).max(initial=0.0)) or 1.0
    axes.scatter(
        data[:, 0], data[:, 1], s=2.5, color=style.DATA, alpha=0.55, lw=0, rasterized=True, zorder=1
    )
    _draw_ring(axes, truth, radius)
    _draw_features(axes, truth, names, radius)
    if encoders is not None:
        directions = as_array(encoders, "encoders", *stack.shape).reshape(-1, 2)
        _draw_encoders(axes, directions, classes, radius)
    _draw_decoders(axes, rows, classes, radius)
    if components is not None and components_defined:
        _draw_components(axes, as_array(components, "components", "k", 2), truth, radius)
    _draw_heading(axes, title, classes, components_defined)

    limit = _VIEW_RADIUS * radius
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.set_axis_off()


def _draw_ring(axes: Axes, features: Array, radius: float) -> None:
    width = _RING_WIDTH * radius
    axes.add_patch(Wedge((0, 0), radius + width, 0, 360, width=width, fc=style.FAINT, ec="none"))
    for directions, colour in (
        (composed_diagonals(features), style.COMPOSED),
        (_defined(features), style.TRUE),
    ):
        for angle in _degrees(directions):
            axes.add_patch(
                Wedge(
                    (0, 0),
                    radius + width,
                    angle - TOLERANCE_DEGREES,
                    angle + TOLERANCE_DEGREES,
                    width=width,
                    fc=colour,
                    ec="none",
                )
            )


def _draw_features(axes: Axes, features: Array, names: list[str], radius: float) -> None:
    """Broad pale arrows, so that the decoder arrows on top of them stay visible."""
    units = unit_rows(features)
    shown = np.isfinite(units).all(axis=1)
    _draw_arrows(axes, units[shown] * radius, style.TRUE, width=0.024, alpha=0.3, label="features")
    angles = _degrees(units[shown])
    labels: list[tuple[float, list[str]]] = []
    for angle, name in sorted(zip(angles, np.asarray(names)[shown])):
        if labels and angle - labels[-1][0] < _MERGE_DEGREES:
            labels[-1][1].append(name)
        else:
            labels.append((angle, [name]))
    for angle, together in labels:
        _draw_label(axes, angle, ", ".join(together), style.TRUE, radius)


def _draw_encoders(axes: Axes, directions: Array, classes: NDArray[np.str_], radius: float) -> None:
    units = unit_rows(directions)
    shown = np.isfinite(units).all(axis=1) & (classes != "undefined")
    tips = units[shown] * radius
    axes.add_collection(
        LineCollection(
            list(np.stack([np.zeros_like(tips), tips], axis=1)),
            colors=[style.OUTCOME_COLOURS[name] for name in classes[shown]],
            linestyles=[(0, (3, 2))],
            linewidths=0.9,
            alpha=0.75,
            zorder=4,
            label="encoders",
        )
    )


def _draw_decoders(axes: Axes, rows: Array, classes: NDArray[np.str_], radius: float) -> None:
    for order, name in enumerate(reversed(style.OUTCOMES)):
        tips = unit_rows(rows[classes == name]) * radius
        _draw_arrows(
            axes,
            tips,
            style.OUTCOME_COLOURS[name],
            width=0.007,
            alpha=0.85,
            label=name,
            zorder=5 + order,
        )


def _draw_arrows(
    axes: Axes,
    tips: Array,
    colour: str,
    *,
    width: float,
    alpha: float,
    label: str,
    zorder: float = 3,
) -> None:
    """Arrows from the origin; `width` is a fraction of the width of the axes."""
    origin = np.zeros(len(tips))
    axes.quiver(
        origin,
        origin,
        tips[:, 0],
        tips[:, 1],
        angles="xy",
        scale_units="xy",
        scale=1,
        units="width",
        width=width,
        headwidth=3.6,
        headlength=4.5,
        headaxislength=4.0,
        minlength=0,
        color=colour,
        alpha=alpha,
        lw=0,
        label=label,
        zorder=zorder,
    )


def _draw_components(axes: Axes, components: Array, features: Array, radius: float) -> None:
    """Lines through the origin, each named at the end that is farther from the other labels."""
    taken = list(_degrees(_defined(features)))
    for number, unit in enumerate(unit_rows(components), start=1):
        if not np.isfinite(unit).all():
            continue
        x, y = unit * radius
        axes.plot(
            [-x, x],
            [-y, y],
            color=style.COMPONENT,
            ls=(0, (6, 3)),
            lw=1.3,
            zorder=9,
            label=f"PC{number}",
        )
        angle = _degrees(unit[None])[0]
        end = max((angle, angle + 180.0), key=lambda place: _separation(place, taken))
        crowded = _separation(end, taken) < _MERGE_DEGREES
        taken.append(end)
        _draw_label(
            axes, end + 1.3 * _MERGE_DEGREES * crowded, f"PC{number}", style.COMPONENT, radius
        )


def _draw_heading(
    axes: Axes, title: str, classes: NDArray[np.str_], components_defined: bool
) -> None:
    counts = count_outcomes(classes)
    heading = f"{counts.true} true, {counts.composed} composed, {counts.other} other"
    if counts.undefined:
        heading += f", {counts.undefined} without direction"
    note: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "fontsize": style.NOTE_SIZE,
    }
    axes.annotate(heading, (0, 1), xytext=(0, 3), va="bottom", **note)
    axes.set_title(title, pad=17)
    if not components_defined:
        axes.annotate(
            UNDEFINED_COMPONENTS,
            (0.5, 0),
            xytext=(0, 3),
            ha="center",
            va="top",
            color=style.COMPONENT,
            **note,
        )


def _draw_label(axes: Axes, angle: float, text: str, colour: str, radius: float) -> None:
    turn = np.deg2rad(angle)
    x, y = np.cos(turn), np.sin(turn)
    axes.text(
        _LABEL_RADIUS * radius * x,
        _LABEL_RADIUS * radius * y,
        text,
        color=colour,
        fontsize=style.LABEL_SIZE,
        ha="left" if x > 0.2 else "right" if x < -0.2 else "center",
        va="bottom" if y > 0.7 else "top" if y < -0.7 else "center",
        zorder=10,
    )


def _defined(vectors: Array) -> Array:
    units = unit_rows(vectors)
    return units[np.isfinite(units).all(axis=1)]


def _degrees(units: Array) -> Array:
    return np.rad2deg(np.arctan2(units[:, 1], units[:, 0]))


def _separation(angle: float, others: Sequence[float]) -> float:
    """Smallest angle between `angle` and any of `others`, in degrees; 180 if there is none."""
    return min((abs((angle - other + 180) % 360 - 180) for other in others), default=180.0)
