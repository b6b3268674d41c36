"""How often latents fire."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array

_BINS_PER_DECADE = 5


@style.paper_style()
def density_histogram(densities: Mapping[str, Values], title: str = "") -> Figure:
    """Histograms of log10 firing densities; what never fires is counted in the legend.

    Args:
        densities: name of an SAE `->` fraction of samples on which each latent fires `[m]`. 0 is
            dead, NaN undefined; neither enters the histogram.
        title: heading.

    Raises:
        ShapeError: densities with more than one axis.
    """
    series = {
        name: as_array(values, f"densities of {name!r}", "m") for name, values in densities.items()
    }
    figure = style.canvas(5.6, 2.8)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(title=title, xlabel="log10 firing density", ylabel="latents")
    alive = {name: np.log10(values[values > 0]) for name, values in series.items()}
    edges = _edges(list(alive.values()))
    for place, (name, logs) in enumerate(alive.items()):
        colour, dash = style.series_look(name, place)
        axes.stairs(np.histogram(logs, edges)[0], edges, fill=True, color=colour, alpha=0.18)
        axes.stairs(
            np.histogram(logs, edges)[0],
            edges,
            color=colour,
            ls=dash,
            lw=1.3,
            label=_summary(name, series[name]),
        )
    if not any(len(logs) for logs in alive.values()):
        style.mark_empty(axes, "no latent fires")
    if series:
        figure.legend(loc="outside right upper", handlelength=1.6)
    return figure


def _edges(logs: list[Array]) -> Array:
    """Bins of a fifth of a decade from the rarest latent, at least one decade, up to density 1."""
    lowest = min((values.min() for values in logs if values.size), default=-1.0)
    decades = max(1, int(np.ceil(-lowest)))
    return np.linspace(-decades, 0, decades * _BINS_PER_DECADE + 1)


def _summary(name: str, densities: Array) -> str:
    dead, undefined = int((densities == 0).sum()), int(np.isnan(densities).sum())
    share = f" ({dead / len(densities):.1%})" if len(densities) else ""
    text = f"{name}: {len(densities):,} latents,\n{dead:,} dead{share}"
    return f"{text}, {undefined:,} undefined" if undefined else text
