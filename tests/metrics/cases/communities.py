from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, SPACE, Case, Rng, a_dictionary, normal, two_tables
from toysae.metrics import communities
from toysae.metrics.codes import SparseCodes


def groups_of_latents(rng: Rng) -> list[Tensor]:
    """Latents that fire in two groups, and three that fire alone."""
    groups = torch.from_numpy(rng.random((40, 2)) < 0.4).double()
    alone = torch.from_numpy(rng.random((40, 3)) < 0.4).double()
    noise = torch.from_numpy(rng.random((40, 6)) < 0.7).double()
    return [torch.cat([groups.repeat_interleave(3, dim=1) * noise, alone], dim=1)]


def bundles(rng: Rng) -> list[Tensor]:
    """Two pairs of near directions, and one direction more."""
    near = normal(rng, 3, 4).repeat_interleave(2, dim=0)[:5]
    return [near + 0.05 * normal(rng, 5, 4)]


def labels(rng: Rng) -> list[Tensor]:
    return [torch.from_numpy(rng.integers(-1, 3, 20)) for _ in range(2)]


GRAPH = communities.cosine_graph
CASES = {
    "cofiring_graph": Case(
        groups_of_latents,
        "a",
        lambda z: communities.cofiring_graph(SparseCodes.from_dense(z), minimum=3),
        (*SAMPLES, "permute_columns_a"),
    ),
    "cosine_graph": Case(bundles, "a", lambda d: GRAPH(d, 0.5), ("permute_rows_a", *SPACE)),
    "connected_communities": Case(
        bundles,
        "a",
        lambda d: communities.connected_communities(GRAPH(d, 0.9)),
        ("permute_rows_a", *SPACE),
    ),
    "spectral_communities": Case(
        bundles,
        "a",
        lambda d: communities.spectral_communities(GRAPH(d, 0.9), 2),
        ("permute_rows_a", "scale_rows", "joint_rotation", "pad_dimensions"),
    ),
    "community_agreement": Case(labels, "ab", applicable=SAMPLES),
    "cosine_tree": Case(a_dictionary, "a", applicable=("permute_rows_a", *SPACE)),
    "cofiring_tree": Case(
        lambda rng: two_tables(rng)[1:],
        "a",
        lambda z: communities.cofiring_tree(SparseCodes.from_dense(z)),
        SAMPLES,
    ),
}
