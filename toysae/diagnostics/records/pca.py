"""Principal components of the hidden space."""

from __future__ import annotations

import math
from collections.abc import Callable

from toysae.diagnostics import pca
from toysae.metrics._metric import Metric


def _rank(function: Callable[..., float], formula: str, source: str) -> Metric:
    return Metric(
        function,
        formula=formula,
        range=(1, math.inf),
        orientation="from one direction up to the rank",
        symmetric=None,
        invariances=("permute_samples", "joint_scale"),
        degenerate="NaN where all eigenvalues are 0",
        source=source,
    )


RECORDS = (
    Metric(
        pca.pca,
        formula="eigenvectors of the covariance, with a test of each gap between eigenvalues",
        range=(1, math.inf),
        orientation="a component is defined where the gaps beside it are resolved",
        symmetric=None,
        invariances=(
            "permute_samples",
            "repeat_samples",
            "joint_rotation",
            "pad_dimensions",
            "joint_scale",
            "joint_shift",
        ),
        degenerate="NaN ratios and ranks for data without variance; no gap is resolved at N <= d",
        source="Anderson 1963; Davis 1977",
        summaries=("participation_ratio", "effective_rank", "stable_rank"),
    ),
    Metric(
        pca.alignment,
        formula="|cos| of all pairs",
        range=(0, 1),
        orientation="components first; a table with one row each",
        symmetric=False,
        invariances=("scale_rows", "flip_rows", "joint_rotation", "pad_dimensions"),
        degenerate="NaN in the row or column of a zero vector",
        source="textbook",
    ),
    _rank(pca.participation_ratio, "(sum l)^2 / sum l^2", "textbook"),
    _rank(pca.effective_rank, "exp H(l / sum l), entropy in nats", "Roy & Vetterli 2007"),
    _rank(pca.stable_rank, "sum l / max l", "textbook"),
)
