from __future__ import annotations

from tests.metrics.case import RECONSTRUCTIONS, Case, data_and_reconstruction

CASES = {
    "explained_variance": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "normalized_mse": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "mean_cosine": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "shrinkage": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "fraction_of_variance_unexplained": Case(
        data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS
    ),
    "squared_error": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
}
