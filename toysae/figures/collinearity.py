"""Correlation of latents, and how much it inflates the variance of their coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array, check_names
from toysae.figures.heatmap import add_colour_bar, draw_signed_matrix, matrix_size

INFINITE_MARK = "∞"
UNDEFINED_MARK = "×"

_GROUP_WIDTH = 0.8
_FLOOR = 0.8


@style.paper_style()
def correlation_plot(corr: Values, names: Sequence[str], title: str = "") -> Figure:
    """Correlation matrix of regressors with colours fixed to [-1, 1].

    Args:
        corr: `[k, k]`; NaN (a constant regressor) is hatched grey.
        names: `k` labels.
        title: heading.

    Raises:
        ShapeError: a matrix that is not square, or another number of names.
    """
    labels = list(names)
    matrix = as_array(corr, "correlations", len(labels), len(labels))
    width, height = matrix_size(len(labels), len(labels))
    figure = style.canvas(width + 1.7, height + 1.0)
    axes = style.panel_axes(figure, 1)
    image = draw_signed_matrix(axes[0], matrix, labels, labels)
    axes[0].set_title(title)
    add_colour_bar(figure, image, axes, "correlation")
    return figure


@style.paper_style()
def vif_bars(vifs: Mapping[str, Values], names: Sequence[str], title: str = "") -> Figure:
    """Variance inflation factors as grouped bars on a logarithmic axis.

    The axis starts at 0.8, so that a factor of 1 (no collinearity) still has a bar. Infinite
    factors (a regressor that is an exact combination of the others) reach the top, are
    hatched and marked `∞`. Undefined ones (a constant regressor) have no bar and are marked `×`.

    Args:
        vifs: series name `->` factors `[k]`, at least 1, infinite or NaN.
        names: `k` regressors.
        title: heading.

    Raises:
        ShapeError: a series of another length than `names`.
    """
    labels = check_names(names, "names", len(names))
    series = {
        name: as_array(values, f"VIF of {name!r}", len(labels)) for name, values in vifs.items()
    }
    figure = style.canvas(min(max(1.6 + 0.3 * len(labels) * max(len(series), 1), 4.0), 9.0), 3.0)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(ylabel="variance inflation factor", yscale="log")
    axes.set_title(title, pad=16)
    if not labels or not series:
        axes.set_ylim(_FLOOR, 10)
        style.mark_empty(axes)
        return figure

    top = _top(list(series.values()))
    axes.set_ylim(_FLOOR, top)
    width = _GROUP_WIDTH / len(series)
    places = np.arange(len(labels), dtype=np.float64)
    for place, (name, values) in enumerate(series.items()):
        centres = places + (place - (len(series) - 1) / 2) * width
        _draw_series(axes, centres, values, width, style.series_look(name, place)[0], name, top)
    turned = max(len(name) for name in labels) > 4
    axes.set_xticks(
        range(len(labels)),
        labels,
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    bars = axes.get_legend_handles_labels()[0]
    figure.legend(
        handles=[*bars, *_mark_handles(list(series.values()))],
        loc="outside right upper",
        handlelength=1.2,
    )
    return figure


def _top(series: Sequence[Array]) -> float:
    """Upper limit of the axis: above every finite factor, and 10 at least."""
    values = np.concatenate(list(series))
    largest = values[np.isfinite(values)].max(initial=1.0)
    return max(10.0, float(largest) * 2)


def _draw_series(
    axes: Axes, centres: Array, values: Array, width: float, colour: str, name: str, top: float
) -> None:
    heights = np.where(np.isposinf(values), top, values) - _FLOOR
    bars = axes.bar(centres, heights, 0.92 * width, bottom=_FLOOR, color=colour, lw=0, label=name)
    for bar, centre, value in zip(bars, centres, values):
        if np.isposinf(value):
            bar.set(hatch="////", edgecolor="white")
            _mark(axes, centre, INFINITE_MARK, colour, height=1.0)
        elif np.isnan(value):
            _mark(axes, centre, UNDEFINED_MARK, colour, height=0.0)


def _mark_handles(series: Sequence[Array]) -> list[Line2D]:
    """Legend entries of the marks that occur."""
    values = np.concatenate(list(series))
    found = (
        ("$\\infty$", "infinite", np.isposinf(values)),
        ("x", "undefined", np.isnan(values)),
    )
    return [
        Line2D([], [], color=style.INK, ls="none", marker=marker, ms=5, label=label)
        for marker, label, places in found
        if places.any()
    ]


def _mark(axes: Axes, x: float, text: str, colour: str, height: float) -> None:
    axes.annotate(
        text,
        (x, height),
        xytext=(0, 1),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=colour,
    )
