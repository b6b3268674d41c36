"""How often latents fire, and which are dead, dense, or one of an antipodal pair.

A latent fires on a sample where its absolute activation is strictly above a threshold: 0 for
latents that are exactly zero when silent, a small positive number for ReLU latents with long tails
of tiny values. Tables are `[samples, latents]`, or `SparseCodes`, which hold nothing below the
threshold that they were made with. All of it is invariant to the order of samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._firing.antipodal import AntipodalPairs, antipodal_pairs
from toysae.metrics._firing.firing import SAMPLES_AT_ONCE, fires, require_threshold
from toysae.metrics._firing.published_firing import (
    AliveDefinitions,
    L0Definitions,
    alive_by_definition,
    l0_by_definition,
)
from toysae.metrics._inputs import finite, require_axes, require_same_width
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics.codes import SparseCodes

__all__ = [
    "AliveDefinitions",
    "AntipodalPairs",
    "DenseLatents",
    "Density",
    "DensityHistogram",
    "L0Definitions",
    "alive_by_definition",
    "antipodal_pairs",
    "dead_upper_bound",
    "dense_latents",
    "density",
    "density_histogram",
    "fires",
    "l0_by_definition",
    "mean_l0",
    "mean_weighted_l1",
]


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
class DensityHistogram:
    """Histogram of log10 frequencies, with the latents that never fire apart."""

    edges: Tensor
    """Edges of the bins, `[bins + 1]`, from `log10(.5 / N)` to 0."""
    counts: Tensor
    """Latents that fire, in each bin, `[bins]`, int64; the upper edge is in the last bin."""
    n_zero: int
    """Latents that never fire; they are in no bin."""
    log10_frequency: Tensor
    """`log10(max(frequency, .5 / N))` of each latent, `[m]`: silent ones stand at the floor."""


@dataclass(frozen=True)
class DenseLatents:
    """Latents that fire on a large share of samples."""

    mask: Tensor
    """Bool `[m]`."""
    above: float
    """Frequency above which a latent is dense, strictly."""
    share_of_latents: float
    """Share of latents that are dense; NaN without latents or samples."""
    share_of_density: float
    """Share of all firings that are of dense latents; NaN without firings."""

    @property
    def n_dense(self) -> int:
        """Number of dense latents."""
        return int(self.mask.sum())


def density(latents: Tensor | SparseCodes, threshold: float = 0.0) -> Density:
    """Share of samples on which each latent fires, `#{t: |z_tj| > threshold} / N`, in [0, 1].

    Args:
        latents: activations `[N, m]`.
        threshold: strict.

    Returns:
        The frequency of each latent; NaN for `N = 0`.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: textbook.
    """
    if isinstance(latents, SparseCodes):
        firings, n_samples = _firings_of_codes(latents, threshold), latents.n_samples
    else:
        fired = fires(latents, threshold)
        n_samples = len(fired)
        firings = torch.zeros(fired.shape[1], dtype=torch.long, device=fired.device)
        for rows in row_blocks(n_samples, SAMPLES_AT_ONCE):
            firings += fired[rows].float().sum(dim=0).long()
    return Density(firings.double() / n_samples, n_samples)


def _firings_of_codes(codes: SparseCodes, threshold: float) -> Tensor:
    require_threshold(threshold)
    loud = codes.values.double().abs() > threshold
    return torch.bincount(codes.latents[loud], minlength=codes.n_latents)


def mean_l0(latents: Tensor | SparseCodes, threshold: float = 0.0) -> float:
    """Mean number of latents that fire on a sample; exactly the sum of `density`. At least 0.

    Args:
        latents: activations `[N, m]`.
        threshold: strict.

    Returns:
        The mean; NaN for `N = 0`.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: textbook.
    """
    if isinstance(latents, SparseCodes):
        n_firings = int(_firings_of_codes(latents, threshold).sum())
        return n_firings / latents.n_samples if latents.n_samples else math.nan
    return fires(latents, threshold).float().sum(dim=1).double().mean().item()


def mean_weighted_l1(latents: Tensor | SparseCodes, decoder: Tensor) -> float:
    """Mean over samples of `sum_j |z_tj| |d_j|`, the L1 that rescaling latents cannot change.

    `z_j s` with `d_j / s` is the same SAE; its plain L1 is not. At least 0.

    Args:
        latents: activations `[N, m]`.
        decoder: `[m, d]`, rows are vectors.

    Returns:
        The mean; NaN for `N = 0`.

    Raises:
        ShapeError: not two axes, or not one row of the decoder a latent.
        DataError: NaN or infinity.

    Source: invariant to z_j s with d_j / s, as plain L1 is not.
    """
    require_axes(decoder, "decoder", "[latents, dimensions]")
    lengths = torch.linalg.vector_norm(finite(decoder, "decoder"), dim=1)
    if isinstance(latents, SparseCodes):
        require_same_width(lengths[None], torch.empty(1, latents.n_latents), ("decoder", "latents"))
        terms = finite(latents.values, "latents").abs() * lengths[latents.latents]
        return terms.sum().item() / latents.n_samples if latents.n_samples else math.nan
    require_axes(latents, "latents", "[samples, latents]")
    require_same_width(lengths[None], latents, ("decoder", "latents"))
    per_sample = finite(latents, "latents").abs() @ lengths
    return per_sample.mean().item()


def dead_upper_bound(n_samples: int, confidence: float = 0.95) -> float:
    """Exact upper bound of the frequency of a latent that was silent on all of `n_samples`.

    `1 - (1 - confidence)^(1 / N)`, in [0, 1]: rarer latents are silent with a higher probability
    than `1 - confidence`. "Dead" says no more than this.

    Args:
        n_samples: samples, `N`.
        confidence: in (0, 1).

    Returns:
        The bound; 1 for `N = 0`.

    Raises:
        DataError: a negative number of samples, or a confidence outside (0, 1).

    Source: Clopper and Pearson 1934.
    """
    if n_samples < 0:
        raise DataError(f"n_samples={n_samples}: expected at least 0")
    if not 0 < confidence < 1:
        raise DataError(f"confidence={confidence}: expected a number in (0, 1)")
    return -math.expm1(math.log1p(-confidence) / n_samples) if n_samples else 1.0


def density_histogram(found: Density, bins_per_decade: int = 4) -> DensityHistogram:
    """Histogram of `log10` frequencies from the floor `.5 / N` up, latents at 0 apart.

    Args:
        found: what `density` gave.
        bins_per_decade: bins a factor of 10, the last decade rounded up; all are equally wide.

    Returns:
        Edges, counts, and the values that they are counts of.

    Raises:
        DataError: no samples, or less than one bin a decade.

    Source: textbook; the floor is half a firing.
    """
    if found.n_samples < 1:
        raise DataError("a histogram of frequencies needs at least one sample")
    if bins_per_decade < 1:
        raise DataError(f"bins_per_decade={bins_per_decade}: expected at least 1")
    floor = math.log10(0.5 / found.n_samples)
    bins = math.ceil(-floor * bins_per_decade)
    edges = torch.linspace(floor, 0, bins + 1, dtype=torch.float64)
    logarithms = found.frequency.clamp(min=0.5 / found.n_samples).log10()
    # Edges belong to the bin above them, but for the last.
    index = torch.bucketize(logarithms[~found.dead].cpu(), edges[1:-1], right=True)
    counts = torch.bincount(index, minlength=bins)
    return DensityHistogram(edges, counts, found.n_dead, logarithms)


def dense_latents(found: Density, above: float = 0.1) -> DenseLatents:
    """Latents that fire on more than a share `above` of the samples, and the firings they take.

    SAEBench reports .1 and .01. Dense latents are often real, as antipodal pairs that cut one
    direction in two: see `antipodal_pairs` before any are dropped.

    Args:
        found: what `density` gave.
        above: strict.

    Returns:
        The mask, and the shares of latents and of all firings, in [0, 1].

    Raises:
        DataError: `above` outside [0, 1].

    Source: SAEBench; Sun et al. 2025, arXiv 2506.15679.
    """
    if not 0 <= above <= 1:
        raise DataError(f"above={above}: expected a share of the samples in [0, 1]")
    mask = found.frequency > above
    total = found.frequency.sum()
    defined = ~found.frequency.isnan()
    return DenseLatents(
        mask,
        above,
        share_of_latents=mask[defined].double().mean().item(),
        share_of_density=(found.frequency[mask].sum() / total).item(),
    )
