from __future__ import annotations

from torch import Tensor

from tests.metrics.case import (
    DICTIONARIES,
    SAMPLES,
    Case,
    Rng,
    data_and_reconstruction,
    sparse,
    two_dictionaries,
)
from tests.metrics.cases.recovery import trained_on_features


def reconstruction_and_codes(rng: Rng) -> list[Tensor]:
    return [*data_and_reconstruction(rng), sparse(rng, 9, 5), sparse(rng, 9, 6)]


CASES = {
    "saelens_agreement": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "saelens_classification": Case(
        trained_on_features, "abab", applicable=("scale_rows", "flip_rows")
    ),
    "saelens_reconstruction": Case(reconstruction_and_codes, "abab", applicable=SAMPLES),
}
