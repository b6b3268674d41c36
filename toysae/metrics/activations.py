"""How often latents fire, and how often together.

A latent fires on a sample where its absolute activation is strictly above a threshold: 0 for
latents that are exactly zero when silent, a small positive number for ReLU latents with long tails
of tiny values. Tables are `[samples, latents]`. Everything here is invariant to the order of
samples and, but for the cut on rare latents, to repeating all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._directions import row_blocks
from toysae.metrics._inputs import (
    finite,
    refuse_non_finite,
    require_axes,
    require_bool,
    require_same_samples,
)
from toysae.metrics._tables import Assignment, assign, best_along_rows

_SAMPLES_AT_ONCE = 8192


class FiringCounts(NamedTuple):
    """How often each pair fires together, and each alone; what `cofiring` takes."""

    n11: Tensor
    """Samples on which both fire, `[n, m]`, int64."""
    n1: Tensor
    """Samples on which the first fires, `[n, 1]`, int64."""
    n2: Tensor
    """Samples on which the second fires, `[1, m]`, int64."""
    n_samples: int
    """Samples."""


@dataclass(frozen=True)
class Density:
    """How often each latent fires."""

    frequency: Tensor
    """Share of samples on which each latent fires, `[m]`; NaN without samples."""
    n_samples: int
    """Samples looked at; a dead latent is dead on these."""

    @property
    def dead(self) -> Tensor:
        """Latents that never fire, bool `[m]`; all False without samples."""
        return self.frequency == 0

    @property
    def n_dead(self) -> int:
        """Number of dead latents."""
        return int(self.dead.sum())

    @property
    def mean(self) -> float:
        """Mean frequency over latents."""
        return self.frequency.mean().item()


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
        return (self.firings_a >= max(self.minimum, 1)).double().mean().item()

    @property
    def surviving_b(self) -> float:
        """Share of latents of `b` that fire often enough; NaN for no latents."""
        return (self.firings_b >= max(self.minimum, 1)).double().mean().item()

    @property
    def mean_a_to_b(self) -> float:
        """Mean best overlap from `a` to `b`, over surviving latents."""
        return self.a_to_b.nanmean().item()

    @property
    def mean_b_to_a(self) -> float:
        """Mean best overlap from `b` to `a`, over surviving latents."""
        return self.b_to_a.nanmean().item()


@dataclass(frozen=True)
class Cofiring:
    """Association of two firing indicators, each float64 of the shape of the counts."""

    jaccard: Tensor
    """`n11 / (n1 + n2 - n11)`, in [0, 1]; NaN if neither ever fires."""
    dice: Tensor
    """`2 n11 / (n1 + n2)`, in [0, 1]; NaN if neither ever fires."""
    overlap: Tensor
    """`n11 / min(n1, n2)`, in [0, 1]; NaN if either never fires."""
    phi: Tensor
    """Pearson correlation of the indicators, in [-1, 1]; NaN if either is constant."""
    lift: Tensor
    """`n11 N / (n1 n2)`, 1 for independence, at least 0; NaN if either never fires."""
    second_given_first: Tensor
    """`n11 / n1`, in [0, 1]; NaN if the first never fires."""
    first_given_second: Tensor
    """`n11 / n2`, in [0, 1]; NaN if the second never fires."""


def fires(activations: Tensor, threshold: float = 0.0) -> Tensor:
    """Firing indicators `|activation| > threshold`, bool, of the shape of `activations`.

    Args:
        activations: latents or coefficients `[N, m]`.
        threshold: strict, at least 0.

    Returns:
        Bool `[N, m]` on the same device.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, or a threshold that is negative or not finite.
    """
    require_axes(activations, "activations", "[samples, latents]")
    if not (0 <= threshold < math.inf):
        raise DataError(f"threshold={threshold}: expected a finite number of at least 0")
    fired = torch.empty_like(activations, dtype=torch.bool)
    for rows in row_blocks(len(activations), _SAMPLES_AT_ONCE):
        fired[rows] = finite(activations[rows], "activations").abs() > threshold
    return fired


def firing_counts(fires_a: Tensor, fires_b: Tensor) -> FiringCounts:
    """Joint and single firing counts of two tables of the same samples.

    Args:
        fires_a: bool `[N, n]`, as `fires` gives.
        fires_b: bool `[N, m]`.

    Returns:
        Exact counts that broadcast to `[n, m]`.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: not bool.
    """
    for value, name in ((fires_a, "fires_a"), (fires_b, "fires_b")):
        require_axes(value, name, "[samples, latents]")
        require_bool(value, name, tuple(value.shape))
    require_same_samples(fires_a, fires_b, ("fires_a", "fires_b"))
    n_samples = len(fires_a)
    shape = (fires_a.shape[1], fires_b.shape[1])
    joint = torch.zeros(shape, dtype=torch.long, device=fires_a.device)
    for rows in row_blocks(n_samples, _SAMPLES_AT_ONCE):
        # Sums of zeros and ones are exact in float32 up to 2^24.
        joint += (fires_a[rows].float().T @ fires_b[rows].float()).long()
    return FiringCounts(joint, fires_a.sum(0)[:, None], fires_b.sum(0)[None, :], n_samples)


def density(latents: Tensor, threshold: float = 0.0) -> Density:
    """Share of samples on which each latent fires, `#{t: |z_tj| > threshold} / N`, in [0, 1].

    Args:
        latents: activations `[N, m]`.
        threshold: strict.

    Returns:
        The frequency of each latent; NaN for `N = 0`.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity.
    """
    fired = fires(latents, threshold)
    return Density(fired.sum(dim=0).double() / len(fired), len(fired))


def mean_l0(latents: Tensor, threshold: float = 0.0) -> float:
    """Mean number of latents that fire on a sample; exactly the sum of `density`. At least 0.

    Args:
        latents: activations `[N, m]`.
        threshold: strict.

    Returns:
        The mean; NaN for `N = 0`.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity.
    """
    return fires(latents, threshold).sum(dim=1).double().mean().item()


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
    """
    if minimum < 0:
        raise ShapeError(f"minimum={minimum}: expected a count of at least 0")
    counts = firing_counts(fires_a, fires_b)
    enough = (counts.n1 >= max(minimum, 1)) & (counts.n2 >= max(minimum, 1))
    table = _overlap(counts.n11.double(), counts.n1, counts.n2).masked_fill_(~enough, torch.nan)
    return JaccardTable(
        table,
        counts.n1[:, 0],
        counts.n2[0, :],
        minimum,
        *best_along_rows(table),
        *best_along_rows(table.T),
        matching=assign(table),
    )


def cofiring(
    n11: Tensor | int, n1: Tensor | int, n2: Tensor | int, n_samples: Tensor | int
) -> Cofiring:
    """Association of firing indicators from their counts, elementwise.

    Swapping `n1` and `n2` swaps the two conditional probabilities and leaves the rest. With `phi`
    the chi-squared statistic of the table is `N phi^2`, and `dice = 2 J / (1 + J)`.

    Args:
        n11: samples on which both fire.
        n1: samples on which the first fires.
        n2: samples on which the second fires.
        n_samples: samples, `N`.

    Returns:
        The coefficients, of the shape that the counts broadcast to; NaN where undefined.

    Raises:
        DataError: counts that no table of samples has.
    """
    counts = (n11, n1, n2, n_samples)
    device = next((x.device for x in counts if isinstance(x, Tensor)), None)
    both, first, second, total = torch.broadcast_tensors(
        *(torch.as_tensor(x, dtype=torch.float64, device=device) for x in counts)
    )
    possible = (both >= 0) & (both <= torch.minimum(first, second))
    if not bool((possible & (first + second - both <= total)).all()):
        raise DataError(
            "counts do not fit together: expected 0 <= n11 <= min(n1, n2) "
            "and n1 + n2 - n11 <= n_samples"
        )
    variances = (first * (total - first)).sqrt() * (second * (total - second)).sqrt()
    return Cofiring(
        jaccard=_overlap(both, first, second),
        dice=2 * both / (first + second),
        overlap=both / torch.minimum(first, second),
        phi=((both * total - first * second) / variances).clamp(-1, 1),
        lift=both * total / (first * second),
        second_given_first=both / first,
        first_given_second=both / second,
    )


def expected_jaccard(p1: Tensor | float, p2: Tensor | float) -> Tensor:
    """Chance level of the Jaccard overlap, `p1 p2 / (p1 + p2 - p1 p2)`; in [0, 1].

    What independent latents reach on many samples; on few the exact mean is slightly higher.

    Args:
        p1: firing probabilities of the first.
        p2: firing probabilities of the second.

    Returns:
        The level, float64, elementwise; NaN where both are 0.

    Raises:
        DataError: NaN, or outside [0, 1].
    """
    first, second = (torch.as_tensor(p, dtype=torch.float64) for p in (p1, p2))
    for p, name in ((first, "p1"), (second, "p2")):
        refuse_non_finite(p, name)
        if bool(((p < 0) | (p > 1)).any()):
            raise DataError(f"{name} leaves [0, 1]: expected firing probabilities")
    joint = first * second
    return joint / (first + second - joint)


def _overlap(n11: Tensor, n1: Tensor, n2: Tensor) -> Tensor:
    return n11 / (n1 + n2 - n11)
