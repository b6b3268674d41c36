from __future__ import annotations

from torch import Tensor

from tests.metrics.case import DICTIONARIES, Case, two_dictionaries
from toysae.metrics.dictionary import max_cosine
from toysae.metrics.nulls import NullComparison, null_ladder, reference_null


def best_cosine(a: Tensor, b: Tensor) -> float:
    return max_cosine(a, b).mean_a_to_b


class Together:
    """The numbers of all nulls."""

    def __init__(self, ladder: list[NullComparison]) -> None:
        for name in ("value", "mean", "sd", "q95", "p_value", "corrected"):
            setattr(self, name, [getattr(comparison, name) for comparison in ladder])


def ladder(a: Tensor, b: Tensor) -> Together:
    return Together(list(null_ladder(best_cosine, a, b, n_draws=5).values()))


def against_reflections(a: Tensor, b: Tensor) -> NullComparison:
    return reference_null(best_cosine, a, b, [b.flip(-1), b.roll(1, dims=-1)])


CASES = {
    "null_ladder": Case(two_dictionaries, "ab", ladder, DICTIONARIES),
    "reference_null": Case(two_dictionaries, "ab", against_reflections, DICTIONARIES),
}
