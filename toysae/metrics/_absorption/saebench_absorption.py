"""Absorption as SAEBench scores it, for comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._absorption.firing_sets import Activations, indicators
from toysae.metrics._absorption.main_latents import (
    MIN_SHARE,
    Pairs,
    detectors,
    is_active,
    main_latents,
)
from toysae.metrics._directions import unit_rows
from toysae.metrics._inputs import vectors
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks, rows_within

# SAEBench 0.6.0.
_FULL_COSINE = 0.025
_FRACTION_COSINE = 0.1
_ABSORBERS = 3
_SILENT = 1e-8

_ENTRIES_AT_ONCE = 2**22


@dataclass(frozen=True)
class SaebenchAbsorption:
    """The two scores of SAEBench, with true features for probes; one entry a pair, `[k]`."""

    fraction: Tensor
    """Mean absorption fraction over samples with parent and child; NaN without."""
    overall_fraction: Tensor
    """The same over all samples with the parent."""
    full: Tensor
    """Share of the samples with parent and child that are absorbed fully; NaN without."""
    overall_full: Tensor
    """The same of all samples with the parent."""
    main: tuple[tuple[int, ...], ...]
    """Latents that stand for the parent; without any nothing is defined."""

    @property
    def mean_fraction(self) -> float:
        """Mean fraction over defined pairs; NaN without any."""
        return self.fraction.nanmean().item()

    @property
    def mean_full(self) -> float:
        """Mean share of full absorption over defined pairs; NaN without any."""
        return self.full.nanmean().item()


def saebench_absorption(
    coefficients: Activations,
    latents: Activations,
    features: Tensor,
    decoder: Tensor,
    hidden: Tensor,
    pairs: Pairs,
    *,
    threshold: float = 0.0,
    report: Report | None = None,
) -> SaebenchAbsorption:
    """Absorption fraction and full absorption as SAEBench computes them, for comparison.

    With the projections `P = <h, f_p>`, `P_j = z_j cos(d_j, f_p)` and `M = sum of P_j over main
    latents`, of unit `f_p`, and `A` the sum of the three largest positive `P_j` of other latents
    with a cosine of at least 0.1: the fraction is 0 if `M >= P` or `A < 0.4 P`, else 1 if
    `M <= 0`, else `a / (a + M)` with `a = min(A, P - M)`. Absorption is full if all main latents
    are below 1e-8, the latent of largest `P_j` has a cosine of at least 0.025, and `P_j >= 0.4 P`.

    Other than in SAEBench the probe is the true direction, main latents are those of
    `absorption`, and samples with `P = 0` count as not absorbed instead of failing. As there, the
    interference of other features counts, and decoder rows are taken for unit vectors.

    Args:
        coefficients: truth `[N, n]`, as a table or by what fires.
        latents: activations `[N, m]` on the same samples.
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        hidden: what the SAE saw, `[N, d]`.
        pairs: features as (parent, child), `k` of them.
        threshold: absolute activation above which a latent fires, strictly.
        report: told how many pairs are done.

    Returns:
        Both scores, in [0, 1], 0 is best; NaN as for `absorption`.

    Raises:
        ShapeError: different samples, sizes that do not fit together, or a feature not there.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: SAEBench 0.6.0, `FeatureAbsorptionCalculator`; Chanin et al. 2024 (arXiv 2409.14507).
    """
    truth, codes, cosine = detectors(coefficients, latents, features, decoder, pairs, threshold)
    x = vectors(hidden, "hidden")
    if tuple(x.shape) != (truth.shape[0], features.shape[1]):
        raise ShapeError(
            f"hidden has shape {tuple(x.shape)}: expected {[truth.shape[0], features.shape[1]]}"
        )
    active = indicators(truth)
    main = main_latents(active, indicators(codes), cosine, pairs)
    unit = unit_rows(features, "features")
    probes = unit.spread(unit.unit, 0.0)
    by_sample = codes.tocsr()
    found = []
    for p, c in reported(pairs, len(pairs), report):
        rows = np.flatnonzero(is_active(active, p))
        projected = (x[rows] @ probes[p]).cpu()
        scores = _saebench(
            by_sample, rows, cosine[:, p].nan_to_num(nan=0.0).cpu(), projected, main[p]
        )
        with_child = torch.from_numpy(is_active(active, c)[rows])
        found.append([part.mean().item() for s in scores for part in (s[with_child], s)])
    table = torch.tensor(found, dtype=torch.float64).reshape(len(pairs), 4)
    fraction, overall_fraction, full, overall_full = table.unbind(dim=1)
    return SaebenchAbsorption(
        fraction, overall_fraction, full, overall_full, tuple(tuple(main[p]) for p, _ in pairs)
    )


def _saebench(
    codes: csr_array, rows: NDArray[np.int64], cosine: Tensor, projected: Tensor, main: list[int]
) -> tuple[Tensor, Tensor]:
    """Absorption fraction and full absorption on each of the samples `rows`."""
    fraction = torch.full((len(rows),), torch.nan, dtype=torch.float64)
    full = fraction.clone()
    block = rows_within(_ENTRIES_AT_ONCE, codes.shape[1])
    for some in row_blocks(len(rows) if main else 0, block):
        z = torch.from_numpy(codes[rows[some]].toarray())
        fraction[some], full[some] = _saebench_block(z, cosine, projected[some], main)
    return fraction, full


def _saebench_block(
    z: Tensor, cosine: Tensor, projected: Tensor, main: list[int]
) -> tuple[Tensor, Tensor]:
    parts = z * cosine
    by_main = parts[:, main].sum(dim=1)
    others = parts.clamp(min=0) * (cosine >= _FRACTION_COSINE)
    others[:, main] = 0
    absorbers = others.topk(min(_ABSORBERS, z.shape[1]), dim=1).values.sum(dim=1)
    taken = torch.minimum(absorbers, projected - by_main)
    fraction = torch.where(by_main <= 0, 1.0, taken / (taken + by_main)).clamp(0, 1)
    little = (by_main >= projected) | (absorbers < MIN_SHARE * projected)
    top, latent = parts.max(dim=1)
    silent = (z[:, main].abs() < _SILENT).all(dim=1)
    aligned = cosine[latent] >= _FULL_COSINE
    full = silent & aligned & (projected > 0) & (top >= MIN_SHARE * projected)
    return fraction.masked_fill(little, 0.0), full.double()
