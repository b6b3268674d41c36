from __future__ import annotations

from tests.diagnostics.cases.collinearity import COLUMNS, a_design
from tests.metrics.case import SAMPLES, Case, a_dictionary, normal
from toysae.diagnostics import coefficients

CASES = {
    "readout_regression": Case(
        a_design,
        "a",
        lambda x: coefficients.readout_regression(x[:, :-1], x[:, -1]),
        applicable=COLUMNS,
    ),
    "implied_coefficients": Case(
        a_dictionary,
        "a",
        lambda d: coefficients.implied_coefficients(d, d.double().sum(0)),
        applicable=("scale_rows", "joint_rotation", "pad_dimensions"),
    ),
    "sign_errors": Case(
        lambda rng: [normal(rng, 8), normal(rng, 8), normal(rng, 8).abs()],
        "aaa",
        applicable=(*SAMPLES, "joint_scale"),
    ),
}
