from __future__ import annotations

from tests.metrics.case import Case
from tests.metrics.cases.recovery import trained_on_features

CASES = {
    "matching_keys": Case(trained_on_features, "abab", applicable=("scale_rows", "flip_rows")),
}
