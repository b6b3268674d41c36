"""What second moments cannot see."""

from __future__ import annotations

import math

from toysae.diagnostics import moments
from toysae.metrics._metric import SAMPLES, Metric

RECORDS = (
    Metric(
        moments.projection_kurtosis,
        formula="E[p^4] / E[p^2]^2 of the projections on a direction, about the origin",
        range=(1, math.inf),
        orientation="3 is Gaussian; sparse directions are above",
        symmetric=None,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN where the projection is 0 on every sample",
        source="textbook",
        summaries=("values",),
    ),
    Metric(
        moments.fourth_angular_moment,
        formula="E[r^4 cos 4t] / E[r^4]; E[cos 4t]",
        range=(-1, 1),
        orientation="1 on the axes, -1 on the diagonals, 0 is isotropic",
        symmetric=None,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="NaN where all samples are 0",
        source="fourth angular harmonic",
        summaries=("weighted", "plain"),
    ),
    Metric(
        moments.ica,
        formula="FastICA with the kurtosis contrast",
        range=(-1, 1),
        orientation="unit mixing directions, in any order and sign",
        symmetric=None,
        invariances=(),
        degenerate="converged is False where the iteration does not settle",
        source="Hyvärinen 1999",
        summaries=("directions",),
    ),
)
