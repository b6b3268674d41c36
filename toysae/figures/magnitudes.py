"""How strongly features fire."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array

_BINS = 60
#: Magnitudes above this quantile of all are left out of the picture.
_SHOWN = 0.995


@style.paper_style()
def magnitude_histograms(magnitudes: Mapping[str, Values], title: str = "") -> Figure:
    """Probability densities of coefficients, given that a feature fires.

    Args:
        magnitudes: group `->` coefficients of firings `[firings]`, positive.
        title: heading.

    Raises:
        ShapeError: more than one axis.
    """
    figure = style.canvas(6.0, 2.8)
    axes = style.panel_axes(figure, 1)[0]
    axes.set(title=title, xlabel="coefficient, given that the feature fires", ylabel="density")
    series = {name: as_array(v, f"magnitudes of {name!r}", "n") for name, v in magnitudes.items()}
    edges = _edges(series)
    for place, (name, values) in enumerate(series.items()):
        colour, dash = style.series_look(name, place)
        # Shares of all firings, also of those beyond the last bin.
        heights = np.histogram(values, edges)[0] / np.diff(edges) / max(len(values), 1)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.15)
        mean = f"mean {values.mean():.3g}" if values.size else "did not fire"
        axes.stairs(heights, edges, color=colour, ls=dash, lw=1.3, label=f"{name}: {mean}")
    if any(values.size for values in series.values()):
        axes.set_xlim(edges[0], edges[-1])
    else:
        style.mark_empty(axes, "no feature fires")
    if series:
        figure.legend(loc="outside right upper", handlelength=1.6)
    return figure


def _edges(series: Mapping[str, Array]) -> Array:
    """Bins from 0 to nearly the largest magnitude; narrow ones around a constant."""
    filled = [np.quantile(values, _SHOWN) for values in series.values() if values.size]
    top = max(filled, default=1.0)
    return np.linspace(0, 1.02 * top, _BINS + 1)
