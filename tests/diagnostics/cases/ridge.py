from __future__ import annotations

import torch

from tests.diagnostics.cases.collinearity import COLUMNS, a_design
from tests.metrics.case import Case
from toysae.diagnostics import ridge

PENALTIES = torch.tensor([0.01, 0.1, 1.0])

CASES = {
    "ridge_vif": Case(a_design, "a", lambda x: ridge.ridge_vif(x, PENALTIES), applicable=COLUMNS),
    "ridge_trace": Case(
        a_design,
        "a",
        lambda x: ridge.ridge_trace(x[:, :-1], x[:, -1], PENALTIES),
        applicable=COLUMNS,
    ),
    "regularized_vif": Case(
        a_design, "a", lambda x: ridge.regularized_vif(x, PENALTIES), applicable=COLUMNS
    ),
}
