"""How far each column can be told apart from the others."""

from __future__ import annotations

import math

from toysae.diagnostics import collinearity
from toysae.metrics._metric import SAMPLES, Metric

_UNITS = (*SAMPLES, "scale_columns", "joint_scale")
_CENTERED = (*_UNITS, "joint_shift")
_SMALL = "1 is best: nothing in common with the other columns"

RECORDS = (
    Metric(
        collinearity.correlation,
        formula="Pearson correlation of all pairs of columns",
        range=(-1, 1),
        orientation="0 is no linear relation",
        symmetric=None,
        invariances=_CENTERED,
        degenerate="NaN in the row and column of a constant column",
        source="textbook",
        summaries=("values",),
    ),
    Metric(
        collinearity.vif,
        formula="1 / (1 - R_j^2) = [corr^-1]_jj = TSS_j / RSS_j",
        range=(1, math.inf),
        orientation=_SMALL,
        symmetric=None,
        invariances=_CENTERED,
        degenerate="NaN for a constant column; infinite exactly for columns in an exact relation",
        source="Marquardt 1970",
        summaries=("vif",),
    ),
    Metric(
        collinearity.vif_uncentered,
        formula="[(X'X)^-1]_jj [X'X]_jj",
        range=(1, math.inf),
        orientation=_SMALL + ", no intercept",
        symmetric=None,
        invariances=_UNITS,
        degenerate="NaN for a zero column; infinite exactly for columns in an exact relation",
        source="Marquardt 1970",
        summaries=("vif",),
    ),
    Metric(
        collinearity.identifiable,
        formula="row j of the null space of X is 0",
        range=(0, 1),
        orientation="1 where the data determine the coefficient",
        symmetric=None,
        invariances=_UNITS,
        degenerate="0 for zero columns",
        source="textbook",
    ),
    Metric(
        collinearity.condition_indices,
        formula="s_max / s_k of [1, X] with columns at unit length, not centred",
        range=(1, math.inf),
        orientation="1 is best; above 30 with two proportions above .5 is harmful",
        symmetric=None,
        invariances=(*_UNITS, "permute_columns_a"),
        degenerate="infinite for exact relations",
        source="Belsley, Kuh & Welsch 1980",
        summaries=("indices",),
    ),
    Metric(
        collinearity.diagnose,
        formula="vif and condition_indices from one QR decomposition",
        range=(1, math.inf),
        orientation="1 is best",
        symmetric=None,
        invariances=_UNITS,
        degenerate="as vif and condition_indices",
        source="Marquardt 1970; Belsley, Kuh & Welsch 1980",
        summaries=("inflation.vif", "condition.indices"),
    ),
    Metric(
        collinearity.gvif,
        formula="det R_SS det R_S'S' / det R for a set S and the other columns S'",
        range=(1, math.inf),
        orientation="1 is best: the set has nothing in common with the others",
        symmetric=None,
        invariances=_CENTERED,
        degenerate="NaN for constant columns; infinite where the set and the others meet exactly",
        source="Fox & Monette 1992",
        summaries=("value",),
    ),
)
