"""How well two dictionaries agree, vector by vector.

A dictionary is `[rows, d]`: rows are vectors. Cosines are signed unless the name says otherwise,
because latents are non-negative and `-d` is another feature than `d`. A zero row has no direction:
its values are NaN, it is nobody's partner, and it is counted. Everything here is invariant to
positive scaling of rows, to the order of rows and to a rotation of both dictionaries, but not of
one: two seeds of one model share a basis, two models do not and must be aligned before. Nothing
here says anything without its chance level (`toysae.metrics.chance`). To compare what vectors do
rather than where they point, take their rows through `toysae.metrics.functional.in_metric` first.
"""

from __future__ import annotations

from torch import Tensor

from toysae.metrics._dictionaries.distribution import (
    FractionAbove,
    Quantiles,
    fraction_above,
    quantiles,
)
from toysae.metrics._dictionaries.encoder_decoder import (
    MatchingAgreement,
    joint_matching,
    matching_agreement,
    paired_cosine,
)
from toysae.metrics._dictionaries.greedy import GreedyMatching, greedy, greedy_abs
from toysae.metrics._dictionaries.matching import Matching, hungarian, hungarian_abs
from toysae.metrics._dictionaries.nearest import (
    MaxCosine,
    Multiplicity,
    MutualNearest,
    Votes,
    max_abs_cosine,
    max_cosine,
    multiplicity,
    mutual_nearest,
)
from toysae.metrics._dictionaries.ties import best_partner_ties
from toysae.metrics._dictionaries.transport import (
    SoftMatching,
    soft_matching,
    soft_matching_sinkhorn,
)
from toysae.metrics._dictionaries.within import WithinDictionary, within_dictionary
from toysae.metrics._directions import cosines, unit_rows_of_pair
from toysae.metrics._ties import Ties

__all__ = [
    "FractionAbove",
    "GreedyMatching",
    "Matching",
    "MatchingAgreement",
    "MaxCosine",
    "Multiplicity",
    "MutualNearest",
    "Quantiles",
    "SoftMatching",
    "Ties",
    "Votes",
    "WithinDictionary",
    "best_partner_ties",
    "cosine_matrix",
    "fraction_above",
    "greedy",
    "greedy_abs",
    "hungarian",
    "hungarian_abs",
    "joint_matching",
    "matching_agreement",
    "max_abs_cosine",
    "max_cosine",
    "multiplicity",
    "mutual_nearest",
    "paired_cosine",
    "quantiles",
    "soft_matching",
    "soft_matching_sinkhorn",
    "within_dictionary",
]


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

    Source: textbook.
    """
    return cosines(*unit_rows_of_pair(a, b, None, None))
