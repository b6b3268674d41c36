"""What the published packages call alive and L0; for comparison with their numbers only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._firing.firing import require_threshold
from toysae.metrics.codes import SparseCodes

_LOGAN_FIRINGS = 10


@dataclass(frozen=True)
class AliveDefinitions:
    """Latents that are alive on the same samples, by the package that says so; bool `[m]` each."""

    e2e_sae: Tensor
    """At least one non-zero activation on the evaluation tokens (e2e_sae)."""
    saebench: Tensor
    """At least one positive activation: `frac_alive` is the share with a density above 0."""
    dictionary_learning: Tensor
    """A sum of activations other than 0: where they are signed, a living latent can cancel."""
    logan: Tensor
    """At least 10 non-zero activations (the plots of Logan Riggs)."""
    n_samples: int
    """Samples looked at."""

    @property
    def shares(self) -> Tensor:
        """Share of latents that are alive by each, in the order above, `[4]`; NaN for none."""
        masks = (self.e2e_sae, self.saebench, self.dictionary_learning, self.logan)
        return torch.stack([mask.double().mean() for mask in masks])


@dataclass(frozen=True)
class L0Definitions:
    """Mean number of active latents on a sample by the packages; NaN without samples."""

    nonzero: float
    """`z != 0` (SAELens since 6.54.12, for AbsTopK)."""
    positive: float
    """`z > 0` (SAELens up to 6.50.0, densities of SAEBench)."""
    above_threshold: float
    """`|z| > threshold`, as `mean_l0`."""


def alive_by_definition(latents: Tensor | SparseCodes) -> AliveDefinitions:
    """Which latents are alive by the definitions of e2e_sae, SAEBench, dictionary_learning, Logan.

    They differ for signed activations and for latents that fire 1 to 9 times.

    Args:
        latents: activations `[N, m]`, all that are not 0.

    Returns:
        One mask a definition; without samples nothing is alive.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity.

    Source: e2e_sae; SAEBench; dictionary_learning; Logan Riggs.
    """
    codes = _codes(latents)
    firings, n = codes.firings, codes.n_latents
    positive = torch.bincount(codes.latents[codes.values > 0], minlength=n)
    sums = torch.zeros(n, dtype=torch.float64, device=firings.device)
    sums.index_add_(0, codes.latents, codes.values.double())
    return AliveDefinitions(
        firings > 0, positive > 0, sums != 0, firings >= _LOGAN_FIRINGS, codes.n_samples
    )


def l0_by_definition(latents: Tensor | SparseCodes, threshold: float = 1e-3) -> L0Definitions:
    """Mean number of active latents on a sample, as `z != 0`, `z > 0` and `|z| > threshold`.

    Args:
        latents: activations `[N, m]`, all that are not 0.
        threshold: strict.

    Returns:
        The three means, at least 0; NaN without samples.

    Raises:
        ShapeError: not two axes.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: SAELens 6.54.12; SAELens 6.50.0 and SAEBench; with a threshold.
    """
    require_threshold(threshold)
    values = _codes(latents).values.double()
    n_samples = latents.n_samples if isinstance(latents, SparseCodes) else len(latents)
    active = (values != 0, values > 0, values.abs() > threshold)
    return L0Definitions(
        *(int(which.sum()) / n_samples if n_samples else math.nan for which in active)
    )


def _codes(latents: Tensor | SparseCodes) -> SparseCodes:
    return latents if isinstance(latents, SparseCodes) else SparseCodes.from_dense(latents)
