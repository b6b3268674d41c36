"""What single samples look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from toysae.figures import style
from toysae.figures.arrays import Values, as_array
from toysae.figures.heatmap import add_colour_bar, group_rows, name_groups, show_matrix

_MOST_LABELS = 40
_ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0, 12.0)


@style.paper_style()
def sample_raster(
    coefficients: Values,
    feature_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    title: str = "",
) -> Figure:
    """Which features fire on which samples, and how strongly: the darker, the stronger.

    Args:
        coefficients: `[n_samples, k]`, non-negative; 0 is left white. Shades end near the
            99 % quantile of what fires.
        feature_names: `k` labels, one a row, written up to 40.
        groups: features by name of their group, drawn group by group with a line between; a
            feature of several belongs to the first, one of none comes last.
        title: heading.

    Raises:
        ShapeError: shapes other than stated, or an index out of range.
    """
    names = list(feature_names)
    values = as_array(coefficients, "coefficients", "samples", len(names))
    rows, starts = group_rows(len(names), groups)
    matrix = values.T[rows]
    fires = matrix > 0
    top = _round_up(float(np.quantile(matrix[fires], 0.99))) if fires.any() else 1.0
    width = min(max(0.1 * values.shape[0], 3.0), 7.0)
    figure = style.canvas(width + 2.4, min(max(0.14 * len(names), 1.4), 6.0) + 1.0)
    axes = style.panel_axes(figure, 1)
    image = show_matrix(
        axes[0], np.where(fires, matrix, np.nan), f"{style.SEQUENTIAL_MAP}_r", 0, top
    )
    axes[0].patch.set(facecolor="white", hatch="")
    axes[0].spines[:].set_visible(True)
    axes[0].set_aspect("auto")
    axes[0].set(title=title, xlabel=f"{values.shape[0]:,} samples")
    for start in [*starts.values()][1:]:
        axes[0].axhline(start - 0.5, color=style.INK, lw=0.8)
    if 0 < len(names) <= _MOST_LABELS:
        axes[0].set_yticks(range(len(rows)), [names[row] for row in rows], fontsize=6.5)
    else:
        axes[0].set_ylabel(f"{len(names):,} features")
    name_groups(axes[0], starts if len(starts) > 1 else {}, len(names))
    add_colour_bar(figure, image, axes, "coefficient")
    return figure


def _round_up(value: float) -> float:
    """The next number whose quarters are short to write."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(unit * next(step for step in _ROUND if step * unit >= value))
