from __future__ import annotations

from tests.diagnostics.cases.collinearity import COLUMNS, a_design
from tests.metrics.case import Case, normal

CASES = {
    "leverage": Case(a_design, "a", applicable=(*COLUMNS, "permute_columns_a")),
    "sign_probability": Case(
        lambda rng: [normal(rng, 5), normal(rng, 5).abs()],
        "aa",
        applicable=("permute_samples", "joint_scale"),
    ),
}
