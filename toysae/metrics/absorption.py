"""Parents whose latent falls silent where a child is active, because the child's latent has both.

A child feature is active only where its parent is. A sparse code saves a firing by writing the
parent into the direction of the child's latent. The parent's own latent then has exceptions that
nothing in the data explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from toysae.metrics._absorption.dual import dual_vectors
from toysae.metrics._absorption.firing_sets import Activations, indicators
from toysae.metrics._absorption.main_latents import (
    MIN_COSINE,
    MIN_SHARE,
    Pairs,
    detectors,
    is_active,
    main_latents,
)
from toysae.metrics._absorption.saebench_absorption import SaebenchAbsorption, saebench_absorption
from toysae.metrics._inputs import vectors
from toysae.metrics._progress import Report, reported
from toysae.metrics.groups import GroupSummary, by_group

__all__ = [
    "MIN_COSINE",
    "MIN_SHARE",
    "Absorption",
    "SaebenchAbsorption",
    "absorption",
    "saebench_absorption",
]


@dataclass(frozen=True)
class Absorption:
    """How far each parent is absorbed by its child; one entry a pair, `[k]`."""

    rate: Tensor
    """Share of the samples with parent and child on which the parent is absorbed; NaN without."""
    overall_rate: Tensor
    """The same of all samples with the parent."""
    recall_without_child: Tensor
    """Share of the samples with the parent and without the child on which it is detected."""
    recall_with_child: Tensor
    """Share of the samples with both on which the parent is detected."""
    recall: Tensor
    """Share of all samples with the parent on which it is detected."""
    absorber: Tensor
    """The latent that carries most of the parent on most of the absorbed samples with the child,
    int64; -1 for none."""
    main: tuple[tuple[int, ...], ...]
    """Latents that stand for the parent; without any nothing is defined."""
    n_both: Tensor
    """Samples with parent and child, int64."""

    @property
    def asymmetry(self) -> Tensor:
        """`recall(p | not c) - recall(p | c)`, `[k]`, in [-1, 1]; 0 for equal ones."""
        return self.recall_without_child - self.recall_with_child

    @property
    def n_defined(self) -> int:
        """Pairs with a main latent and samples with both features."""
        return int((~self.rate.isnan()).sum())

    @property
    def mean_rate(self) -> float:
        """Mean rate over defined pairs; NaN without any."""
        return self.rate.nanmean().item()

    @property
    def mean_asymmetry(self) -> float:
        """Mean asymmetry over defined pairs; NaN without any."""
        return self.asymmetry.nanmean().item()

    def by_group(self, groups: Mapping[str, Sequence[int]]) -> dict[str, GroupSummary]:
        """Mean rate in each group of pairs; see `groups.by_group`."""
        return by_group(self.rate, groups)


def absorption(
    coefficients: Activations,
    latents: Activations,
    features: Tensor,
    decoder: Tensor,
    pairs: Pairs,
    *,
    threshold: float = 0.0,
    report: Report | None = None,
) -> Absorption:
    """Share of samples with parent and child on which another latent carries the parent.

    The parent `p` is absorbed on a sample where it is active, all of its main latents are silent,
    and some other latent `j` writes at least 0.4 of it: `z_j <d_j, f_p^dual> >= 0.4 c_p`. Dual
    vectors (rows of `pinv(F)^T`) read the parent without the interference of other features.
    Main latents have a cosine above 0.7 with `f_p` and the best F1 for it on samples without its
    children; several, where each adds 0.03 to the F1 of their union.

    Args:
        coefficients: truth `[N, n]`, as a table or by what fires.
        latents: activations `[N, m]` on the same samples.
        features: truth `[n, d]`, of the lengths that the coefficients belong to.
        decoder: learned `[m, d]`, of the lengths that the activations belong to.
        pairs: features as (parent, child), `k` of them; children of a parent may be many.
        threshold: absolute activation above which a latent fires, strictly.
        report: told how many pairs are done.

    Returns:
        Rates in [0, 1], 0 is best, asymmetries in [-1, 1], and main latents. NaN for a pair whose
        parent no latent stands for (it is missing, not absorbed), or that never occurs together.

    Raises:
        ShapeError: different samples, sizes that do not fit together, or a feature not there.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: Chanin et al. 2024 (arXiv 2409.14507); with true features instead of probes.
    """
    truth, codes, cosine = detectors(coefficients, latents, features, decoder, pairs, threshold)
    active, fired = indicators(truth), indicators(codes)
    main = main_latents(active, fired, cosine, pairs)
    reading = (vectors(decoder, "decoder") @ dual_vectors(vectors(features, "features")).T).cpu()
    by_sample = codes.tocsr()
    found = [
        _absorbed(truth, active, by_sample, fired, reading[:, p].numpy(), main[p], p, c)
        for p, c in reported(pairs, len(pairs), report)
    ]
    table = torch.tensor(found, dtype=torch.float64).reshape(len(pairs), 7)
    rate, overall, without_child, with_child, recall, absorber, n_both = table.unbind(dim=1)
    return Absorption(
        rate=rate,
        overall_rate=overall,
        recall_without_child=without_child,
        recall_with_child=with_child,
        recall=recall,
        absorber=absorber.long(),
        main=tuple(tuple(main[p]) for p, _ in pairs),
        n_both=n_both.long(),
    )


def _absorbed(
    truth: csc_array,
    active: csc_array,
    codes: csr_array,
    fired: csc_array,
    reading: NDArray[np.float64],
    main: list[int],
    parent: int,
    child: int,
) -> list[float]:
    """Rates, recalls, the absorber and the number of samples with both, as `Absorption` has."""
    present, with_child = is_active(active, parent), is_active(active, child)
    both = present & with_child
    if not main:
        return [np.nan] * 5 + [-1, both.sum()]
    detected = fired[:, main].sum(axis=1) > 0
    rows = np.flatnonzero(present & ~detected)
    carried = codes[rows].multiply(reading[None, :]).tocsr()
    largest = carried.max(axis=1).toarray().ravel()
    needed = MIN_SHARE * truth[:, [parent]].toarray().ravel()[rows]
    absorbed = np.zeros(len(present), dtype=bool)
    taken = (largest > 0) & (largest >= needed)
    absorbed[rows] = taken
    by = np.asarray(carried.argmax(axis=1)).ravel()[taken & with_child[rows]]
    return [
        _share(absorbed, both),
        _share(absorbed, present),
        _share(detected, present & ~with_child),
        _share(detected, both),
        _share(detected, present),
        float(np.bincount(by).argmax()) if len(by) else -1,
        float(both.sum()),
    ]


def _share(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    n = among.sum()
    return float((chosen & among).sum() / n) if n else np.nan
