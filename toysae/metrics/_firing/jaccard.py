"""Overlap of the firing sets of all pairs, with three ways to deal with rare latents."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nan

from toysae.metrics._firing.association import cofiring
from toysae.metrics._firing.firing import FiringCounts, firing_counts, least_firings
from toysae.metrics._tables import Assignment, assign, best_along_rows


@dataclass(frozen=True)
class JaccardTable:
    """Overlap of the firing sets of two groups of latents."""

    jaccard: Tensor
    """`[n, m]`; NaN where either side fires fewer than `minimum` times."""
    firings_a: Tensor
    """Firings of each latent of `a`, `[n]`, int64."""
    firings_b: Tensor
    """Firings of each latent of `b`, `[m]`, int64."""
    minimum: int
    """Firings that a latent needs to be compared."""
    a_to_b: Tensor
    """Best overlap of each latent of `a`, `[n]`; NaN for none."""
    a_to_b_index: Tensor
    """Latent of `b` it is reached at, `[n]`; -1 for none."""
    b_to_a: Tensor
    """Best overlap of each latent of `b`, `[m]`; NaN for none."""
    b_to_a_index: Tensor
    """Latent of `a` it is reached at, `[m]`; -1 for none."""
    matching: Assignment
    """One-to-one matching with the largest total overlap."""

    @property
    def surviving_a(self) -> float:
        """Share of latents of `a` that fire often enough; NaN for no latents."""
        return surviving(self.firings_a, self.minimum)

    @property
    def surviving_b(self) -> float:
        """Share of latents of `b` that fire often enough; NaN for no latents."""
        return surviving(self.firings_b, self.minimum)

    @property
    def mean_a_to_b(self) -> float:
        """Mean best overlap from `a` to `b`, over surviving latents."""
        return self.a_to_b.nanmean().item()

    @property
    def mean_b_to_a(self) -> float:
        """Mean best overlap from `b` to `a`, over surviving latents."""
        return self.b_to_a.nanmean().item()


def surviving(firings: Tensor, minimum: int) -> float:
    """Share of latents that fire at least `minimum` times; NaN for no latents."""
    return (firings >= minimum).double().mean().item()


def jaccard(fires_a: Tensor, fires_b: Tensor, minimum: int = 10) -> JaccardTable:
    """Overlap of firing sets, `|T_i & T_j| / |T_i | T_j|`, for all pairs; in [0, 1].

    A latent that fires once overlaps by 0 or 1, and the best of thousands of such is 1. So both
    sides must fire at least `minimum` times; that cut removes the very latents that are least
    stable, hence the surviving shares must be reported with it. Swapping the arguments transposes.

    Args:
        fires_a: bool `[N, n]`, as `fires` gives.
        fires_b: bool `[N, m]` on the same samples.
        minimum: firings that a latent needs.

    Returns:
        The table, its best entries both ways and its best one-to-one matching; NaN where a latent
        fires too rarely (always where it never fires).

    Raises:
        ShapeError: not two axes, different samples, or a negative minimum.
        DataError: not bool.

    Source: Jaccard 1901.
    """
    least = least_firings(minimum)
    counts = firing_counts(fires_a, fires_b)
    return _table(counts, cofiring(*counts).jaccard, least)


def wilson_jaccard(fires_a: Tensor, fires_b: Tensor, confidence: float = 0.95) -> JaccardTable:
    """Lower end of the Wilson interval of the overlap, for all pairs; in [0, 1].

    `jaccard` without its cut: one firing in common out of one counts .207, nine out of ten .596, a
    hundred out of a hundred .963. All latents that fire are compared. Below `jaccard` everywhere.

    Args:
        fires_a: bool `[N, n]`, as `fires` gives.
        fires_b: bool `[N, m]` on the same samples.
        confidence: of the interval, in (0, 1).

    Returns:
        As `jaccard`, with a minimum of one firing.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: not bool, or a confidence outside (0, 1).

    Source: Wilson 1927.
    """
    counts = firing_counts(fires_a, fires_b)
    return _table(counts, cofiring(*counts).jaccard_wilson(confidence), 1)


def shrunken_jaccard(fires_a: Tensor, fires_b: Tensor, strength: float = 10.0) -> JaccardTable:
    """Overlap shrunk to its chance level, `(n11 + s J0) / (|T_i | T_j| + s)`, for all pairs.

    `J0` is `expected_jaccard` of the two frequencies; in [0, 1]. `jaccard` without its cut.

    Args:
        fires_a: bool `[N, n]`, as `fires` gives.
        fires_b: bool `[N, m]` on the same samples.
        strength: samples `s` that the chance level counts as; positive.

    Returns:
        As `jaccard`, with a minimum of one firing.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: not bool, or a strength that is not positive.

    Source: beta prior with mean J0 and weight s.
    """
    counts = firing_counts(fires_a, fires_b)
    return _table(counts, cofiring(*counts).jaccard_shrunk(strength), 1)


def _table(counts: FiringCounts, table: Tensor, minimum: int) -> JaccardTable:
    enough = (counts.n1 >= minimum) & (counts.n2 >= minimum)
    table = table.masked_fill(~enough, nan)
    return JaccardTable(
        table,
        counts.n1.flatten(),
        counts.n2.flatten(),
        minimum,
        *best_along_rows(table),
        *best_along_rows(table.T),
        matching=assign(table),
    )
