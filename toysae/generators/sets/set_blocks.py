"""Sets of one-hot features, in blocks that are independent of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toysae.errors import ConfigError
from toysae.generators.sets.boosted_tables import Pair, Table, boost_pairs, product_table

#: Up to this many independent sets, with up to this many outcomes, are one block: one number
#: draws them all.
_MOST_JOINT_SETS = 12
_MOST_JOINT_OUTCOMES = 4096
#: A table in which pairs are boosted has at most this many cells.
_MOST_BOOSTED_CELLS = 2**16
# Probabilities are typed by hand or computed in float64.
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Block:
    """Sets and what they do together.

    Attributes:
        sets: indices of sets, ascending.
        table: joint probabilities, one axis a set; they sum to 1.
    """

    sets: tuple[int, ...]
    table: Table

    def margin(self, *sets: int) -> Table:
        """Joint probabilities of some of the sets, given in ascending order."""
        others = tuple(axis for axis, k in enumerate(self.sets) if k not in sets)
        return np.asarray(self.table.sum(axis=others))


def blocks_of(
    sizes: Sequence[int],
    weights: Sequence[Sequence[float]] | None,
    table: Any,
    pairs: Sequence[Pair],
    boost: float,
) -> tuple[Block, ...]:
    """The law of sets that all fire, as few blocks as are cheap to draw from.

    Args:
        sizes: members of each set.
        weights: of the members of each set; None is uniform.
        table: joint probabilities of all sets; None is independent sets.
        pairs: to be boosted; axes are sets.
        boost: in [0, 1].

    Returns:
        Blocks in the order of their first sets.

    Raises:
        ConfigError: the boost cannot be had, or joins too many outcomes in one table.
    """
    everything = tuple(range(len(sizes)))
    if table is not None:
        _check_cells(sizes, pairs)
        return (Block(everything, boost_pairs(_unit(np.array(table)), pairs, boost)),)
    given = [np.full(n, 1 / n) for n in sizes] if weights is None else map(_unit, weights)
    members = list(given)
    blocks = []
    for sets in _joined(len(sizes), pairs):
        _check_cells([sizes[k] for k in sets], pairs)
        axis = {k: place for place, k in enumerate(sets)}
        own = [Pair(axis[p.first], p.i, axis[p.second], p.j) for p in pairs if p.first in axis]
        blocks.append(
            Block(sets, boost_pairs(product_table([members[k] for k in sets]), own, boost))
        )
    if len(sizes) > _MOST_JOINT_SETS or math.prod(sizes) > _MOST_JOINT_OUTCOMES:
        return tuple(blocks)
    order = [k for block in blocks for k in block.sets]
    product = product_table([block.table for block in blocks])
    return (Block(everything, product.transpose(np.argsort(order))),)


def frozen_table(table: Any, sizes: Sequence[int]) -> Any:
    """A table as nested tuples.

    Raises:
        ConfigError: not lists of numbers of the shape `sizes`, or not probabilities.
    """
    frozen = _frozen(table, sizes, "generator.table", sizes)
    _check_probabilities("generator.table", np.array(frozen))
    return frozen


def frozen_weights(weights: Any, sizes: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """Probabilities of the members of each set as tuples.

    Raises:
        ConfigError: not one list a set of as many probabilities as it has members.
    """
    if len(weights) != len(sizes):
        raise ConfigError(
            f"generator.weights: found {len(weights)} lists, must be one for each of the "
            f"{len(sizes)} sets (generator.sizes)"
        )
    for k, (own, size) in enumerate(zip(weights, sizes)):
        _frozen(own, [size], f"generator.weights[{k}]", sizes)
        _check_probabilities(f"generator.weights[{k}]", np.array(own))
    return tuple(tuple(own) for own in weights)


def _frozen(node: Any, shape: Sequence[int], place: str, sizes: Sequence[int]) -> Any:
    if not shape:
        if isinstance(node, (int, float)) and not isinstance(node, bool):
            return float(node)
        raise ConfigError(f"{place} = {node!r}: must be a number")
    if not isinstance(node, (list, tuple)) or len(node) != shape[0]:
        found = f"a list of {len(node)}" if isinstance(node, (list, tuple)) else repr(node)
        kind = "numbers" if len(shape) == 1 else "lists"
        raise ConfigError(
            f"{place}: found {found}, must be a list of {shape[0]} {kind} "
            f"(generator.sizes = {list(sizes)})"
        )
    return tuple(_frozen(child, shape[1:], f"{place}[{i}]", sizes) for i, child in enumerate(node))


def _check_probabilities(key: str, values: Table) -> None:
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        raise ConfigError(f"{key}: found {outside[0]:.6g}; entries must lie in [0, 1]")
    if abs(values.sum() - 1) > _TOLERANCE:
        raise ConfigError(f"{key}: entries sum to {values.sum():.6g}, must sum to 1")


def _check_cells(sizes: Sequence[int], pairs: Sequence[Pair]) -> None:
    cells = math.prod(sizes)
    if pairs and len(sizes) > 1 and cells > _MOST_BOOSTED_CELLS:
        raise ConfigError(
            f"generator.boosted_pairs: join sets into a table of {cells:,} cells; must be at most "
            f"{_MOST_BOOSTED_CELLS:,}; boost pairs of fewer or smaller sets"
        )


def _joined(n_sets: int, pairs: Sequence[Pair]) -> list[tuple[int, ...]]:
    """Sets that pairs join, directly or by way of others; ordered by their first sets."""
    label = list(range(n_sets))
    for pair in pairs:
        low, high = sorted((label[pair.first], label[pair.second]))
        label = [low if k == high else k for k in label]
    return [tuple(k for k in range(n_sets) if label[k] == one) for one in sorted(set(label))]


def _unit(probabilities: Any) -> Table:
    """Scaled to a sum of exactly 1."""
    values = np.asarray(probabilities, dtype=np.float64)
    return values / values.sum()
