"""The same numbers as statsmodels, where it computes the same thing.

From 0.15.0 on `variance_inflation_factor` standardises first, which changes what it means without a
constant: what is compared holds for both.
"""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from statsmodels.api import OLS, add_constant
from statsmodels.stats.outliers_influence import OLSInfluence, variance_inflation_factor

from toysae.diagnostics.collinearity import vif, vif_uncentered
from toysae.diagnostics.influence import leverage

from ._designs import LONGLEY, SMALL, with_correlation

STANDARDIZES = "standardize" in inspect.signature(variance_inflation_factor).parameters
DESIGNS = [
    LONGLEY[:, 1:],
    SMALL,
    with_correlation(np.full((3, 3), 0.9) + 0.1 * np.eye(3), 40) + 2,
]


def theirs(x: np.ndarray, *, standardize: bool) -> list[float]:
    options = {"standardize": standardize} if STANDARDIZES else {}
    with warnings.catch_warnings():
        # It warns of the condition number, by versions and designs.
        warnings.simplefilter("ignore")
        return [variance_inflation_factor(x, j, **options) for j in range(x.shape[1])]


@pytest.mark.parametrize("x", DESIGNS)
def test_centered(x: np.ndarray) -> None:
    # With a constant among the columns, older versions compute the centred one too.
    np.testing.assert_allclose(vif(x).vif, theirs(add_constant(x), standardize=False)[1:], 1e-5)


@pytest.mark.parametrize("x", DESIGNS)
def test_about_the_origin(x: np.ndarray) -> None:
    np.testing.assert_allclose(vif_uncentered(x).vif, theirs(x, standardize=False), rtol=1e-5)


@pytest.mark.skipif(not STANDARDIZES, reason="this version of statsmodels does not standardise")
@pytest.mark.parametrize("x", DESIGNS)
def test_standardized(x: np.ndarray) -> None:
    np.testing.assert_allclose(vif(x).vif, theirs(x, standardize=True), rtol=1e-5)


def test_exact_relations() -> None:
    x = np.hstack([SMALL, SMALL[:, :1]])
    large = np.array(theirs(x, standardize=False)) >= 1e12
    assert vif_uncentered(x).vif.isinf().tolist() == large.tolist() == [True, False, False, True]


@pytest.mark.parametrize("x", DESIGNS)
def test_leverage(x: np.ndarray) -> None:
    fit = OLS(np.arange(len(x), dtype=float), add_constant(x)).fit()
    np.testing.assert_allclose(leverage(x), OLSInfluence(fit).hat_matrix_diag, atol=1e-7)
