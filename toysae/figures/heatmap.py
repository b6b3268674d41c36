"""Signed matrices as heat maps whose colours always span [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array, check_names

_MOST_WRITTEN = 18
_MOST_LABELS = 40


@style.paper_style()
def cosine_heatmap(
    cosines: Values,
    feature_names: Sequence[str],
    *,
    order: Sequence[int] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    title: str = "",
) -> Figure:
    """Cosine of every feature (row) with every latent (column).

    Args:
        cosines: `[n, m]` in [-1, 1]. NaN (a latent without direction) is hatched grey.
        feature_names: `n` labels.
        order: latents to show and their order, such as the matched latent of each feature followed
            by the rest; all in their own order by default.
        groups: features by name of their group. Rows are drawn group by group with a line between;
            a feature of several groups belongs to the first, one of none comes last.
        title: heading.

    Raises:
        ShapeError: shapes other than stated, or an index out of range.
    """
    return _cosine_figure({title: cosines}, feature_names, order, groups)


@style.paper_style()
def decoder_encoder_heatmaps(
    decoder_cosines: Values,
    encoder_cosines: Values,
    feature_names: Sequence[str],
    *,
    order: Sequence[int] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> Figure:
    """Cosines of features with decoder rows and with encoder rows, side by side.

    Args:
        decoder_cosines: `[n, m]`.
        encoder_cosines: `[n, m]`.
        feature_names: `n` labels.
        order: latents to show and their order, the same in both.
        groups: features by name of their group, as of `cosine_heatmap`.

    Raises:
        ShapeError: shapes other than stated, or an index out of range.
    """
    panels = {"Decoder": decoder_cosines, "Encoder": encoder_cosines}
    return _cosine_figure(panels, feature_names, order, groups)


def draw_signed_matrix(
    axes: Axes, matrix: Array, row_names: Sequence[str], column_names: Sequence[str]
) -> AxesImage:
    """Draw a matrix with values in [-1, 1] and return the image, for a colour bar.

    Values are written into matrices of at most 18 columns and rows; names are left out beyond 40.
    """
    image = show_matrix(axes, matrix, style.DIVERGING_MAP, -1, 1)
    axes.set_aspect("auto")
    if matrix.size:
        _set_names(axes, row_names, column_names)
    if max(matrix.shape) <= _MOST_WRITTEN:
        write_values(axes, matrix, dark=np.abs(matrix) > 0.6)
    return image


def show_matrix(axes: Axes, matrix: Array, colours: str, low: float, high: float) -> AxesImage:
    """Draw a matrix with fixed limits, NaN hatched grey; `no data` if it has no entries."""
    if matrix.size:
        axes.patch.set(facecolor=style.FAINT, hatch="////", edgecolor=style.OTHER)
    else:
        style.mark_empty(axes)
    image = axes.imshow(
        np.ma.masked_invalid(matrix if matrix.size else [[np.nan]]),
        cmap=mpl.colormaps[colours],
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def write_values(axes: Axes, matrix: Array, dark: np.ndarray) -> None:
    """Write each defined value into its cell, white where the cell is `dark`."""
    for row, column in np.argwhere(np.isfinite(matrix)):
        # Adding 0 to a rounded value turns -0.0 into 0.0.
        text = f"{round(matrix[row, column], 2) + 0.0:.2f}".replace("-", "−")
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=style.NOTE_SIZE,
            color="white" if dark[row, column] else style.INK,
        )


def matrix_size(rows: int, columns: int) -> tuple[float, float]:
    """Width and height in inches of a matrix whose cells can hold a number, up to a limit."""
    return min(max(0.42 * columns, 1.8), 5.5), min(max(0.3 * rows, 1.4), 6.0)


def _cosine_figure(
    panels: Mapping[str, Values],
    feature_names: Sequence[str],
    order: Sequence[int] | None,
    groups: Mapping[str, Sequence[int]] | None,
) -> Figure:
    names = list(feature_names)
    matrices = {
        title: as_array(values, f"{title or 'the'} cosines".lower(), len(names), "m")
        for title, values in panels.items()
    }
    widths = {matrix.shape[1] for matrix in matrices.values()}
    if len(widths) > 1:
        raise ShapeError(f"panels of {sorted(widths)} latents: expected the same number in each")
    latents = _checked(order, "order", widths.pop())
    rows, starts = group_rows(len(names), groups)
    width, height = matrix_size(len(rows), len(latents))
    figure = style.canvas(len(panels) * (width + 0.3) + 1.5, height + 1.0)
    axes = style.panel_axes(figure, len(panels))
    for one, (title, matrix) in zip(axes, matrices.items()):
        image = draw_signed_matrix(
            one,
            matrix[np.ix_(rows, latents)],
            check_names([names[row] for row in rows], "feature names", len(rows)),
            [str(latent) for latent in latents],
        )
        one.set(title=title, xlabel=_axis_label("latent", len(latents)))
        for start in [*starts.values()][1:]:
            one.axhline(start - 0.5, color=style.INK, lw=1.0)
    axes[0].set_ylabel(_axis_label("feature", len(rows)))
    name_groups(axes[-1], starts, len(rows))
    add_colour_bar(figure, image, axes, "cosine")
    return figure


def add_colour_bar(figure: Figure, image: AxesImage, axes: Sequence[Axes], label: str) -> None:
    """A slim colour bar to the right of `axes`."""
    low, high = image.get_clim()
    bar = figure.colorbar(
        image, ax=list(axes), label=label, ticks=np.linspace(low, high, 5), aspect=22, pad=0.02
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=style.LABEL_SIZE, length=2, width=0.7)


def _set_names(axes: Axes, row_names: Sequence[str], column_names: Sequence[str]) -> None:
    if len(row_names) <= _MOST_LABELS:
        axes.set_yticks(range(len(row_names)), row_names)
    if len(column_names) <= _MOST_LABELS:
        turned = max((len(name) for name in column_names), default=0) > 4
        axes.set_xticks(
            range(len(column_names)),
            column_names,
            rotation=45 if turned else 0,
            ha="right" if turned else "center",
            rotation_mode="anchor",
        )


def _axis_label(kind: str, count: int) -> str:
    return kind if count <= _MOST_LABELS else f"{count:,} {kind}s"


def _checked(indices: Sequence[int] | None, name: str, size: int) -> list[int]:
    chosen = list(range(size)) if indices is None else [int(index) for index in indices]
    outside = [index for index in chosen if not 0 <= index < size]
    if outside:
        raise ShapeError(f"{name} holds {outside[0]}: expected indices from 0 to {size - 1}")
    return chosen


def group_rows(
    count: int, groups: Mapping[str, Sequence[int]] | None
) -> tuple[list[int], dict[str, int]]:
    """Rows in the order of their groups, and the first row of each group that has any."""
    rows: list[int] = []
    starts: dict[str, int] = {}
    for name, members in (groups or {}).items():
        new = [index for index in _checked(members, f"group {name!r}", count) if index not in rows]
        if new:
            starts[name] = len(rows)
            rows += new
    rest = [index for index in range(count) if index not in rows]
    if rest and groups:
        starts["no group"] = len(rows)
    return rows + rest, starts


def name_groups(axes: Axes, starts: Mapping[str, int], count: int) -> None:
    """Write the names of groups of rows to the right of `axes`, in the middle of each group."""
    ends = [*starts.values(), count][1:]
    for (name, start), end in zip(starts.items(), ends):
        axes.annotate(
            name,
            (1, (start + end - 1) / 2),
            xytext=(4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="left",
            va="center",
            fontsize=style.NOTE_SIZE,
        )
