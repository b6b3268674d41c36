from __future__ import annotations

from tests.diagnostics.cases.collinearity import COLUMNS
from tests.metrics.case import Case, sparse

CASES = {
    "block_local_vif": Case(lambda rng: [sparse(rng, 60, 5)], "a", applicable=COLUMNS),
}
