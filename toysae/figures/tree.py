"""Trees of features."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from toysae.errors import ShapeError
from toysae.figures import style
from toysae.figures.arrays import Values, as_array, check_names

MOST_NODES = 150

_MOST_LABELS = 45
_LARGEST, _SMALLEST = 90.0, 14.0

#: Shades end here: what never fires is drawn as rare as this.
_RAREST = 1e-9

Indices = NDArray[np.int64]


@style.paper_style()
def tree_diagram(
    parents: Values, marginals: Values, feature_names: Sequence[str], title: str = ""
) -> Figure:
    """The most frequent trees with roots above and children below, shaded by how often they fire.

    Whole trees are drawn as long as they have room for 150 features together. If the first one
    has more, it is drawn from the root down as far as there is room. Features outside of trees are
    left out.

    Args:
        parents: parent of each feature, -1 for a root, `[n]`.
        marginals: firing probability of each feature, `[n]`.
        feature_names: `n` labels, written up to 45 nodes.
        title: heading.

    Raises:
        ShapeError: shapes other than stated, or a parent that is not there.
    """
    parent = as_array(parents, "parents", "n").astype(np.int64)
    p = as_array(marginals, "marginals", len(parent))
    names = check_names(feature_names, "feature names", len(parent))
    if parent.size and not (parent.min() >= -1 and parent.max() < len(parent)):
        raise ShapeError(f"parents up to {parent.max()}: expected -1 to {len(parent) - 1}")
    nodes = _shown_nodes(parent, p)
    x, depth = _layout(nodes, parent)
    figure = style.canvas(7.6, 1.1 + 0.75 * (max(depth.values(), default=0) + 1))
    axes = style.panel_axes(figure, 1)[0]
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if not nodes:
        style.mark_empty(axes, "no tree")
        return figure
    edges = [
        [(x[parent[i]], -depth[parent[i]]), (x[i], -depth[i])] for i in nodes if parent[i] >= 0
    ]
    axes.add_collection(LineCollection(edges, colors=style.DATA, linewidths=0.8, zorder=1))
    shown = np.maximum(p[nodes], _RAREST)
    size = _SMALLEST + (_LARGEST - _SMALLEST) * min(1.0, 8 / _widest(depth))
    low, high = shown.min(), shown.max()
    dots = axes.scatter(
        [x[i] for i in nodes],
        [-depth[i] for i in nodes],
        s=size,
        c=shown,
        cmap=mpl.colormaps[f"{style.SEQUENTIAL_MAP}_r"],
        norm=LogNorm(low / 1.2, high * 1.2),
        ec=style.INK,
        lw=0.4,
        zorder=2,
    )
    if len(nodes) <= _MOST_LABELS:
        inner = {int(parent[i]) for i in nodes}
        for i in nodes:
            _label(axes, names[i], (x[i], -depth[i]), size**0.5, leaf=i not in inner)
    axes.margins(0.03, 0.2)
    bar = figure.colorbar(dots, ax=axes, label="firing probability", aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", labelsize=style.LABEL_SIZE, length=2, width=0.7)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(lambda value, _: style.compact_number(value))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _label(axes: Axes, name: str, at: tuple[float, float], width: float, leaf: bool) -> None:
    """A name below a leaf, turned to fit, or beside a node that lines lead down from."""
    axes.annotate(
        name,
        at,
        xytext=(0, -0.6 * width - 2) if leaf else (0.6 * width + 1, 2),
        textcoords="offset points",
        ha="center" if leaf else "left",
        va="top" if leaf else "bottom",
        rotation=90 if leaf else 0,
        fontsize=style.NOTE_SIZE,
    )


def _shown_nodes(parent: Indices, p: np.ndarray) -> list[int]:
    """Features drawn, each after its parent."""
    children: dict[int, list[int]] = {}
    for child in np.flatnonzero(parent >= 0).tolist():
        children.setdefault(int(parent[child]), []).append(child)
    roots = [i for i in children if parent[i] < 0]
    nodes: list[int] = []
    for root in sorted(roots, key=lambda i: (-p[i], i)):
        tree = [root]
        for node in tree:  # grows meanwhile: breadth first
            tree += children.get(node, [])
        if nodes and len(nodes) + len(tree) > MOST_NODES:
            break
        nodes += tree[:MOST_NODES]
    return nodes


def _layout(nodes: Sequence[int], parent: Indices) -> tuple[dict[int, float], dict[int, int]]:
    """Horizontal place and depth of each node: leaves in a row, parents above their children."""
    depth: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for node in nodes:
        above = int(parent[node])
        depth[node] = depth[above] + 1 if above >= 0 else 0
        children.setdefault(above, []).append(node)
    x: dict[int, float] = {}
    stack = [(node, False) for node in reversed(children.get(-1, []))]
    leaves = 0
    while stack:
        node, seen = stack.pop()
        below = children.get(node, [])
        if seen:
            x[node] = (x[below[0]] + x[below[-1]]) / 2
        elif below:
            stack.append((node, True))
            stack += [(child, False) for child in reversed(below)]
        else:
            x[node] = float(leaves)
            leaves += 1
    return x, depth


def _widest(depth: dict[int, int]) -> int:
    return int(np.bincount(list(depth.values())).max())
