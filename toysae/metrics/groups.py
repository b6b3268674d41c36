"""Break any per-item result down by named groups: a mean over all items hides the few that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import refuse_infinite


@dataclass(frozen=True)
class GroupSummary:
    """One group's share of a per-item result."""

    mean: float
    """Mean of the defined values; NaN without any."""
    n_defined: int
    """Values that are not NaN."""
    n_total: int
    """Items in the group."""


def by_group(values: Tensor, groups: Mapping[str, Sequence[int]]) -> dict[str, GroupSummary]:
    """Mean of `values` in each group, and how many items it rests on.

    Args:
        values: one value an item, `[n]`, such as `FeatureRecovery.cosine`; bool counts as 0 and 1,
            NaN is undefined and not counted.
        groups: items of each group; groups may overlap and need not cover all items.

    Returns:
        A summary of each group, in the order of `groups`: the mean lies between the lowest and the
        highest value of the group, so in the range of `values`; NaN without a defined value.

    Raises:
        ShapeError: not one axis, or an item that is not there.
        DataError: an infinite value.

    Source: toysae.
    """
    if values.ndim != 1:
        raise ShapeError(f"values have shape {tuple(values.shape)}: expected one value an item")
    values = values.detach().double()
    refuse_infinite(values, "values")
    return {name: _summary(name, values, items) for name, items in groups.items()}


def _summary(name: str, values: Tensor, items: Sequence[int]) -> GroupSummary:
    index = torch.as_tensor(items, dtype=torch.long, device=values.device)
    if bool(((index < 0) | (index >= len(values))).any()):
        raise ShapeError(
            f"group {name!r} names item {int(index.max())} (lowest {int(index.min())}): "
            f"there are {len(values)} items, counted from 0"
        )
    members = values[index]
    return GroupSummary(members.nanmean().item(), int((~torch.isnan(members)).sum()), len(members))
