"""Which latents belong together: graphs, their communities, and trees.

Communities by firing and by direction answer different questions; their adjusted mutual information
says how far the answers agree, and is 0 by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.sparse import csgraph
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._firing.graphs import Graph, cofiring_graph, cosine_graph
from toysae.metrics._firing.spectral import normalized_cuts
from toysae.metrics._firing.trees import Tree, cofiring_tree, cosine_tree, in_order

__all__ = [
    "Communities",
    "CommunityAgreement",
    "Graph",
    "Tree",
    "cofiring_graph",
    "cofiring_tree",
    "community_agreement",
    "connected_communities",
    "cosine_graph",
    "cosine_tree",
    "spectral_communities",
]


@dataclass(frozen=True)
class Communities:
    """A partition of the latents that have an edge."""

    labels: Tensor
    """Community of each latent, `[m]`, int64, from 0 in the order of their lowest latents; -1 for
    latents without an edge."""

    @property
    def sizes(self) -> Tensor:
        """Latents of each community, `[n_communities]`, int64."""
        return torch.bincount(self.labels[self.labels >= 0])

    @property
    def n_communities(self) -> int:
        """Number of communities."""
        return len(self.sizes)

    @property
    def covered(self) -> float:
        """Share of latents that are in a community, in [0, 1]; NaN without latents."""
        return (self.labels >= 0).double().mean().item()


@dataclass(frozen=True)
class CommunityAgreement:
    """How far two partitions of the same latents agree."""

    adjusted_mutual_information: float
    """1 for the same partition, 0 by chance; NaN where chance could make no other."""
    n_latents: int
    """Latents that both place in a community; all that is compared."""


def connected_communities(graph: Graph) -> Communities:
    """Connected components of a graph, but for single latents.

    Args:
        graph: any.

    Returns:
        The communities; two latents share one if a path leads from one to the other.

    Raises:
        Nothing: what is no graph was refused where it was made.

    Source: scipy.sparse.csgraph.
    """
    _, found = csgraph.connected_components(graph.adjacency(), directed=False)
    return _labelled(graph, torch.from_numpy(found).long())


def spectral_communities(graph: Graph, n_communities: int) -> Communities:
    """Normalised cuts of a graph into a given number of communities.

    Eigenvectors of the normalised Laplacian, clustered by a pivoted QR decomposition, which needs
    no random start. Those of a graph in several components are those of its components: each of
    them is a community, or several.

    Args:
        graph: with positive weights.
        n_communities: how many: 1, or at least the connected components and at most the latents
            that have an edge.

    Returns:
        The communities; in rare cases a few less, at least 1.

    Raises:
        ShapeError: more communities than latents with an edge, or fewer than components: no cut
            says which of these belong together.

    Source: Shi and Malik 2000; Damle et al. 2019; as sklearn.cluster.SpectralClustering.
    """
    connected = (graph.degrees > 0).nonzero().flatten().cpu()
    index = connected.numpy()
    weights = graph.adjacency()[index][:, index]
    n_components, components = csgraph.connected_components(weights, directed=False)
    if len(index) == 0:
        raise ShapeError(f"n_communities={n_communities}: no latent of the graph has an edge")
    if n_communities != 1 and not n_components <= n_communities <= len(index):
        raise ShapeError(
            f"n_communities={n_communities}: expected 1, or from {n_components}, the connected "
            f"components, to {len(index)}, the latents that have an edge"
        )
    found = torch.zeros(graph.n_latents, dtype=torch.long)
    if n_communities > 1:
        found[connected] = torch.from_numpy(normalized_cuts(weights, components, n_communities))
    return _labelled(graph, found)


def _labelled(graph: Graph, found: Tensor) -> Communities:
    connected = graph.degrees.cpu() > 0
    labels = torch.full_like(found, -1)
    labels[connected] = in_order(found[connected])
    return Communities(labels)


def community_agreement(first: Tensor, second: Tensor) -> CommunityAgreement:
    """Adjusted mutual information of two partitions, such as by firing and by cosine.

    `(MI - E MI) / (mean(H1, H2) - E MI)`: at most 1, and 0 in expectation for partitions with the
    same sizes at random. Over the latents that both place.

    Args:
        first: label of each latent, integers `[m]`; negative for none.
        second: likewise, of the same latents.

    Returns:
        The agreement, and how many latents it is over. NaN, 0 over 0, where both partitions are the
        same whatever the labels: no latent in both, one community of all, or all alone.

    Raises:
        ShapeError: not one axis of the same length.
        DataError: labels that are not integers.

    Source: Vinh et al. 2010; sklearn.metrics.adjusted_mutual_info_score.
    """
    if first.ndim != 1 or first.shape != second.shape:
        raise ShapeError(
            f"labels have shapes {tuple(first.shape)} and {tuple(second.shape)}: "
            "expected one label a latent, of the same latents"
        )
    if first.is_floating_point() or second.is_floating_point():
        raise DataError("labels are floating point numbers: expected integers")
    first, second = first.cpu(), second.cpu()
    both = (first >= 0) & (second >= 0)
    n = int(both.sum())
    if n == 0:
        return CommunityAgreement(torch.nan, 0)
    sizes = {len(first[both].unique()), len(second[both].unique())}
    if sizes in ({1}, {n}):
        return CommunityAgreement(torch.nan, n)
    score = adjusted_mutual_info_score(first[both].numpy(), second[both].numpy())
    return CommunityAgreement(float(score), n)
