"""Every number that an argument may be: the ends of its range are taken, what is beyond is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.argument_ranges import (
    ABOVE_1,
    BELOW_0,
    BELOW_1,
    BEYOND_0_TO_1,
    Arguments,
    Call,
    refused,
    taken,
)
from toysae.diagnostics.coefficient_errors import attenuation_factor, omitted_variable_coefficient
from toysae.diagnostics.coefficient_stability import bootstrap_coefficients, estimators
from toysae.diagnostics.coefficients import sign_errors
from toysae.diagnostics.collinearity import condition_indices, gvif
from toysae.diagnostics.conditioning import harmful_relations
from toysae.diagnostics.explanations import (
    eigenspace_overlap,
    expected_max_abs_cosine_of_basis,
    explain_latents,
)
from toysae.diagnostics.large import sparse_collinearity
from toysae.diagnostics.local import block_local_vif
from toysae.diagnostics.moments import ica
from toysae.diagnostics.pca import participation_ratio, pca
from toysae.diagnostics.readouts import readout_fits
from toysae.diagnostics.ridge import regularized_vif, ridge_trace, ridge_vif
from toysae.diagnostics.sparse import sparse_block_local_vif, sparse_regularized_vif
from toysae.errors import ToysaeError
from toysae.metrics.codes import SparseCodes

X = np.random.default_rng(0).standard_normal((40, 3))
Y = X @ [1.0, -2.0, 0.5]
CODES = SparseCodes.from_dense(torch.from_numpy(np.maximum(X, 0)))
COMPONENTS = pca(X)
COLLINEARITY = sparse_collinearity(CODES)
BELSLEY = condition_indices(X)

FROM_0_BELOW_1, BEYOND_THAT = (0.0, 0.5, BELOW_1), (BELOW_0, 1.0, math.nan)
INFINITE = (math.inf, -math.inf, math.nan)

ARGUMENTS: Arguments = {
    "attenuation variance": (
        lambda v: attenuation_factor(v, 1.0), (0.0, 1e300), (BELOW_0, math.inf, math.nan)
    ),
    "attenuation error_variance": (
        lambda v: attenuation_factor(1.0, v), (0.0, 1e300), (BELOW_0, math.inf, math.nan)
    ),
    "omitted own": (lambda b: omitted_variable_coefficient(b, 1, 1), (-1e300, 1e300), INFINITE),
    "omitted omitted": (
        lambda b: omitted_variable_coefficient(1, b, 1), (-1e300, 1e300), INFINITE
    ),
    "omitted slope": (lambda b: omitted_variable_coefficient(1, 1, b), (-1e300, 1e300), INFINITE),
    "bootstrap n_resamples": (
        lambda n: bootstrap_coefficients(X, Y, n_resamples=n), (1, 2), (0, -1)
    ),
    "bootstrap sequence_length": (
        lambda n: bootstrap_coefficients(X, Y, n_resamples=2, sequence_length=n),
        (1, 2), (0, -1),
    ),
    "penalties of lasso": (
        lambda p: estimators(X, Y, [p]), (1e-9, 1e9), (0.0, -1.0, math.inf, math.nan)
    ),
    "samples of estimators": (lambda n: estimators(X[:n], Y[:n]), (5, 6), (4,)),
    "standard errors": (
        lambda s: sign_errors([1.0, 2.0], [1.0, 2.0], [s, 1.0]), (0.0, 1e300), (BELOW_0, -1.0)
    ),
    "gvif subset": (lambda j: gvif(X, [0, j]), (1, 2), (-1, 0, 3)),
    "harmful above": (
        lambda a: harmful_relations(BELSLEY, above=a), (1.0, 1e9), (BELOW_1, 0.0, math.nan)
    ),
    "harmful share": (lambda s: harmful_relations(BELSLEY, share=s), FROM_0_BELOW_1, BEYOND_THAT),
    "overlap n_components": (
        lambda k: eigenspace_overlap(COMPONENTS, COMPONENTS, k), (1, 3), (0, 4)
    ),
    "basis k": (lambda k: expected_max_abs_cosine_of_basis(3, k), (0, 3), (-1, 4)),
    "basis d": (lambda d: expected_max_abs_cosine_of_basis(d, 0), (1, 2), (0, -1)),
    "pairs": (
        lambda j: explain_latents(np.eye(3), np.eye(3), COMPONENTS, pairs=[(1, j)]),
        (0, 2), (-1, 1, 3),
    ),
    "dense density": (COLLINEARITY.dense, (0.0, 1.0), BEYOND_0_TO_1),
    "min_firings": (lambda n: sparse_collinearity(CODES, min_firings=n), (0, 1), (-1,)),
    "min_firings of shrunken": (
        lambda n: sparse_regularized_vif(CODES, [0.5], min_firings=n), (0, 1), (-1,)
    ),
    "min_firings of blocks": (
        lambda n: sparse_block_local_vif(CODES, min_firings=n), (0, 1), (-1,)
    ),
    "shares of codes": (
        lambda s: sparse_regularized_vif(CODES, [s]), (1e-9, 1.0), (9.9e-10, ABOVE_1, math.nan)
    ),
    "threshold of codes": (lambda t: sparse_block_local_vif(CODES, t), FROM_0_BELOW_1, BEYOND_THAT),
    "threshold": (lambda t: block_local_vif(X, t), FROM_0_BELOW_1, BEYOND_THAT),
    "ica n_components": (lambda k: ica(X, k, seed=0), (1, 3), (0, 4)),
    "pca samples": (lambda n: pca(X[:n]), (2, 3), (0, 1)),
    "pca confidence": (
        lambda p: pca(X, confidence=p), (1e-9, BELOW_1), (0.0, 1.0, -0.5, math.nan)
    ),
    "eigenvalues": (
        lambda v: participation_ratio(torch.tensor([1.0, v])), (0.0, 1e9), (-1e-9, math.inf)
    ),
    "match": (
        lambda j: readout_fits(X, X, X, Y, torch.tensor([0, 1, j])), (-1, 2), (3, 9)
    ),
    "penalties of trace": (
        lambda p: ridge_trace(X, Y, [p]), (0.0, 1e9), (BELOW_0, math.inf, math.nan)
    ),
    "penalties of vif": (lambda p: ridge_vif(X, [p]), (0.0, 1e9), (BELOW_0, math.inf, math.nan)),
    "shares": (lambda s: regularized_vif(X, [s]), (0.0, 1.0), BEYOND_0_TO_1),
}  # fmt: skip


@taken(ARGUMENTS)
def test_ends_of_the_range_are_taken(call: Call, value: Any) -> None:
    call(value)


@refused(ARGUMENTS)
def test_what_is_beyond_is_refused(call: Call, value: Any) -> None:
    with pytest.raises(ToysaeError):
        call(value)
