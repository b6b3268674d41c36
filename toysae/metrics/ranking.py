"""How well the activations of latents rank the samples on which features are active.

Detection without a threshold. Most activations are 0, and those tie: only the others are sorted, so
a pair costs as much as the latent fires, and the result is the one of scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from torch import Tensor

from toysae.metrics._detection.columns import (
    Activations,
    both_by_samples,
    counts_by_column,
    device_of,
    require_pairs,
)
from toysae.metrics._detection.ranking_kernel import sweep_all, sweep_pair
from toysae.metrics._progress import Report, reported

_REPORTED_AT_ONCE = 256


@dataclass(frozen=True)
class Ranking:
    """Latents as rankings of the samples by features: `[k]` pairs, or a table `[n, m]`."""

    auroc: Tensor
    """Area under the ROC curve; NaN for a feature that is never or always active."""
    average_precision: Tensor
    """Mean precision at the active samples; NaN for a feature that is never active."""
    best_f1: Tensor
    """Largest F1 of any threshold; NaN for a feature that is never active."""
    best_cut: Tensor
    """Activation from which on (inclusive) the latent fires there, the highest; NaN likewise."""
    positives: Tensor
    """Samples on which the feature is active, int64, `[k]` or `[n, 1]`."""
    n_samples: int
    """Samples looked at."""

    @property
    def n_defined(self) -> int:
        """Pairs with an AUROC."""
        return int((~torch.isnan(self.auroc)).sum())

    @property
    def mean_auroc(self) -> float:
        """Mean over defined pairs."""
        return self.auroc.nanmean().item()

    @property
    def mean_average_precision(self) -> float:
        """Mean over defined pairs."""
        return self.average_precision.nanmean().item()

    @property
    def mean_best_f1(self) -> float:
        """Mean over defined pairs."""
        return self.best_f1.nanmean().item()


def ranking(
    coefficients: Activations,
    latents: Activations,
    feature: Tensor,
    latent: Tensor,
    *,
    report: Report | None = None,
) -> Ranking:
    """AUROC, average precision and best-threshold F1 of chosen pairs, such as matched ones.

    With `y = [c_i != 0]` and the score `z_j`: AUROC is `U / (n+ n-)`, the chance that an active
    sample has a higher activation than an inactive one, ties counting half; average precision is
    `sum_k (R_k - R_{k-1}) P_k` over distinct activations, without interpolation; best F1 is
    `max_v F1(y, [z_j >= v])`. All in [0, 1], 1 is best; chance is 1/2 for AUROC and the frequency
    of the feature for average precision, which therefore says more on rare features. Invariant to
    any strictly increasing map of a latent. Not symmetric.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`; active where not 0.
        latents: activations `[N, m]` of the same samples; negative ones rank below 0.
        feature: feature of each pair, `[k]`; -1 where there is none.
        latent: latent of each pair, `[k]`; -1 where there is none.
        report: called with the pairs done and all pairs, in blocks.

    Returns:
        The scores of the pairs, `[k]`. A dead latent has AUROC 1/2, and the frequency of the
        feature as average precision: all samples tie. NaN for pairs without partner and for
        features that are never active; AUROC also for features that always are.

    Raises:
        ShapeError: different samples, or indices that do not fit.
        DataError: NaN or infinity.

    Source: Hanley and McNeil 1982 for AUROC; Manning, Raghavan and Schuetze 2008 for average
    precision, as scikit-learn computes both.
    """
    truth, learned = both_by_samples(coefficients, latents)
    feature, latent = require_pairs(feature, latent, truth.shape[1], learned.shape[1])
    by_feature, by_latent = truth.tocsc(), learned.tocsc()
    sums = _Sums.zeros(len(feature))
    positives = torch.zeros(len(feature), dtype=torch.long)
    partnered = (feature >= 0) & (latent >= 0)
    positives[partnered] = counts_by_column(truth)[feature[partnered]]
    active = np.zeros(len(truth.indptr) - 1, dtype=np.int8)
    # Pairs of the same latent follow each other, so that it is sorted once.
    blocks = torch.argsort(latent, stable=True).split(_REPORTED_AT_ONCE)
    falling = lru_cache(maxsize=1)(partial(_falling, by_latent))
    for pairs in reported(blocks, len(blocks), report):
        for k in pairs[positives[pairs] > 0].tolist():
            on = slice(*by_feature.indptr[int(feature[k]) :][:2])
            active[by_feature.indices[on]] = 1
            fired = falling(int(latent[k]))
            swept = sweep_pair(*fired, active, int(positives[k]), len(active))
            for entries, value in zip(sums, swept):
                entries[k] = value
            active[by_feature.indices[on]] = 0
    return _scores(sums, positives, len(active), device_of(latents))


def ranking_table(
    coefficients: Activations, latents: Activations, *, report: Report | None = None
) -> Ranking:
    """As `ranking`, of every latent for every feature, `[n, m]`.

    A latent is sorted once for all features, and each of its firings touches only the features that
    are active there: the cost is that of the joint firings, and of the four tables.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`; active where not 0.
        latents: activations `[N, m]` of the same samples; negative ones rank below 0.
        report: called with the blocks of latents done and all of them.

    Returns:
        The scores of all pairs, in [0, 1], 1 is best, `[n, m]`; NaN as for `ranking`.

    Raises:
        ShapeError: different samples.
        DataError: NaN or infinity.

    Source: as `ranking`.
    """
    truth, learned = both_by_samples(coefficients, latents)
    n_samples, n = truth.shape
    by_latent = learned.tocsc()
    positives = counts_by_column(truth)
    sums = _Sums.zeros(learned.shape[1], n)
    blocks = torch.arange(learned.shape[1]).split(_REPORTED_AT_ONCE)
    active = (truth.indptr, truth.indices, positives.numpy(), n_samples)
    for block in reported(blocks, len(blocks), report):
        for j in block.tolist():
            sweep_all(*_falling(by_latent, j), *active, *(rows[j] for rows in sums))
    return _scores(sums.transposed(), positives[:, None], n_samples, device_of(latents))


def _falling(by_latent: csc_array, j: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Activations of latent `j` from the highest down, and their samples."""
    fired = slice(*by_latent.indptr[j : j + 2])
    values = by_latent.data[fired]
    order = np.argsort(-values)
    return values[order], by_latent.indices[fired][order]


class _Sums(NamedTuple):
    """What the sweeps add up, one entry a pair, `[k]`, or one row a latent, `[m, n]`."""

    ranks: NDArray[np.int64]
    precisions: NDArray[np.float64]
    best_f1: NDArray[np.float64]
    best_cut: NDArray[np.float64]

    @classmethod
    def zeros(cls, *shape: int) -> _Sums:
        return cls(np.zeros(shape, dtype=np.int64), *(np.zeros(shape) for _ in range(3)))

    def transposed(self) -> _Sums:
        return _Sums(self.ranks.T, self.precisions.T, self.best_f1.T, self.best_cut.T)


def _scores(sums: _Sums, positives: Tensor, n_samples: int, device: torch.device) -> Ranking:
    """The scores from their sums; `positives` is of a shape that goes with theirs."""
    ranks, precisions, best_f1, best_cut = (torch.from_numpy(x) for x in sums)
    pairs = positives * (n_samples - positives)
    # Midranks count from the top: the active samples' own take n+ (n+ + 1) / 2.
    twice_above = 2 * pairs + positives * (positives + 1) - ranks
    never = positives == 0
    return Ranking(
        (twice_above.double() / (2 * pairs)).to(device),
        (precisions / positives).to(device),
        best_f1.masked_fill(never, torch.nan).to(device),
        best_cut.masked_fill(never, torch.nan).to(device),
        positives.to(device),
        n_samples,
    )
