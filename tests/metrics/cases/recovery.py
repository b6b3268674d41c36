from __future__ import annotations

from tests.metrics.case import (
    DICTIONARIES,
    TABLES,
    Case,
    a_table,
    features_and_noisy_latents,
    mixtures_and_features,
    two_dictionaries,
    two_tables,
)
from toysae.metrics import recovery

CASES = {
    "feature_recovery": Case(
        features_and_noisy_latents,
        "ab",
        lambda f, d: recovery.feature_recovery(f, d, 0.8),
        applicable=DICTIONARIES,
    ),
    "angle_to_nearest": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "composed_score": Case(mixtures_and_features, "ab", applicable=DICTIONARIES),
    "monosemanticity": Case(
        a_table, "a", applicable=("permute_rows_a", "permute_columns_a", "scale_columns")
    ),
    "detection": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
}
