"""Which features fire together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from toysae.figures import style
from toysae.figures.arrays import Values, as_array
from toysae.figures.heatmap import add_colour_bar, group_rows, name_groups, show_matrix

_LIMITS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MOST_LABELS = 40


@style.paper_style()
def phi_heatmaps(
    panels: Mapping[str, Values],
    feature_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> Figure:
    """Correlations of firing indicators side by side, on one scale of colours.

    The scale ends at the round number above the largest correlation of two features: weak ones
    would not be seen on [-1, 1]. The diagonal is left blank.

    Args:
        panels: heading `->` correlations `[k, k]`; NaN (never or always fires) is blank.
        feature_names: `k` labels, written up to 40.
        groups: features by name of their group, drawn group by group with a line between; a
            feature of several belongs to the first, one of none comes last.

    Raises:
        ShapeError: shapes other than stated, or an index out of range.
    """
    names = list(feature_names)
    order, starts = group_rows(len(names), groups)
    matrices = {
        title: as_array(values, "correlations", len(names), len(names))[np.ix_(order, order)]
        for title, values in panels.items()
    }
    for matrix in matrices.values():
        np.fill_diagonal(matrix, np.nan)
    limit = _limit(list(matrices.values()))
    size = min(max(0.22 * len(names), 2.2), 3.9)
    figure = style.canvas(len(panels) * (size + 0.5) + 1.7, size + 1.3)
    axes = style.panel_axes(figure, len(panels))
    for one, (title, matrix) in zip(axes, matrices.items()):
        image = show_matrix(one, matrix, style.DIVERGING_MAP, -limit, limit)
        one.patch.set(facecolor=style.FAINT, hatch="")
        one.set_title(title)
        for start in [*starts.values()][1:]:
            one.axhline(start - 0.5, color=style.INK, lw=0.8)
            one.axvline(start - 0.5, color=style.INK, lw=0.8)
    if 0 < len(names) <= _MOST_LABELS:
        labels = [names[place] for place in order]
        small = style.LABEL_SIZE if len(names) <= 20 else 6.0
        axes[0].set_yticks(range(len(labels)), labels, fontsize=small)
        for one in axes:
            one.set_xticks(range(len(labels)), labels, rotation=90, fontsize=small)
    else:
        axes[0].set_ylabel(f"{len(names):,} features")
    name_groups(axes[-1], starts if len(starts) > 1 else {}, len(names))
    add_colour_bar(figure, image, axes, "correlation of firing, φ")
    return figure


def _limit(matrices: Sequence[np.ndarray]) -> float:
    values = np.concatenate([np.abs(matrix[np.isfinite(matrix)]) for matrix in matrices])
    largest = values.max(initial=0.0)
    return next((limit for limit in _LIMITS if limit >= largest), 1.0)
