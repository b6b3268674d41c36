"""The latents that fire most alike, out of all pairs of two sparse tables, in little memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._directions import Partners
from toysae.metrics._firing.association import cofiring
from toysae.metrics._firing.blocks import Block, Joint, coefficient_of
from toysae.metrics._firing.cofiring_kernel import DICE, JACCARD, PHI
from toysae.metrics._firing.count_blocks import over_count_blocks
from toysae.metrics._firing.firing import least_firings
from toysae.metrics._firing.jaccard import surviving
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes

Coefficient = Literal["jaccard", "dice", "phi"]
"""An association by which pairs are chosen; `dice` is F1."""

_KINDS: dict[str, int] = {"jaccard": JACCARD, "dice": DICE, "phi": PHI}


class BothWays(NamedTuple):
    """Best partners of each side, by one coefficient."""

    a_to_b: Partners
    """Best partner in `b` of each latent of `a`, `[n]`; NaN and -1 for none."""
    b_to_a: Partners
    """Best partner in `a` of each latent of `b`, `[m]`; NaN and -1 for none."""

    @property
    def mean_a_to_b(self) -> float:
        """Mean over the latents of `a` that have a partner."""
        return self.a_to_b.similarity.nanmean().item()

    @property
    def mean_b_to_a(self) -> float:
        """Mean over the latents of `b` that have a partner."""
        return self.b_to_a.similarity.nanmean().item()

    @property
    def n_defined_a(self) -> int:
        """Latents of `a` that have a partner."""
        return int((self.a_to_b.partner >= 0).sum())

    @property
    def n_defined_b(self) -> int:
        """Latents of `b` that have a partner."""
        return int((self.b_to_a.partner >= 0).sum())


@dataclass(frozen=True)
class BestCofiring:
    """For each latent the one that fires most alike, by three coefficients."""

    jaccard: BothWays
    """By overlap of the firing sets."""
    f1: BothWays
    """By F1 (Dice); the same partners as by overlap, of which it is a function."""
    phi: BothWays
    """By correlation of the firing indicators."""
    firings_a: Tensor
    """Firings of each latent of `a`, `[n]`, int64."""
    firings_b: Tensor
    """Firings of each latent of `b`, `[m]`, int64."""
    n_samples: int
    """Samples looked at."""
    minimum: int
    """Firings that a latent needs to be compared."""

    @property
    def surviving_a(self) -> float:
        """Share of latents of `a` that fire often enough; NaN for no latents."""
        return surviving(self.firings_a, self.minimum)

    @property
    def surviving_b(self) -> float:
        """Share of latents of `b` that fire often enough; NaN for no latents."""
        return surviving(self.firings_b, self.minimum)


@dataclass(frozen=True)
class CofiringPairs:
    """Pairs of latents that fire alike, by row and then by column."""

    rows: Tensor
    """Latent of `a`, `[p]`, int64."""
    columns: Tensor
    """Latent of `b`, `[p]`, int64."""
    n11: Tensor
    """Samples on which both fire, `[p]`, int32."""
    value: Tensor
    """The coefficient, `[p]`, float64."""
    n_pairs: int
    """Pairs that were compared: all of which both sides fire often enough."""

    @property
    def share(self) -> float:
        """Share of the compared pairs that are kept; NaN for none."""
        return len(self.rows) / self.n_pairs if self.n_pairs else torch.nan


def best_cofiring(
    a: SparseCodes, b: SparseCodes, minimum: int = 10, *, report: Report | None = None
) -> BestCofiring:
    """Best partner of each latent by Jaccard, F1 and phi, both ways; holds some rows at a time.

    The entries are those of `jaccard` and `cofiring`, and ties go to the lowest index. `b` may be
    true features: then F1 from `b` to `a` tells whether each is detected. A latent that several
    others copy is the best partner of all of them: report both ways.

    Args:
        a: codes of `n` latents.
        b: codes of `m` latents on the same samples.
        minimum: firings that both sides need.
        report: called with the blocks that are done and all blocks.

    Returns:
        Best partners, and the firings of each latent; NaN for latents that fire too rarely.

    Raises:
        ShapeError: different samples, or a negative minimum.

    Source: one sparse Gram matrix, some rows at a time.
    """
    return _best(a, b, minimum, report, with_itself=False)


def best_cofiring_within(
    codes: SparseCodes, minimum: int = 10, *, report: Report | None = None
) -> BestCofiring:
    """Of each latent the other latent of the same SAE that fires most alike, by Jaccard, F1, phi.

    Args:
        codes: of `m` latents.
        minimum: firings that both sides need.
        report: called with the blocks that are done and all blocks.

    Returns:
        As `best_cofiring` of a table with itself without its diagonal; both ways are the same.

    Raises:
        ShapeError: a negative minimum.

    Source: one sparse Gram matrix, some rows at a time.
    """
    return _best(codes, codes, minimum, report, with_itself=True)


def cofiring_pairs(
    a: SparseCodes,
    b: SparseCodes,
    above: float,
    coefficient: Coefficient = "jaccard",
    minimum: int = 10,
    *,
    report: Report | None = None,
) -> CofiringPairs:
    """All pairs whose coefficient is above a threshold: candidates for a one-to-one matching.

    Args:
        a: codes of `n` latents.
        b: codes of `m` latents on the same samples.
        above: strict; at a low one there may be `n m` pairs.
        coefficient: `"jaccard"`, `"dice"` (F1) or `"phi"`.
        minimum: firings that both sides need.
        report: called with the blocks that are done and all blocks.

    Returns:
        The pairs, their joint firings and coefficient.

    Raises:
        ShapeError: different samples, a negative minimum, or an unknown coefficient.
        DataError: `above` is NaN.

    Source: one sparse Gram matrix, some rows at a time.
    """
    least = least_firings(minimum)
    if math.isnan(above):
        raise DataError("above=nan: expected the number that the coefficient of a pair must exceed")
    if coefficient not in _KINDS:
        raise ShapeError(f"coefficient={coefficient!r}: expected one of {', '.join(_KINDS)}")
    block = Block(_KINDS[coefficient], a, b, least)
    parts = list(
        over_count_blocks(a, b, lambda rows, counts: block.pairs(rows, counts, above), report)
    )
    none = block.n1.new_zeros(0).long()
    rows, columns = (torch.cat([none, *(part[i] for part in parts)]) for i in range(2))
    n11 = torch.cat([none.int(), *(part[2] for part in parts)])
    n_pairs = int((block.n1 >= block.minimum).sum()) * int((block.n2 >= block.minimum).sum())
    return CofiringPairs(rows, columns, n11, block.values(rows, columns, n11), n_pairs)


def _best(
    a: SparseCodes, b: SparseCodes, minimum: int, report: Report | None, with_itself: bool
) -> BestCofiring:
    least = least_firings(minimum)
    by_jaccard, by_phi = (Block(kind, a, b, least) for kind in (JACCARD, PHI))

    def best(rows: slice, counts: Tensor) -> list[tuple[Joint, Joint]]:
        return [block.best(rows, counts, with_itself) for block in (by_jaccard, by_phi)]

    jaccard, phi = _Merged(by_jaccard), _Merged(by_phi)
    for found in over_count_blocks(a, b, best, report):
        jaccard.add(*found[0])
        phi.add(*found[1])
    return BestCofiring(
        jaccard.both_ways(JACCARD),
        jaccard.both_ways(DICE),
        phi.both_ways(PHI),
        a.firings,
        b.firings,
        a.n_samples,
        least,
    )


class _Merged:
    """Best partners of both sides, from blocks of rows in order."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.rows: list[Joint] = []
        none = torch.full_like(block.n2, -1, dtype=torch.int64)
        self.columns = Joint(none, none.int())
        self.best = torch.full_like(block.n2, -math.inf)

    def add(self, rows: Joint, columns: Joint) -> None:
        """Take in the next block; earlier rows win ties."""
        self.rows.append(rows)
        value = self._values(columns, self.block.n2, self.block.n1, self.block.kind)
        better = value > self.best
        self.best = torch.where(better, value, self.best)
        self.columns = Joint(*(torch.where(better, x, y) for x, y in zip(columns, self.columns)))

    def both_ways(self, kind: int) -> BothWays:
        """The partners, with another coefficient that puts pairs in the same order."""
        none = Joint(self.columns.partner[:0], self.columns.n11[:0])
        rows = Joint(*(torch.cat(parts) for parts in zip(none, *self.rows)))
        n1, n2 = self.block.n1, self.block.n2
        return BothWays(
            Partners(self._values(rows, n1, n2, kind), rows.partner),
            Partners(self._values(self.columns, n2, n1, kind), self.columns.partner),
        )

    def _values(self, found: Joint, own: Tensor, other: Tensor, kind: int) -> Tensor:
        values = torch.full_like(own, torch.nan)
        has = found.partner >= 0
        pairs = cofiring(found.n11[has], own[has], other[found.partner[has]], self.block.n_samples)
        values[has] = coefficient_of(kind, pairs)
        return values
