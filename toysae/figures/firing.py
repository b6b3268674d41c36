"""How often features fire, alone and many at once: as stated, and as samples do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array

_BINS_PER_DECADE = 5
_FIRST_EDGE = 0.05
_MOST_DECADES = 9
_MOST_L0_BINS = 80

#: Numbers of firings less likely than this do not widen the axis.
_LIKELY = 1e-4


@style.paper_style()
def stated_densities(
    stated: Mapping[str, Values],
    realised: Mapping[str, Values],
    *,
    dense: float | None = None,
    title: str = "",
) -> Figure:
    """Histograms of log10 firing densities: stated as outlines, realised as filled bars.

    Args:
        stated: group `->` firing probabilities `[m]`. 0 does not enter the histogram.
        realised: the same groups `->` shares of samples `[m]`; what never fired is counted in the
            legend.
        dense: density above which a feature is called dense, drawn as a line.
        title: heading.

    Raises:
        ShapeError: densities with more than one axis, or of another length than stated.
    """
    figure = style.canvas(6.6, 3.0)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(title=title, xlabel="log10 firing density", ylabel="features")
    outlines = {
        name: as_array(v, f"stated densities of {name!r}", "m") for name, v in stated.items()
    }
    bars = {
        name: as_array(realised[name], f"realised densities of {name!r}", len(values))
        for name, values in outlines.items()
    }
    edges = _edges([*outlines.values(), *bars.values()])
    handles: list[Any] = []
    for place, name in enumerate(outlines):
        colour, dash = style.series_look(name, place)
        axes.stairs(_histogram(bars[name], edges), edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(_histogram(outlines[name], edges), edges, color=colour, ls=dash, lw=1.5)
        handles.append(Patch(color=colour, label=_summary(name, bars[name])))
    if dense is not None:
        axes.axvline(np.log10(dense), color=style.CHANCE, lw=1.2, ls=":")
        handles.append(style.chance_handle(f"dense: above {dense:g}"))
    if not any((values > 0).any() for values in outlines.values()):
        style.mark_empty(axes, "no feature fires")
    handles += [
        Line2D([], [], color=style.INK, lw=1.5, label="stated"),
        Patch(color=style.INK, alpha=0.3, lw=0, label="realised"),
    ]
    figure.legend(handles=handles, loc="outside right upper", handlelength=1.6)
    return figure


@style.paper_style()
def realised_against_stated(
    stated: Mapping[str, Values],
    realised: Mapping[str, Values],
    band: tuple[Values, Values, Values],
    n_samples: int,
    *,
    band_label: str = "explained by chance",
    title: str = "",
) -> Figure:
    """Share of samples on which each feature fires over the probability that is stated.

    Both axes are logarithmic. What never fired is drawn as a triangle at the lower edge.

    Args:
        stated: group `->` probabilities `[m]`; 0 is left out.
        realised: the same groups `->` shares of samples `[m]`.
        band: probabilities `[k]`, ascending, and the lowest and highest share that chance explains.
        n_samples: samples that shares are of.
        band_label: what the band is, for the legend.
        title: heading.

    Raises:
        ShapeError: shapes other than stated.
    """
    figure = style.canvas(6.0, 4.0)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(
        title=title,
        xlabel="stated firing probability",
        ylabel="realised share of samples",
        xscale="log",
        yscale="log",
    )
    x = as_array(band[0], "probabilities of the band", "k")
    low, high = (as_array(v, "the band", len(x)) for v in band[1:])
    floor = 0.5 / n_samples
    axes.fill_between(
        x, np.maximum(low, floor), np.maximum(high, floor), color=style.DATA, alpha=0.5, lw=0
    )
    axes.plot(x, x, color=style.INK, lw=0.8)
    handles: list[Any] = [Patch(color=style.DATA, alpha=0.5, lw=0, label=band_label)]
    for place, (name, values) in enumerate(stated.items()):
        p = as_array(values, f"stated densities of {name!r}", "m")
        found = as_array(realised[name], f"realised densities of {name!r}", len(p))
        colour = style.series_look(name, place)[0]
        handles.append(
            Line2D([], [], color=colour, marker="o", ms=4, ls="none", label=_summary(name, found))
        )
        for marker, chosen in (("o", (p > 0) & (found > 0)), ("v", (p > 0) & (found == 0))):
            axes.scatter(
                p[chosen],
                np.maximum(found[chosen], floor),
                s=9,
                marker=marker,
                color=colour,
                alpha=0.6,
                lw=0,
            )
    if x.size:
        axes.set_xlim(x[0], x[-1])
        for axis in (axes.xaxis, axes.yaxis):
            _plain_log_ticks(axis)
    else:
        style.mark_empty(axes, "no feature fires")
    figure.legend(handles=handles, loc="outside right upper", handlelength=1.4)
    return figure


@style.paper_style()
def l0_distribution(
    l0: Values, stated: float, *, independent: Values | None = None, title: str = ""
) -> Figure:
    """How many features fire on a sample.

    Args:
        l0: number of features that fire on each sample, `[N]`.
        stated: expected number.
        independent: probability of 0, 1, 2, ... firings if the features were independent; drawn as
            a line.
        title: heading.

    Raises:
        ShapeError: more than one axis.
    """
    figure = style.canvas(6.0, 2.8)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(title=title, xlabel="features that fire on a sample (L0)", ylabel="share of samples")
    counts = as_array(l0, "L0", "N")
    if not counts.size:
        style.mark_empty(axes)
        return figure
    law = np.zeros(0) if independent is None else as_array(independent, "probabilities", "k")
    likely = np.flatnonzero(law > _LIKELY)
    low = int(min(counts.min(), likely.min(initial=counts.min())))
    high = int(max(counts.max(), likely.max(initial=0)))
    step = max(1, -(-(high - low + 1) // _MOST_L0_BINS))
    edges = np.arange(low, high + step + 1, step) - 0.5
    shares = np.histogram(counts, edges)[0] / len(counts)
    axes.stairs(
        shares, edges, fill=True, color=style.DATA, label=f"realised, mean {counts.mean():.4g}"
    )
    if law.size:
        first = np.arange(low, high + 1, step)
        expected = [law[start : start + step].sum() for start in first]
        axes.plot(
            first + (step - 1) / 2,
            expected,
            color=style.SERIES_COLOURS[1],
            lw=1.2,
            marker="o",
            ms=2.5,
            label="independent features\nof these densities",
        )
    axes.axvline(
        stated, color=style.TRUE, lw=1.3, ls=(0, (4, 2)), label=f"stated mean {stated:.4g}"
    )
    if high - low <= 20:
        axes.set_xticks(range(low, high + 1))
    figure.legend(loc="outside right upper", handlelength=1.8)
    return figure


def _edges(series: Sequence[Array]) -> Array:
    """Bins of a fifth of a decade; 0.5, 0.2, 0.1 and so on lie well within theirs."""
    smallest = min((values[values > 0].min(initial=1.0) for values in series), default=0.1)
    decades = min(max(1, int(np.ceil(-np.log10(smallest) - 1e-9))), _MOST_DECADES)
    return _FIRST_EDGE - np.arange(decades * _BINS_PER_DECADE + 2)[::-1] / _BINS_PER_DECADE


def _histogram(densities: Array, edges: Array) -> Array:
    """Features by density; what is rarer than the first bin counts there."""
    logs = np.log10(densities[densities > 0])
    return np.histogram(np.clip(logs, edges[0], edges[-1]), edges)[0]


def _summary(name: str, realised: Array) -> str:
    never = int((realised == 0).sum())
    text = f"{name}: {len(realised):,}"
    return f"{text},\n{never:,} never fired" if never else text


def _plain_log_ticks(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times the powers of ten (at the powers alone over many decades)."""
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(lambda value, _: style.compact_number(value))
    axis.set_minor_formatter(NullFormatter())
