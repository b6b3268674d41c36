"""Curves with intervals, and where they are predicted to cross."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from toysae.figures import style
from toysae.figures.arrays import Values, as_array

Band: TypeAlias = tuple[Values, Values, Values]


@style.paper_style()
def banded_curves(
    x: Values,
    series: Mapping[str, Band],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    vertical: Mapping[str, float] | None = None,
    chance: float | None = None,
    limits: tuple[float, float] | None = None,
    xscale: str = "linear",
) -> Figure:
    """Lines with interval bands over a common axis.

    Args:
        x: positions `[k]`.
        series: `name -> (middle [k], low [k], high [k])`. NaN leaves a gap. Names that are outcomes
            (`true`, `composed`, `other`) get their semantic colours.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.
        title: heading.
        vertical: vertical lines, `legend label -> position`; NaN is left out.
        chance: chance level, a dotted grey horizontal line; NaN is left out.
        limits: range of the vertical axis.
        xscale: matplotlib's name of the scale of the horizontal axis.

    Raises:
        ShapeError: a series of another length than `x`.
    """
    figure = style.canvas(5.6, 3.0)
    axes = style.panel_axes(figure, 1)[0]
    axes.set_xscale(xscale)
    draw_banded_curves(axes, x, series, vertical=vertical, chance=chance)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if limits is not None:
        margin = 0.03 * (limits[1] - limits[0])
        axes.set_ylim(limits[0] - margin, limits[1] + margin)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", handlelength=2.2)
    return figure


@style.paper_style()
def one_hot_curve(
    q: Values,
    series: Mapping[str, Band],
    crossing: float,
    *,
    measured_crossing: float | None = None,
    ylabel: str,
    title: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A quantity over the share of one-hot samples, beside the share at which the optimum changes.

    Below the analytic crossing the composed dictionary has the lower loss, above it the true one
    (`2 - sqrt(2)` for equal amplitudes, about 0.2164 for independent ones, with two sets of two
    features). Serves for the composed fraction as for the loss gap.

    Args:
        q: shares of one-hot samples `[k]`, in [0, 1].
        series: initialisation `-> (mean [k], low [k], high [k])`.
        crossing: the analytic crossing; not drawn if NaN.
        measured_crossing: where the curves cross as measured; not drawn if None or NaN.
        ylabel: label of the vertical axis.
        title: heading.
        limits: range of the vertical axis, such as (0, 1) for a fraction.

    Raises:
        ShapeError: a series of another length than `q`.
    """
    vertical = {f"predicted crossing, q = {crossing:.3f}": crossing}
    if measured_crossing is not None:
        vertical[f"measured crossing, q = {measured_crossing:.3f}"] = measured_crossing
    figure = banded_curves(
        q,
        series,
        xlabel="share of one-hot samples, q",
        ylabel=ylabel,
        title=title,
        vertical=vertical,
        limits=limits,
    )
    figure.axes[0].set_xlim(-0.02, 1.02)
    return figure


def draw_banded_curves(
    axes: Axes,
    x: Values,
    series: Mapping[str, Band],
    *,
    vertical: Mapping[str, float] | None = None,
    chance: float | None = None,
) -> None:
    """Draw curves, vertical lines and chance level into `axes`; arguments as of `banded_curves`."""
    positions = as_array(x, "x", "k")
    length = len(positions)
    for place, (name, band) in enumerate(series.items()):
        middle, low, high = (as_array(values, f"series {name!r}", length) for values in band)
        colour, dash = style.series_look(name, place)
        axes.fill_between(positions, low, high, color=colour, alpha=0.16, lw=0)
        axes.plot(positions, middle, color=colour, ls=dash, marker="o", ms=3, label=name)
    for place, (label, position) in enumerate((vertical or {}).items()):
        if math.isfinite(position):
            dash = ("-", (0, (4, 2)))[place % 2]
            axes.axvline(position, color=style.INK, lw=0.9, ls=dash, label=label, zorder=1)
    if chance is not None and math.isfinite(chance):
        axes.axhline(chance, color=style.CHANCE, lw=1.4, ls=":", label="chance level", zorder=1)
    if not np.isfinite(positions).any() or not series:
        style.mark_empty(axes)


def with_log_axis(figure: Figure) -> Figure:
    """The figure with a logarithmic vertical axis and plain numbers on it, and no markers."""
    axes = figure.axes[0]
    if np.isfinite(axes.dataLim.minposy):  # there is something positive to show
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: style.compact_number(value))
        axes.yaxis.set_minor_formatter(NullFormatter())
    handles = [handle for legend in figure.legends for handle in legend.legend_handles]
    for line in (*axes.lines, *handles):
        if isinstance(line, Line2D):
            line.set_marker("")
    return figure
