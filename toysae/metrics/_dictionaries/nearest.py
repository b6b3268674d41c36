"""Best partners between two dictionaries, with replacement: rows may choose the same one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._dictionaries.best_partners import best_partners
from toysae.metrics._dictionaries.screening import Similarity
from toysae.metrics._directions import Directions, unit_rows_of_pair
from toysae.metrics._inputs import refuse_nan
from toysae.metrics._progress import Report


@dataclass(frozen=True)
class MaxCosine:
    """Best cosine of each row of one dictionary with any row of the other, both ways.

    With `a` the truth, `a_to_b` asks whether each feature is there at all (recall), and `b_to_a`
    whether each latent is a feature (precision).
    """

    a_to_b: Tensor
    """Best cosine of each row of `a`, `[n]`; NaN for rows without direction or partner."""
    a_to_b_index: Tensor
    """Row of `b` it is reached at, `[n]`, the lowest among ties; -1 where NaN."""
    b_to_a: Tensor
    """Best cosine of each row of `b`, `[m]`; NaN for rows without direction or partner."""
    b_to_a_index: Tensor
    """Row of `a` it is reached at, `[m]`, the lowest among ties; -1 where NaN."""
    n_zero_a: int
    """Zero rows of `a`, among the alive ones."""
    n_zero_b: int
    """Zero rows of `b`, among the alive ones."""

    @property
    def mean_a_to_b(self) -> float:
        """Mean max cosine similarity from `a` to `b`, over defined rows."""
        return self.a_to_b.nanmean().item()

    @property
    def mean_b_to_a(self) -> float:
        """Mean max cosine similarity from `b` to `a`, over defined rows."""
        return self.b_to_a.nanmean().item()

    @property
    def symmetric(self) -> float:
        """Mean of the two directions."""
        return (self.mean_a_to_b + self.mean_b_to_a) / 2

    @property
    def minimum(self) -> float:
        """The worse of the two directions."""
        return min(self.mean_a_to_b, self.mean_b_to_a)

    @property
    def harmonic(self) -> float:
        """Harmonic mean of the two, as F1 is; NaN if either is negative or both are 0."""
        forth, back = self.mean_a_to_b, self.mean_b_to_a
        if not (min(forth, back) >= 0 and forth + back > 0):
            return torch.nan
        return 2 * forth * back / (forth + back)

    @property
    def n_defined_a(self) -> int:
        """Rows of `a` that have a best cosine."""
        return int((self.a_to_b_index >= 0).sum())

    @property
    def n_defined_b(self) -> int:
        """Rows of `b` that have a best cosine."""
        return int((self.b_to_a_index >= 0).sum())

    @property
    def mutual_nearest(self) -> MutualNearest:
        """Pairs of rows that are each other's best partner, without another comparison."""
        rows = torch.nonzero(self.a_to_b_index >= 0)[:, 0]
        rows = rows[self.b_to_a_index[self.a_to_b_index[rows]] == rows]
        partners, cosine = self.a_to_b_index[rows], self.a_to_b[rows]
        return MutualNearest(rows, partners, cosine, self.n_defined_a, self.n_defined_b)


@dataclass(frozen=True)
class MutualNearest:
    """Pairs of rows that are each other's best partner."""

    rows: Tensor
    """Row of `a`, `[k]`, ascending."""
    cols: Tensor
    """Row of `b`, `[k]`."""
    cosine: Tensor
    """Cosine of each pair, `[k]`."""
    n_a: int
    """Rows of `a` that have a best partner."""
    n_b: int
    """Rows of `b` that have a best partner."""

    @property
    def rate(self) -> float:
        """Share of all rows that are in a mutual pair, `2 k / (n_a + n_b)`; NaN without rows."""
        rows = self.n_a + self.n_b
        return 2 * len(self.rows) / rows if rows else torch.nan


@dataclass(frozen=True)
class Votes:
    """How often each row was chosen as best partner by the rows of the other dictionary."""

    counts: Tensor
    """Votes for each row, `[n]`."""
    n_eligible: int
    """Rows that could be chosen."""

    @property
    def coverage(self) -> float:
        """Share of eligible rows with a vote; NaN without eligible rows."""
        chosen = int((self.counts > 0).sum())
        return chosen / self.n_eligible if self.n_eligible else torch.nan

    @property
    def effective_number(self) -> float:
        """Rows that share the votes, `1 / sum p_j^2` with shares `p_j` (Simpson); NaN if none."""
        votes = self.counts.double()
        return (votes.sum().square() / votes.square().sum()).item()

    @property
    def entropy_number(self) -> float:
        """Rows that share the votes, `exp(-sum p_j ln p_j)`; at least Simpson's. NaN if none."""
        shares = self.counts.double() / self.counts.sum()
        return torch.special.entr(shares).sum().exp().item() if len(shares) else torch.nan

    @property
    def most(self) -> int:
        """Votes of the row with most of them; 0 without rows."""
        return int(self.counts.max()) if len(self.counts) else 0

    @property
    def histogram(self) -> Tensor:
        """How many eligible rows have 0, 1, 2, ... votes, `[most + 1]`."""
        rows = torch.bincount(self.counts, minlength=1)
        rows[0] -= len(self.counts) - self.n_eligible
        return rows


@dataclass(frozen=True)
class Multiplicity:
    """Votes in both directions, each gated by a similarity threshold."""

    on_a: Votes
    """Votes of the rows of `b` for the rows of `a`."""
    on_b: Votes
    """Votes of the rows of `a` for the rows of `b`."""


def max_cosine(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    block: int = 4096,
    report: Report | None = None,
) -> MaxCosine:
    """Mean max cosine similarity with replacement, both directions.

    `a_to_b_i = max_j cos(a_i, b_j)` and `b_to_a_j = max_i cos(a_i, b_j)`, signed, in [-1, 1]. Not
    symmetric: duplicates of one row in `a` reweight `a_to_b` and leave `b_to_a` alone.

    Args:
        a: dictionary `[n, d]`; the truth, where one side is.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are left out on both sides.
        alive_b: bool mask `[m]`; other rows are left out on both sides.
        block: rows compared in float64 at once.
        report: told how far the comparison of large dictionaries is.

    Returns:
        Best cosines and partners; NaN and -1 for rows that are zero, left out, or without any
        possible partner.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Sharkey, Braun and Millidge 2022, "Taking features out of superposition with sparse
    autoencoders" (there as one direction only).
    """
    return _best(*unit_rows_of_pair(a, b, alive_a, alive_b), block, torch.positive, report)


def max_abs_cosine(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    block: int = 4096,
    report: Report | None = None,
) -> MaxCosine:
    """As `max_cosine`, of `|cos|`: for vectors without a sign, such as principal components.

    Not for SAE latents: it calls a latent that points the wrong way a find. In [0, 1].

    Args:
        a: dictionary `[n, d]`; the truth, where one side is.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are left out on both sides.
        alive_b: bool mask `[m]`; other rows are left out on both sides.
        block: rows compared in float64 at once.
        report: told how far the comparison of large dictionaries is.

    Returns:
        Best absolute cosines and partners; NaN and -1 as for `max_cosine`.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: as `max_cosine`.
    """
    return _best(*unit_rows_of_pair(a, b, alive_a, alive_b), block, torch.abs, report)


def mutual_nearest(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    block: int = 4096,
    report: Report | None = None,
) -> MutualNearest:
    """Pairs of rows that are each other's row of largest cosine.

    `{(i, j): j = argmax_j' C_ij' and i = argmax_i' C_i'j}`; a matching without the cost of
    `hungarian`. Symmetric in its arguments where there are no ties; the rate is in [0, 1].

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are left out.
        alive_b: bool mask `[m]`; other rows are left out.
        block: rows compared in float64 at once.
        report: told how far the comparison of large dictionaries is.

    Returns:
        The pairs; the rate is NaN where either side is empty.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: textbook, mutual nearest neighbours.
    """
    best = max_cosine(a, b, alive_a=alive_a, alive_b=alive_b, block=block, report=report)
    return best.mutual_nearest


def multiplicity(best: MaxCosine, threshold: float) -> Multiplicity:
    """How many rows of one dictionary chose the same row of the other.

    `k_j = #{i: j is the best partner of i, and their cosine > threshold}`. Without the threshold
    rows that resemble nothing vote too; -inf lets all vote. Swapping the dictionaries swaps sides.

    Args:
        best: what `max_cosine` or `max_abs_cosine` returned.
        threshold: cosine above which a vote counts, strictly.

    Returns:
        Counts, coverage in [0, 1] and effective number (at least 1) on either side; coverage is
        NaN where either dictionary is empty, the effective number where nobody votes.

    Raises:
        DataError: a threshold that is NaN.

    Source: toysae; Simpson 1949 and Shannon 1948 for the effective numbers.
    """
    refuse_nan(threshold, "threshold")

    def votes(value: Tensor, index: Tensor, partners: Tensor) -> Votes:
        counts = torch.bincount(index[value > threshold], minlength=len(partners))
        return Votes(counts, int((~torch.isnan(partners)).sum()))

    return Multiplicity(
        on_a=votes(best.b_to_a, best.b_to_a_index, best.a_to_b),
        on_b=votes(best.a_to_b, best.a_to_b_index, best.b_to_a),
    )


def _best(
    a: Directions, b: Directions, block: int, similarity: Similarity, report: Report | None
) -> MaxCosine:
    forth, back = best_partners(a, b, block=block, similarity=similarity, report=report)
    return MaxCosine(*forth, *back, n_zero_a=a.n_zero, n_zero_b=b.n_zero)
