"""What SAEs found in every cell of a sweep over learning rate and L1 coefficient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from toysae.errors import DataError, ShapeError
from toysae.figures import style
from toysae.figures.arrays import Array, Values, as_array

_CELL = 0.92
_NOTE_STRIP = 0.3


@style.paper_style()
def outcome_grid(
    fractions: Values,
    lrs: Sequence[float],
    l1s: Sequence[float],
    title: str,
    annotations: Sequence[Sequence[str]] | None = None,
) -> Figure:
    """The fractions of true, composed and other latents in each cell of a sweep.

    Every cell is filled from below: true, composed, other. A cell with a NaN (no run, or only
    diverged ones) is hatched.

    Args:
        fractions: `[n_lr, n_l1, 3]` in the order (true, composed, other), each cell adding up to 1.
        lrs: learning rates, one a row, drawn upwards.
        l1s: L1 coefficients, one a column.
        title: heading.
        annotations: text of each cell, `[n_lr][n_l1]`, written above its bar.

    Raises:
        ShapeError: shapes other than stated.
        DataError: the fractions of a cell are negative or do not add up to 1.
    """
    notes = None if annotations is None else {title: annotations}
    return outcome_grids({title: fractions}, lrs, l1s, annotations=notes)


@style.paper_style()
def outcome_grids(
    panels: Mapping[str, Values],
    lrs: Sequence[float],
    l1s: Sequence[float],
    *,
    annotations: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> Figure:
    """Several outcome grids side by side under one legend.

    Args:
        panels: fractions of `outcome_grid` by heading.
        lrs: learning rates, one a row.
        l1s: L1 coefficients, one a column.
        annotations: cell texts of `outcome_grid` by heading; panels may be missing.

    Raises:
        ShapeError: shapes other than stated.
        DataError: the fractions of a cell are negative or do not add up to 1.
    """
    rows, columns = style.panel_shape(len(panels), most_columns=3)
    width = min(max(0.55 * len(l1s) + 1.0, 3.0), 5.0)
    height = min(max(0.5 * len(lrs) + 0.8, 2.0), 5.0)
    figure = style.canvas(max(width * columns, 3.6), height * rows + 0.4)
    axes = style.panel_axes(figure, len(panels), most_columns=3)
    for one, (name, fractions) in zip(axes, panels.items()):
        draw_outcome_grid(one, fractions, lrs, l1s, name, (annotations or {}).get(name))
    if not panels:
        style.mark_empty(axes[0])
    style.legend_below(
        figure,
        [Patch(color=style.OUTCOME_COLOURS[name], label=name) for name in style.OUTCOMES],
    )
    return figure


def draw_outcome_grid(
    axes: Axes,
    fractions: Values,
    lrs: Sequence[float],
    l1s: Sequence[float],
    title: str,
    annotations: Sequence[Sequence[str]] | None = None,
) -> None:
    """Draw one grid into `axes`; arguments as of `outcome_grid`."""
    cells = as_array(fractions, "fractions", len(lrs), len(l1s), len(style.OUTCOMES))
    defined = np.isfinite(cells).all(axis=2)
    _check_fractions(cells[defined])
    axes.set_title(title)
    if not cells.size:
        style.mark_empty(axes)
        axes.set(xticks=[], yticks=[])
        return

    strip = 0.0 if annotations is None else _NOTE_STRIP
    rows, columns = np.nonzero(defined)
    bottom = rows - _CELL / 2
    for place, name in enumerate(style.OUTCOMES):
        heights = cells[rows, columns, place] * (_CELL - strip)
        axes.bar(
            columns, heights, _CELL, bottom, color=style.OUTCOME_COLOURS[name], lw=0, label=name
        )
        bottom = bottom + heights
    for row, column in np.argwhere(~defined):
        _hatch_cell(axes, row, column, _CELL - strip)
    if annotations is not None:
        _annotate(axes, annotations, cells.shape[:2], _CELL / 2 - strip / 2)
    _label_axes(axes, lrs, l1s)


def _check_fractions(cells: Array) -> None:
    sums = cells.sum(axis=1)
    wrong = (np.abs(sums - 1) > 1e-6) | (cells < 0).any(axis=1)
    if wrong.any():
        raise DataError(
            f"fractions {np.round(cells[wrong][0], 4).tolist()} in a cell: expected non-negative "
            "numbers that add up to 1; divide by the number of latents with a direction"
        )


def _hatch_cell(axes: Axes, row: int, column: int, height: float) -> None:
    axes.add_patch(
        Rectangle(
            (column - _CELL / 2, row - _CELL / 2),
            _CELL,
            height,
            fc="white",
            ec=style.OTHER,
            hatch="////",
            lw=0.5,
        )
    )


def _annotate(
    axes: Axes, annotations: Sequence[Sequence[str]], shape: tuple[int, ...], above: float
) -> None:
    if len(annotations) != shape[0] or any(len(row) != shape[1] for row in annotations):
        raise ShapeError(f"annotations: expected {shape[0]} rows of {shape[1]} texts")
    for row, texts in enumerate(annotations):
        for column, text in enumerate(texts):
            axes.text(column, row + above, text, ha="center", va="center", fontsize=style.NOTE_SIZE)


def _label_axes(axes: Axes, lrs: Sequence[float], l1s: Sequence[float]) -> None:
    axes.set_xticks(range(len(l1s)), [style.compact_number(value) for value in l1s])
    axes.set_yticks(range(len(lrs)), [style.compact_number(value) for value in lrs])
    axes.set(
        xlabel="L1 coefficient",
        ylabel="learning rate",
        xlim=(-0.5, len(l1s) - 0.5),
        ylim=(-0.5, len(lrs) - 0.5),
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
