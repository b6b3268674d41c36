"""SAELens's numbers beside ours, under names that say whose they are."""

from __future__ import annotations

import math

from torch import Tensor

from toysae.metrics.saelens import saelens_agreement, saelens_classification

#: In worlds of more features these numbers, which match a table of all pairs, are left undefined.
MOST_MATCHED_FEATURES = 1024

_NAMES = ("matched_abs_cosine", "uniqueness", "precision", "recall", "f1", "accuracy")


def saelens_column(
    features: Tensor, decoder: Tensor, coefficients: Tensor, latents: Tensor
) -> dict[str, float]:
    """What SAELens reports on synthetic data, as `saelens/...`; see `toysae.metrics.saelens`.

    Dead latents count, as they do there, and what is undefined is 0. `matched_abs_cosine` is the
    mean matched |cosine| that it names after a correlation coefficient.

    Args:
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        coefficients: truth `[N, n]`.
        latents: activations `[N, m]` of the same samples.
    """
    values = [math.nan] * len(_NAMES)
    if len(features) <= MOST_MATCHED_FEATURES:
        agreement = saelens_agreement(features, decoder)
        found = saelens_classification(features, decoder, coefficients, latents)
        values = [
            agreement.mean_correlation_coefficient,
            agreement.uniqueness,
            found.mean_precision,
            found.mean_recall,
            found.mean_f1,
            found.mean_accuracy,
        ]
    return {f"saelens/{name}": value for name, value in zip(_NAMES, values, strict=True)}
