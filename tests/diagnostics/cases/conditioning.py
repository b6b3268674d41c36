from __future__ import annotations

from torch import Tensor

from tests.diagnostics.cases.collinearity import COLUMNS, a_design
from tests.metrics.case import Case, Rng, normal
from toysae.diagnostics.collinearity import condition_indices
from toysae.diagnostics.conditioning import harmful_relations


def _nearly_tied(rng: Rng) -> list[Tensor]:
    """With a column that is nearly constant: nearer to 0 it would be no other intercept."""
    (x,) = a_design(rng)
    x[:, 1] = 1 + 0.05 * normal(rng, 12)
    return [x]


CASES = {
    "harmful_relations": Case(
        _nearly_tied,
        "a",
        lambda x: harmful_relations(condition_indices(x)),
        applicable=(*COLUMNS, "permute_columns_a"),
    ),
    "centered_condition_indices": Case(a_design, "a", applicable=(*COLUMNS, "permute_columns_a")),
}
