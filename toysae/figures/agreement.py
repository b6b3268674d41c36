"""How much SAEs agree with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from toysae.figures import style
from toysae.figures.arrays import Values, as_array
from toysae.figures.heatmap import add_colour_bar, show_matrix, write_values

_BINS = 50


@style.paper_style()
def similarity_matrix(
    values: Values, names: Sequence[str], title: str = "", *, label: str = "mean max cosine"
) -> Figure:
    """Agreement of each SAE (row) with each other SAE (column), in both directions.

    The matrix need not be symmetric: entry `[i, j]` asks how well the latents of `i` are found in
    `j`. Four copies of one latent are all found in a dictionary that holds it once, not the
    reverse.

    Args:
        values: `[k, k]`, colours fixed to [0, 1]; NaN, such as a diagonal left out, is hatched.
        names: `k` SAEs.
        title: heading.
        label: what the numbers are.

    Raises:
        ShapeError: a matrix that is not square, or another number of names.
    """
    labels = list(names)
    matrix = as_array(values, "similarities", len(labels), len(labels))
    size = min(max(0.55 * len(labels), 1.6), 6.0)
    figure = style.canvas(size + 2.4, size + 1.5)
    axes = style.panel_axes(figure, 1)[0]
    image = show_matrix(axes, matrix, style.SEQUENTIAL_MAP, 0, 1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(title=title, ylabel="latents of …", xlabel="… matched in")
    write_values(axes, matrix, dark=matrix < 0.5)
    add_colour_bar(figure, image, [axes], label)
    return figure


@style.paper_style()
def similarity_histograms(
    values: Mapping[str, Values],
    chance: float,
    title: str = "",
    *,
    xlabel: str = "max cosine similarity",
) -> Figure:
    """Distributions of the best match of each latent, with their means and the chance level.

    Args:
        values: name `->` similarities `[m]`, at most 1; NaN is left out and counted in the legend.
        chance: what random directions of the same number and dimension reach; not drawn if NaN.
        title: heading.
        xlabel: what the numbers are.

    Raises:
        ShapeError: similarities with more than one axis.
    """
    series = {
        name: as_array(found, f"similarities of {name!r}", "m") for name, found in values.items()
    }
    figure = style.canvas(5.6, 2.8)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(title=title, xlabel=xlabel, ylabel="fraction of latents")
    defined = {name: found[np.isfinite(found)] for name, found in series.items()}
    lowest = min((found.min() for found in defined.values() if found.size), default=0.0)
    edges = np.linspace(min(0.0, float(lowest)), 1, _BINS + 1)
    handles: list[Artist] = []
    for place, (name, found) in enumerate(defined.items()):
        colour, dash = style.series_look(name, place)
        heights = np.histogram(found, edges)[0] / max(len(found), 1)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.18)
        missing = len(series[name]) - len(found)
        mean = f"mean {found.mean():.3f}" if found.size else "mean undefined"
        label = f"{name}: {mean}" + (f", {missing:,} undefined" if missing else "")
        handles.append(axes.stairs(heights, edges, color=colour, ls=dash, lw=1.3, label=label))
        if found.size:
            axes.axvline(found.mean(), color=colour, lw=1.0, ls=(0, (4, 2)))
    if math.isfinite(chance):
        axes.axvline(chance, color=style.CHANCE, lw=1.4, ls=":")
        handles.append(style.chance_handle(f"chance level {chance:.3f}"))
    if not any(found.size for found in defined.values()):
        style.mark_empty(axes)
    if handles:
        figure.legend(handles=handles, loc="outside right upper", handlelength=1.6)
    return figure
