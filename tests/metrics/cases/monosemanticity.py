from __future__ import annotations

from tests.metrics.case import TABLES, Case, a_table, two_tables

CASES = {
    "monosemanticity": Case(
        a_table, "a", applicable=("permute_rows_a", "permute_columns_a", "scale_columns")
    ),
    "purity": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
}
