"""What every figure shares: the palette, what its colours mean, type sizes and the canvas."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe and Ito's palette, told apart with every common form of colour blindness.
TRUE = "#0072B2"
COMPOSED = "#D55E00"
OTHER = "#8C8C8C"
COMPONENT = "#009E73"
CHANCE = "#6E6E6E"
DATA = "#B9C0CA"
INK = "#222222"
FAINT = "#E4E6EA"

OUTCOMES = ("true", "composed", "other")
OUTCOME_COLOURS = dict(zip(OUTCOMES, (TRUE, COMPOSED, OTHER)))
SERIES_COLOURS = ("#332288", "#E69F00", "#CC79A7", "#56B4E9", "#117733", "#000000")
SERIES_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.5, 1, 1.5)))

DIVERGING_MAP = "RdBu_r"
SEQUENTIAL_MAP = "cividis"

LABEL_SIZE = 8.0
NOTE_SIZE = 7.5

_RC: Any = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "legend.frameon": False,
    "legend.fontsize": LABEL_SIZE,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.6,
}


@contextmanager
def paper_style() -> Iterator[None]:
    """The rcParams of every figure, as a context manager or a decorator; restored afterwards."""
    with mpl.rc_context(_RC):
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches with an Agg canvas and constrained layout."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_shape(count: int, most_columns: int = 4) -> tuple[int, int]:
    """Rows and columns of a grid of `count` panels, at least one."""
    columns = max(1, min(count, most_columns))
    return max(1, -(-count // columns)), columns


def panel_axes(figure: Figure, count: int, most_columns: int = 4) -> list[Axes]:
    """`count` styled axes in reading order (one if `count` is 0); places left over stay empty."""
    rows, columns = panel_shape(count, most_columns)
    axes = [figure.add_subplot(rows, columns, index + 1) for index in range(max(1, count))]
    for one in axes:
        # Ticks are created when drawn, long after the style is restored: sizes must be set here.
        one.tick_params(labelsize=LABEL_SIZE, length=3, width=0.7, color=INK, labelcolor=INK)
    return axes


def legend_below(figure: Figure, handles: Sequence[Any], columns: int = 4) -> None:
    """One legend under all panels, outside of the data; none if there is nothing to explain."""
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(columns, len(handles)),
            handlelength=1.8,
            columnspacing=1.6,
        )


def chance_handle(label: str) -> Line2D:
    """Legend entry of a chance level: dotted grey everywhere."""
    return Line2D([], [], color=CHANCE, linestyle=":", linewidth=1.4, label=label)


def series_look(name: str, position: int) -> tuple[str, Any]:
    """Colour and dash of a series: its semantic colour if its name is an outcome, else by position.

    Positions beyond the palette repeat colours with another dash.
    """
    if name in OUTCOME_COLOURS:
        return OUTCOME_COLOURS[name], "-"
    lap, place = divmod(position, len(SERIES_COLOURS))
    return SERIES_COLOURS[place], SERIES_DASHES[lap % len(SERIES_DASHES)]


def mark_empty(axes: Axes, reason: str = "no data") -> None:
    """Say in the middle of `axes` that there is nothing to draw."""
    axes.text(
        0.5,
        0.5,
        reason,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=OTHER,
        style="italic",
    )


def compact_number(value: float) -> str:
    """A tick label such as `0.03`, `128` or `3e-5`."""
    text = f"{value:g}"
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def to_png_bytes(figure: Figure, dpi: float = 192) -> bytes:
    """The figure as PNG. Equal figures give equal bytes: no date, no version is written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_png_base64(figure: Figure, dpi: float = 192) -> str:
    """The figure as base64 text of a PNG; 192 dpi is twice the size of a CSS inch."""
    return base64.b64encode(to_png_bytes(figure, dpi)).decode("ascii")
