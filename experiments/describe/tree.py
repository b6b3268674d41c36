"""Features in trees: how deep they are, and whether children keep to their parents."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.truth import Truth
from toysae.results.files import Row


def roots_and_depths(parents: Tensor) -> tuple[Tensor, Tensor]:
    """Root of the tree of each feature, and its depth below it, `[n_features]` each.

    A feature without parent is its own root, at depth 0.

    Args:
        parents: parent of each feature, -1 for a root; without circles.
    """
    root = torch.arange(len(parents))
    depth = torch.zeros_like(root)
    while bool((above := parents[root] >= 0).any()):
        root = torch.where(above, parents[root], root)
        depth += above
    return root, depth


def ancestry(feature: int, parents: Tensor) -> tuple[int, ...]:
    """A feature and all above it, from the root down: sorted by it, trees stay together."""
    path = [feature]
    while (parent := int(parents[path[-1]])) >= 0:
        path.append(parent)
    return tuple(reversed(path))


def in_trees(parents: Tensor) -> Tensor:
    """Which features have a parent or a child, bool `[n_features]`."""
    found = parents >= 0
    found[parents[parents >= 0]] = True
    return found


class TreeCounts:
    """What children did on samples.

    Attributes:
        child_firings: firings of features that have a parent.
        without_parent: those of them on samples on which the parent did not fire.
        beside_sibling: those of them on samples on which another child of the parent fired.
    """

    def __init__(self, parents: Tensor) -> None:
        self._parents = parents
        self.child_firings = self.without_parent = self.beside_sibling = 0

    def add(self, firing: SparseCoefficients) -> None:
        """Add a block."""
        first_key = firing.samples * firing.feature_count
        parent = self._parents[firing.features]
        child = parent >= 0
        parent_keys = (first_key + parent)[child]
        with_parent = torch.isin(parent_keys, first_key + firing.features)
        _, siblings = parent_keys.unique(return_counts=True)
        self.child_firings += len(parent_keys)
        self.without_parent += int((~with_parent).sum())
        self.beside_sibling += int(siblings[siblings > 1].sum())


def depth_rows(truth: Truth, realised_marginals: Tensor) -> list[Row]:
    """One row a depth: how many features, how often they fire as stated and as realised."""
    assert truth.parents is not None
    _, depth = roots_and_depths(truth.parents)
    inside = in_trees(truth.parents)
    rows: list[Row] = []
    for level in range(int(depth.max()) + 1):
        members = inside & (depth == level)
        if bool(members.any()):
            rows.append({"depth": level, **_firing(truth.marginals, realised_marginals, members)})
    if bool((~inside).any()):
        rows.append({"depth": "outside", **_firing(truth.marginals, realised_marginals, ~inside)})
    return rows


def _firing(stated: Tensor, realised: Tensor, members: Tensor) -> Row:
    return {
        "features": int(members.sum()),
        "density_stated": float(stated[members].mean()),
        "density_realised": float(realised[members].mean()),
        "l0_stated": float(stated[members].sum()),
        "l0_realised": float(realised[members].sum()),
    }
