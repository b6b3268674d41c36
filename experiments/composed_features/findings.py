"""What counts as an answer: every checkable claim, its statistic, its threshold.

Sources: A = Anders, Neo, Hoelscher-Obermaier and Howard, "Sparse autoencoders find composed
features in small toy models" (March 2024); its comments by Chan, Till and Shehper, and Anders'
replies. Rules were fixed before the first run,
except that on PCs in four dimensions. The verdicts rest on the protocol `plain`, which
passes the positive control; the published protocol is measured beside it.
"""

from __future__ import annotations

from experiments.composed_features.claims_data import hidden_space
from experiments.composed_features.claims_optimum import objective_or_optimiser
from experiments.composed_features.claims_sae import (
    coefficients,
    control,
    geometry_and_width,
    principal_components,
    published_grid,
)
from experiments.composed_features.config import StudyConfig
from experiments.composed_features.study import StudyResult
from toysae.results.findings import Finding


def findings(study: StudyConfig, result: StudyResult) -> list[Finding]:
    """All findings of the study, in the order of the argument."""
    return [
        *hidden_space(study, result),
        *control(study, result.runs),
        *published_grid(study, result.runs),
        *objective_or_optimiser(study, result.runs),
        *geometry_and_width(study, result.runs),
        *principal_components(result.reference_cells),
        *coefficients(result.reference_cells),
    ]
