"""How well two dictionaries agree, vector by vector.

A dictionary is `[rows, d]`: rows are vectors. Cosines are signed unless the name says otherwise,
because latents are non-negative and `-d` is another feature than `d`. A zero row has no direction:
its values are NaN, it is nobody's partner, and it is counted. Everything here is invariant to
positive scaling of rows, to the order of rows and to a rotation of both dictionaries, and says
nothing without its chance level (`toysae.metrics.chance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._directions import cosines, row_blocks, unit_rows, unit_rows_of_pair
from toysae.metrics._inputs import refuse_infinite, refuse_non_finite
from toysae.metrics._matching import (
    Matching,
    MatchingAgreement,
    hungarian,
    hungarian_abs,
    matching_agreement,
)
from toysae.metrics._nearest import (
    MaxCosine,
    Multiplicity,
    MutualNearest,
    Votes,
    max_abs_cosine,
    max_cosine,
    multiplicity,
    mutual_nearest,
)

__all__ = [
    "FractionAbove",
    "Matching",
    "MatchingAgreement",
    "MaxCosine",
    "Multiplicity",
    "MutualNearest",
    "Votes",
    "WithinDictionary",
    "cosine_matrix",
    "fraction_above",
    "hungarian",
    "hungarian_abs",
    "matching_agreement",
    "max_abs_cosine",
    "max_cosine",
    "multiplicity",
    "mutual_nearest",
    "within_dictionary",
]


@dataclass(frozen=True)
class FractionAbove:
    """Share of values above each of several thresholds."""

    thresholds: Tensor
    """The thresholds, `[k]`."""
    fraction: Tensor
    """Share of defined values strictly above each, `[k]`; NaN where no value is defined."""
    n_defined: int
    """Values that are not NaN."""


@dataclass(frozen=True)
class WithinDictionary:
    """How close the rows of one dictionary are to each other."""

    max_cosine: Tensor
    """Largest cosine of each row with another row, `[n]`; NaN without one."""
    index: Tensor
    """That other row, `[n]`; -1 where NaN."""
    mean_abs: Tensor
    """Mean absolute cosine of each row with all others, `[n]`; NaN without any."""
    n_zero: int
    """Zero rows, among the alive ones."""

    @property
    def mean_max_cosine(self) -> float:
        """Mean of `max_cosine` (SAEBench: average max decoder cosine similarity)."""
        return self.max_cosine.nanmean().item()

    @property
    def mean_abs_cosine(self) -> float:
        """Mean absolute cosine over all pairs (`c_dec` of "Sparse but Wrong")."""
        return self.mean_abs.nanmean().item()


def cosine_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of every row of `a` with every row of `b`, `C_ij = <a_i, b_j> / (|a_i| |b_j|)`.

    Holds the whole `n x m` matrix; `max_cosine` does not. Swapping the arguments transposes it.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.

    Returns:
        float64 `[n, m]` in [-1, 1]; the row or column of a zero vector is NaN.

    Raises:
        ShapeError: not two matrices of the same width.
        DataError: NaN or infinity in either.
    """
    return cosines(*unit_rows_of_pair(a, b, None, None))


def fraction_above(values: Tensor, thresholds: Sequence[float] = (0.7, 0.8, 0.9)) -> FractionAbove:
    """Share of `values` strictly above each threshold, `#{v > t} / #{v defined}`, in [0, 1].

    Args:
        values: any shape, such as `MaxCosine.a_to_b`; NaN is undefined and not counted.
        thresholds: the thresholds.

    Returns:
        The shares; NaN where no value is defined.

    Raises:
        DataError: an infinite value, or a threshold that is not finite.
    """
    values = values.detach().double()
    refuse_infinite(values, "values")
    defined = values[~torch.isnan(values)]
    limits = torch.tensor(list(thresholds), dtype=torch.float64, device=values.device)
    refuse_non_finite(limits, "thresholds")
    above = (defined[None, :] > limits[:, None]).double().mean(dim=1)
    return FractionAbove(limits, above, len(defined))


def within_dictionary(
    a: Tensor, *, alive: Tensor | None = None, block: int = 4096
) -> WithinDictionary:
    """How close the rows of one dictionary are to the others of the same dictionary.

    Per row, `max_{j != i} cos(a_i, a_j)` in [-1, 1] and `mean_{j != i} |cos(a_i, a_j)|` in [0, 1].

    Args:
        a: dictionary `[n, d]`.
        alive: bool mask `[n]`; other rows are left out.
        block: rows compared at once.

    Returns:
        Both per row; NaN for zero and left-out rows, and for a row without another.

    Raises:
        ShapeError: not a matrix, or a mask of another length.
        DataError: NaN or infinity.

    Source: SAEBench (average max decoder cosine similarity); Chanin and Garriga-Alonso 2025,
    "Sparse but Wrong" (arXiv 2508.16560), `c_dec`.
    """
    kept = unit_rows(a, "a", alive)
    n = len(kept.unit)
    best, mean_abs = kept.unit.new_full((2, n), torch.nan)
    index = kept.index.new_full((n,), -1)
    if n > 1:
        for rows in row_blocks(n, block):
            table = (kept.unit[rows] @ kept.unit.T).clamp_(-1, 1)
            itself = (torch.arange(len(table)), torch.arange(n)[rows])
            table[itself] = 0
            mean_abs[rows] = table.abs().sum(dim=1) / (n - 1)
            table[itself] = -torch.inf
            best[rows], partner = table.max(dim=1)
            index[rows] = kept.index[partner]
    return WithinDictionary(
        kept.spread(best, torch.nan),
        kept.spread(index, -1),
        kept.spread(mean_abs, torch.nan),
        kept.n_zero,
    )
