"""Trees of features: who is whose child, and what follows for their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

#: Nodes of the quadrature of `winning`: exact for families of up to twice as many children, and to
#: rounding beyond.
_MOST_NODES = 256


@dataclass(frozen=True, eq=False)
class Forest:
    """Features in trees; a feature without parent is a root, alone or of a tree.

    Attributes:
        parents: parent of each feature, -1 for a root; parents come before their children,
            `[n_features]`, int64.
    """

    parents: Tensor

    @classmethod
    def regular(cls, n_features: int, roots: int, branching: int, depth: int) -> Forest:
        """Trees of one shape, numbered level by level: all roots first, then all their children.

        Args:
            n_features: at least `forest_size(roots, branching, depth)`; what is left has no tree.
            roots: number of trees.
            branching: children of each feature above the lowest level.
            depth: levels below the roots.
        """
        parents = torch.full((n_features,), -1)
        first, width = 0, roots
        for _ in range(depth):
            children = slice(first + width, first + width + width * branching)
            parents[children] = torch.arange(first, first + width).repeat_interleave(branching)
            first, width = first + width, width * branching
        return cls(parents)

    @cached_property
    def roots(self) -> Tensor:
        """Features without parent."""
        return (self.parents < 0).nonzero()[:, 0]

    @cached_property
    def levels(self) -> Sequence[Tensor]:
        """Features at depth 0, 1, ..."""
        depths = self.depths
        return [(depths == d).nonzero()[:, 0] for d in range(int(depths.max()) + 1)]

    @cached_property
    def depths(self) -> Tensor:
        """Number of ancestors of each feature, `[n_features]`."""
        depths = torch.zeros_like(self.parents)
        above = self.parents
        while bool((above >= 0).any()):
            depths += above >= 0
            above = torch.where(above >= 0, self.parents[above], -1)
        return depths

    @cached_property
    def family_sizes(self) -> Tensor:
        """Number of children of each feature, `[n_features]`."""
        children = self.parents[self.parents >= 0]
        return torch.bincount(children, minlength=len(self.parents))

    @cached_property
    def children(self) -> Tensor:
        """All children, family by family in the order of the parents, `[n_children]`."""
        return self.parents.argsort(stable=True)[len(self.roots) :]

    def of_parent(self, values: Tensor, at_root: float) -> Tensor:
        """The value that each feature's parent has, `[n_features]`; `at_root` where it has none."""
        return torch.where(self.parents >= 0, values[self.parents], at_root)

    def over_siblings(self, values: Tensor) -> Tensor:
        """Sum of `values` over each feature and its siblings, `[n_features]`; its own at a root."""
        return torch.where(self.parents >= 0, self.over_children(values)[self.parents], values)

    def over_children(self, values: Tensor) -> Tensor:
        """Sum of `values` over the children of each feature, `[n_features]`."""
        sums = torch.zeros_like(values)
        return sums.index_add_(0, self.parents[self.children], values[self.children])

    def along_path(self, factors: Tensor) -> Tensor:
        """Product of `factors` over each feature and its ancestors, `[n_features]`."""
        product = factors.clone()
        for level in self.levels[1:]:
            product[level] *= product[self.parents[level]]
        return product

    def common_ancestors(self, features: Tensor) -> Tensor:
        """Deepest feature that is, of two features, an ancestor or the feature itself.

        Args:
            features: `[k]`.

        Returns:
            `[k, k]`; -1 for features of different trees.
        """
        paths = self._paths(features)
        common = torch.full((len(features), len(features)), -1)
        for above in paths:
            shared = (above[:, None] == above[None, :]) & (above[:, None] >= 0)
            common = torch.where(shared, above[:, None], common)
        return common

    def _paths(self, features: Tensor) -> Tensor:
        """Ancestor, or the feature itself, at each depth, `[depths, k]`; -1 below the feature."""
        depths = self.depths[features]
        paths = torch.full((int(depths.max()) + 1 if len(depths) else 0, len(features)), -1)
        place, above = torch.arange(len(features)), features
        while len(place):
            paths[self.depths[above], place] = above
            kept = self.parents[above] >= 0
            place, above = place[kept], self.parents[above[kept]]
        return paths

    def winning(self, own: Tensor) -> Tensor:
        """Probability to fire, given the parent, if one of the siblings that want to fire may.

        Feature `c` wants to fire with probability `q_c`, independently, and a uniformly random one
        of those that want to does: `q_c E[1 / (1 + N_c)]`, where `N_c` counts its siblings that
        want to. As `1 / (1 + n)` is the integral of `x^n`, this is the integral over [0, 1] of
        `q_c` times the product of `1 - q_j + q_j x` over the siblings `j`: a polynomial, which
        Gauss-Legendre quadrature integrates exactly.

        Args:
            own: `q`, `[n_features]`.

        Returns:
            `[n_features]`; at a root `q` itself.
        """
        largest = int(self.family_sizes.max())
        nodes, weights = np.polynomial.legendre.leggauss(min(largest // 2 + 1, _MOST_NODES))
        share = torch.zeros_like(own)
        for x, weight in zip((nodes + 1) / 2, weights / 2):
            log_factor = torch.log1p(own * (x - 1))
            share += weight * torch.exp(self.over_siblings(log_factor) - log_factor)
        return own * torch.where(self.parents >= 0, share, 1.0)


def forest_size(roots: int, branching: int, depth: int) -> int:
    """Features of `roots` trees of one shape."""
    return roots * sum(branching**level for level in range(depth + 1))
