"""Which features are shown, under which groups, where there are too many of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.describe.tree import ancestry, roots_and_depths
from toysae.generators.truth import Truth

#: Groups that are told apart in figures; a palette has no more colours.
MOST_GROUPS = 6

_UNGROUPED = "no group"


@dataclass(frozen=True, eq=False)
class Selection:
    """Features sorted into few groups, and the ones that tables and figures of pairs show.

    Attributes:
        names: of the groups.
        group_of: group of each feature, `[n_features]`, an index into `names`.
        shown: features, group by group, ascending, children right behind their parents; `[k]`.
    """

    names: tuple[str, ...]
    group_of: Tensor
    shown: Tensor

    def members(self, group: int) -> Tensor:
        """Features of a group, ascending."""
        return (self.group_of == group).nonzero()[:, 0]

    def shown_groups(self) -> dict[str, list[int]]:
        """Places in `shown` by name of their group."""
        places: dict[str, list[int]] = {}
        for place, group in enumerate(self.group_of[self.shown].tolist()):
            places.setdefault(self.names[group], []).append(place)
        return places


def select(truth: Truth, most_features: int) -> Selection:
    """Sort features into at most six groups, and choose the ones to show.

    A feature of several groups belongs to the first of them; or, where that makes too many groups,
    to the largest. If they are still too many, those that fire most keep their names, and the
    others become one.
    """
    found = _first_groups(truth, truth.groups)
    if len(found[0]) > MOST_GROUPS:
        largest = sorted(truth.groups, key=lambda name: -len(truth.groups[name]))
        found = _first_groups(truth, {name: truth.groups[name] for name in largest})
    names, group_of = _few_groups(*found, truth.marginals)
    return Selection(names, group_of, _most_frequent(truth, group_of, most_features))


def _first_groups(truth: Truth, groups: Mapping[str, Sequence[int]]) -> tuple[list[str], Tensor]:
    """The first group of each feature; what is in none makes one of its own."""
    names: list[str] = []
    group_of = torch.full((truth.n_features,), -1)
    for name, members in groups.items():
        index = torch.as_tensor(members, dtype=torch.long)
        free = index[group_of[index] < 0]
        if len(free):
            group_of[free] = len(names)
            names.append(name)
    if bool((group_of < 0).any()):
        group_of[group_of < 0] = len(names)
        names.append(_UNGROUPED if names else "features")
    return names, group_of


def _few_groups(
    names: list[str], group_of: Tensor, marginals: Tensor
) -> tuple[tuple[str, ...], Tensor]:
    if len(names) <= MOST_GROUPS:
        return tuple(names), group_of
    l0 = torch.zeros(len(names), dtype=torch.float64).index_add_(0, group_of, marginals)
    kept = l0.argsort(descending=True, stable=True)[: MOST_GROUPS - 1].sort().values
    place = torch.full((len(names),), len(kept))
    place[kept] = torch.arange(len(kept))
    rest = f"{len(names) - len(kept):,} other groups"
    return (*(names[group] for group in kept.tolist()), rest), place[group_of]


def _most_frequent(truth: Truth, group_of: Tensor, most: int) -> Tensor:
    """The most frequent features of each group, in equal numbers as far as groups have them.

    A child ranks right behind its root: parts of trees are shown, and not roots alone.
    """
    parents = torch.full((truth.n_features,), -1) if truth.parents is None else truth.parents
    root, depth = roots_and_depths(parents)
    order = np.lexsort(
        [-truth.marginals.numpy(), depth.numpy(), root.numpy(), -truth.marginals[root].numpy()]
    )
    ranked = torch.from_numpy(order)
    ranked = ranked[group_of[ranked].argsort(stable=True)]
    groups = group_of[ranked]
    counts = torch.bincount(groups)
    rank = torch.arange(len(ranked)) - (counts.cumsum(0) - counts)[groups]
    # The best of every group come before the second best of any.
    chosen = ranked[rank.argsort(stable=True)[:most]].tolist()
    chosen.sort(key=lambda feature: (int(group_of[feature]), ancestry(feature, parents)))
    return torch.tensor(chosen)
