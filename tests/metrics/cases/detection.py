from __future__ import annotations

from tests.metrics.case import TABLES, Case, two_tables

CASES = {
    "detection": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
    "best_detection": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
}
