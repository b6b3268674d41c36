"""Hierarchical clustering of latents, by direction and by firing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._directions import unit_rows
from toysae.metrics._firing.association import cofiring
from toysae.metrics._firing.count_blocks import sparse_firing_counts
from toysae.metrics._firing.firing import least_firings
from toysae.metrics.codes import SparseCodes

_MOST = 8192


@dataclass(frozen=True)
class Tree:
    """Latents merged two by two into ever larger clusters (average linkage)."""

    linkage: Tensor
    """What scipy's `linkage` gives, `[kept - 1, 4]`, float64; empty for fewer than two latents."""
    index: Tensor
    """Latent that each leaf is, `[kept]`."""
    n_latents: int
    """Latents, with those that are no leaf."""
    cophenetic: float
    """Correlation of the distances with the heights at which pairs merge; NaN for fewer than three
    latents or equal distances. Near 1 the tree says what the distances say."""

    def clusters(self, n: int) -> Tensor:
        """Cluster of each latent where the tree is cut into at most `n`, `[m]`; -1 for no leaf.

        Clusters are numbered from 0 in the order of their lowest latent.
        """
        if n < 1:
            raise ShapeError(f"n={n}: expected at least one cluster")
        labels = torch.full((self.n_latents,), -1)
        if len(self.index) == 1:
            labels[self.index] = 0
        elif len(self.index):
            found = torch.from_numpy(hierarchy.fcluster(self.linkage.numpy(), n, "maxclust"))
            labels[self.index] = in_order(found.long())
        return labels


def in_order(labels: Tensor) -> Tensor:
    """The same partition, its parts numbered from 0 in the order of their first member."""
    found, part = labels.unique(return_inverse=True)
    first = torch.full_like(found, len(part)).scatter_reduce(
        0, part, torch.arange(len(part)), "amin"
    )
    return first.argsort().argsort()[part]


def cosine_tree(dictionary: Tensor, alive: Tensor | None = None) -> Tree:
    """Hierarchical clustering of latents by direction: average linkage of `1 - cosine`.

    Takes memory and time with the square of the number of latents, so at most 8,192 of them.

    Args:
        dictionary: `[m, d]`, rows are vectors; zero rows are no leaf.
        alive: latents to cluster, bool `[m]`; all by default.

    Returns:
        The tree.

    Raises:
        ShapeError: not two axes, more than 8,192 latents, or a mask of another length.
        DataError: NaN or infinity, or a mask that is not bool.

    Source: scipy.cluster.hierarchy.
    """
    kept = unit_rows(dictionary, "dictionary", alive)
    _require_few(len(kept.unit))
    return _tree(1 - (kept.unit @ kept.unit.T).clamp(-1, 1), kept.index, kept.n_rows)


def cofiring_tree(codes: SparseCodes, minimum: int = 10) -> Tree:
    """Hierarchical clustering of latents by firing: average linkage of `1 - Jaccard`.

    Takes memory and time with the square of the number of latents, so at most 8,192 of them.

    Args:
        codes: of `m` latents.
        minimum: firings that a latent needs to be a leaf.

    Returns:
        The tree.

    Raises:
        ShapeError: more than 8,192 latents, or a negative minimum.

    Source: scipy.cluster.hierarchy.
    """
    least = least_firings(minimum)
    _require_few(codes.n_latents)
    index = (codes.firings >= least).nonzero().flatten()
    table = cofiring(*sparse_firing_counts(codes, codes)).jaccard[index[:, None], index]
    return _tree(1 - table, index, codes.n_latents)


def _require_few(n_latents: int) -> None:
    if n_latents > _MOST:
        raise ShapeError(
            f"{n_latents} latents: a tree of all pairs takes at most {_MOST}; "
            "cluster those of interest, or take communities of a graph"
        )


def _tree(distances: Tensor, index: Tensor, n_latents: int) -> Tree:
    index = index.cpu()
    if len(index) < 2:
        return Tree(torch.empty(0, 4, dtype=torch.float64), index, n_latents, torch.nan)
    pairs = squareform(distances.cpu().numpy(), checks=False)
    linkage = hierarchy.linkage(pairs, "average")
    heights = hierarchy.cophenet(linkage)
    both = torch.stack([torch.from_numpy(pairs), torch.from_numpy(heights)])
    varies = bool((both.amax(dim=1) - both.amin(dim=1) > 1e-12).all())
    cophenetic = torch.corrcoef(both)[0, 1].item() if varies else torch.nan
    return Tree(torch.from_numpy(linkage), index, n_latents, cophenetic)
