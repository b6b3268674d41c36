"""One-to-one matchings of two dictionaries: every row is used at most once."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.metrics._dictionaries.assignment import heaviest_matching
from toysae.metrics._dictionaries.screening import Similarity
from toysae.metrics._directions import Directions, cosines, unit_rows_of_pair
from toysae.metrics._progress import Report
from toysae.metrics._tables import NEGLIGIBLE, Assignment, assign

FEW_PAIRS = 2**20
"""Pairs of rows up to which a table of all cosines is matched."""


class Matching(Assignment):
    """A one-to-one matching of two dictionaries: `rows` of `a` and `cols` of `b`."""

    @property
    def cosine(self) -> Tensor:
        """Cosine of each matched pair, `[n_matched]`; absolute for `hungarian_abs`."""
        return self.similarity


def hungarian(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    report: Report | None = None,
) -> Matching:
    """The one-to-one matching with the largest total of `max(cos, 0)`.

    Negative cosines are clipped, because the optimum on raw cosines gives up good pairs to avoid
    forced bad ones; pairs with clipped cosine 0 are unmatched. Symmetric in its arguments. In
    [0, 1]. Of more than a million pairs no table is held: few of them can be matched, and prices
    of rows and columns prove the optimum to be that of all; `bound` says how tightly.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.
        report: told how far the matching of large dictionaries is: tiles of the table that are
            done, and all that are known to come. It grows where prices must be raised once more.

    Returns:
        The matching; its sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Kuhn 1955. Song et al. 2025 (arXiv 2505.20254) use the unclipped version.
    """
    return match(*unit_rows_of_pair(a, b, alive_a, alive_b), torch.positive, report)


def hungarian_abs(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    report: Report | None = None,
) -> Matching:
    """As `hungarian`, of `|cos|`: for vectors without a sign, such as principal components.

    In [0, 1]. Its `mean_over_min` is what SAELens's synthetic module calls mean correlation
    coefficient.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.
        report: told how far the matching of large dictionaries is: tiles of the table that are
            done, and all that are known to come. It grows where prices must be raised once more.

    Returns:
        The matching; its sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Kuhn 1955; SAELens 6.54.12, synthetic evaluation, of absolute cosines.
    """
    return match(*unit_rows_of_pair(a, b, alive_a, alive_b), torch.abs, report)


def match(
    a: Directions, b: Directions, similarity: Similarity, report: Report | None = None
) -> Matching:
    """The matching of kept rows with the largest total of `max(similarity(cos), 0)`."""
    if len(a.unit) * len(b.unit) <= FEW_PAIRS:
        pairs = assign(similarity(cosines(a, b)))
        sizes = len(a.unit), len(b.unit)
        return Matching(pairs.rows, pairs.cols, pairs.similarity, *sizes, bound=pairs.bound)
    best = heaviest_matching(a.unit, b.unit, similarity, report)
    used = best.gain > NEGLIGIBLE
    rows, cols, gain = a.index[best.rows[used]], b.index[best.columns[used]], best.gain[used]
    bound = max(best.price - gain.sum().item(), 0.0)
    return Matching(rows, cols, gain, len(a.unit), len(b.unit), bound=bound)
