from __future__ import annotations

from tests.metrics.case import RECONSTRUCTIONS, Case, data_and_reconstruction

CASES = {
    "explained_variance": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "normalized_mse": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "mean_cosine": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "shrinkage": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "legacy_explained_variance": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
}
