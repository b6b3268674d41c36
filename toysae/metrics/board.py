"""How much of a board the latents know: the measures of the board game experiments.

There a "feature" is a statement about a position, such as "a white knight stands on f3", and each
has an indicator. Here any coefficients will do: a statement is true where its own is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._detection.columns import (
    Activations,
    both_by_samples,
    counts_by_column,
    device_of,
    indicators,
)
from toysae.metrics._detection.pair_tables import F1s
from toysae.metrics._inputs import refuse_nan
from toysae.metrics._progress import Report
from toysae.metrics._tables import best_along_rows
from toysae.metrics.ranking import ranking_table

__all__ = [
    "AurocCoverage",
    "BoardCoverage",
    "BoardReconstruction",
    "auroc_coverage",
    "board_coverage",
    "board_reconstruction",
]

FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of a latent's maximum from which on it may count as firing, as published."""


@dataclass(frozen=True)
class AurocCoverage:
    """Which features some latent ranks nearly perfectly."""

    auroc: Tensor
    """Best AUROC of each feature, `[n]`; NaN if it is never or always active."""
    latent: Tensor
    """The latent that reaches it, the lowest among ties, `[n]`; -1 where NaN."""
    threshold: float
    """AUROC from which on a feature is found, inclusive as published."""

    @property
    def found(self) -> Tensor:
        """Features found, bool `[n]`; False where undefined."""
        return self.auroc >= self.threshold

    @property
    def n_found(self) -> int:
        """Features found."""
        return int(self.found.sum())

    @property
    def n_defined(self) -> int:
        """Features that are active on some samples and not on others."""
        return int((~torch.isnan(self.auroc)).sum())

    @property
    def fraction(self) -> float:
        """Share of the defined features that are found; NaN if none is defined."""
        return self.n_found / self.n_defined if self.n_defined else torch.nan


@dataclass(frozen=True)
class BoardCoverage:
    """How well each feature is detected by the best latent, by where latents are cut."""

    f1: Tensor
    """Best F1 of each feature over latents, by cut, `[k, n]`; NaN for a feature never active."""
    fractions: tuple[float, ...]
    """The cuts: shares of each latent's maximum, `k` of them."""

    @property
    def best_f1(self) -> Tensor:
        """Best F1 of each feature over latents and cuts, `[n]`."""
        return self.f1.amax(dim=0)

    @property
    def n_defined(self) -> int:
        """Features that are active somewhere."""
        return int((~torch.isnan(self.best_f1)).sum())

    @property
    def mean(self) -> float:
        """Coverage: mean best F1, where each feature has a cut of its own."""
        return self.best_f1.nanmean().item()

    @property
    def mean_at_one_cut(self) -> float:
        """Mean best F1 at the one cut that is best for all features together."""
        return self.f1.nanmean(dim=1).max().item()


@dataclass(frozen=True)
class BoardReconstruction:
    """How well whole boards are told from latents that are precise about parts of them."""

    f1: Tensor
    """Mean over test samples of the F1 of the board told, by cut, `[k]`; NaN if undefined."""
    n_precise: Tensor
    """Pairs of a latent and a feature that were precise on the training samples, `[k]`, int64."""
    fractions: tuple[float, ...]
    """The cuts: shares of each latent's maximum, `k` of them."""
    n_defined: int
    """Test samples on which some feature is active; only these are averaged."""

    @property
    def best(self) -> float:
        """Board reconstruction: the mean F1 at the best cut."""
        return self.f1.max().item()


def auroc_coverage(
    coefficients: Activations,
    latents: Activations,
    threshold: float = 0.9,
    *,
    report: Report | None = None,
) -> AurocCoverage:
    """How many features have a latent whose activation ranks their samples with AUROC of .9.

    `#{i: max_j AUROC_ij >= t}`, with `>=` as published. The fraction is over features that are
    active on some samples and not on others, in [0, 1]; the count is the published number (9 of
    180). With many latents and few samples some AUROC is high by chance. Not symmetric.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`; active where not 0.
        latents: activations `[N, m]` of the same samples.
        threshold: AUROC from which on a feature is found.
        report: called with the blocks of latents done and all of them.

    Returns:
        The best AUROC of each feature and the count; NaN for constant features or no latents.

    Raises:
        ShapeError: different samples.
        DataError: NaN or infinity, or a threshold that is NaN.

    Source: Huben 2024, "Research report: sparse autoencoders find only 9/180 board state features
    in OthelloGPT" (lesswrong.com/posts/BduCMgmjJnCtc7jKc), its code.
    """
    refuse_nan(threshold, "threshold")
    scores = ranking_table(coefficients, latents, report=report)
    return AurocCoverage(*best_along_rows(scores.auroc), threshold=threshold)


def board_coverage(
    coefficients: Activations, latents: Activations, *, fractions: Sequence[float] = FRACTIONS
) -> BoardCoverage:
    """Mean over features of the F1 of the best detector among latents and cuts.

    `mean_i max_t max_j F1([c_i != 0], [z_j > t max z_j])`, in [0, 1]; the maximum of a latent is
    over the given samples. The paper lets each feature choose its cut (`mean`); the published code
    takes the best cut for all (`mean_at_one_cut`), which is never more. Not symmetric. Invariant to
    positive scaling of a latent.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`; active where not 0.
        latents: activations `[N, m]` of the same samples; only positive ones can fire.
        fractions: the cuts `t`, at least 0 and below 1.

    Returns:
        The best F1 of each feature by cut; NaN for features that are never active or no latents.

    Raises:
        ShapeError: different samples, or no cuts in [0, 1).
        DataError: NaN or infinity.

    Source: Karvonen et al. 2024 (arXiv 2408.00113), "coverage".
    """
    truth, learned = both_by_samples(coefficients, latents)
    absent = counts_by_column(truth) == 0
    best = []
    for fired in _cut(learned, _highest(learned), _cuts(fractions)):
        f1 = best_along_rows(F1s(truth, fired).of(slice(None))).similarity
        best.append(f1.masked_fill(absent, torch.nan))
    return BoardCoverage(torch.stack(best).to(device_of(latents)), tuple(fractions))


def board_reconstruction(
    train_coefficients: Activations,
    train_latents: Activations,
    test_coefficients: Activations,
    test_latents: Activations,
    *,
    precision: float = 0.95,
    minimum: int = 10,
    fractions: Sequence[float] = FRACTIONS,
) -> BoardReconstruction:
    """How well all features of a sample are told from the latents that fire on it.

    On training samples, a latent cut at `t max z_j` tells feature `i` if the feature is active on
    at least `precision` of its firings, and on at least `minimum` of them. On a test sample a
    feature is told if any latent that tells it fires. The score is `max_t mean_samples F1(told,
    active)`, in [0, 1], as in the paper; the published code pools all samples into one F1 instead.

    Args:
        train_coefficients: truth `[N, n]` on which latents are chosen.
        train_latents: activations `[N, m]` of these samples; their maxima set the cuts.
        test_coefficients: truth `[N', n]` of other samples.
        test_latents: activations `[N', m]` of these.
        precision: share of firings, inclusive as published.
        minimum: firings on active samples that a latent needs to be trusted, as in the code.
        fractions: the cuts `t`, at least 0 and below 1.

    Returns:
        The score by cut; NaN where no test sample has an active feature.

    Raises:
        ShapeError: different samples or numbers of columns, or no cuts in [0, 1).
        DataError: NaN or infinity.

    Source: Karvonen et al. 2024 (arXiv 2408.00113), "board reconstruction".
    """
    truth, learned = both_by_samples(train_coefficients, train_latents)
    test_truth, test_learned = both_by_samples(test_coefficients, test_latents)
    if (truth.shape[1], learned.shape[1]) != (test_truth.shape[1], test_learned.shape[1]):
        raise ShapeError(
            f"training tables have {truth.shape[1]} features and {learned.shape[1]} latents, test "
            f"tables {test_truth.shape[1]} and {test_learned.shape[1]}: expected the same"
        )
    highest, cuts = _highest(learned), _cuts(fractions)
    board, test_board = indicators(truth), indicators(test_truth)
    active = torch.from_numpy(test_board.sum(axis=1))
    defined = active > 0
    scores, n_precise = [], []
    for fired, test_fired in zip(
        _cut(learned, highest, cuts), _cut(test_learned, highest, cuts), strict=True
    ):
        tells = _precise(indicators(fired), board, precision, minimum)
        told = indicators((indicators(test_fired) @ tells).tocsr())
        hits = torch.from_numpy(told.multiply(test_board).sum(axis=1))
        f1 = 2 * hits.double() / (torch.from_numpy(told.sum(axis=1)) + active)
        scores.append(f1[defined].mean())
        n_precise.append(tells.nnz)
    device = device_of(test_latents)
    return BoardReconstruction(
        f1=torch.stack(scores).to(device),
        n_precise=torch.tensor(n_precise, device=device),
        fractions=cuts,
        n_defined=int(defined.sum()),
    )


def _precise(fired: csr_array, board: csr_array, precision: float, minimum: int) -> csr_array:
    """1 where a latent tells a feature, `[m, n]`."""
    hits = (fired.T.tocsr() @ board).tocoo()
    firings = counts_by_column(fired).numpy()[hits.row]
    tells = (hits.data >= minimum) & (hits.data / firings >= precision)
    told = (hits.row[tells], hits.col[tells])
    return csr_array((np.ones_like(told[0], np.int64), told), shape=hits.shape)


def _cuts(fractions: Sequence[float]) -> tuple[float, ...]:
    if not fractions or not all(0 <= fraction < 1 for fraction in fractions):
        raise ShapeError(f"fractions={tuple(fractions)}: expected cuts of at least 0 and below 1")
    return tuple(fractions)


def _highest(learned: csr_array) -> NDArray[np.float64]:
    """Largest activation of each latent, `[m]`; 0 if none is positive."""
    return learned.max(axis=0).toarray().clip(min=0) if learned.nnz else np.zeros(learned.shape[1])


def _cut(
    learned: csr_array, highest: NDArray[np.float64], cuts: Sequence[float]
) -> Iterator[csr_array]:
    """Activations that are strictly above each share of their latent's maximum."""
    for fraction in cuts:
        fired = learned.copy()
        fired.data[fired.data <= fraction * highest[fired.indices]] = 0
        fired.eliminate_zeros()
        yield fired
