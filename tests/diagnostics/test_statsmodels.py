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


TWO = SMALL[:, :2]
ONE_HOT = np.tile(np.eye(3), (4, 1))
CONSTANT = np.column_stack([TWO, np.full(6, 2.0)])


@pytest.mark.skipif(not STANDARDIZES, reason="this version of statsmodels does not standardise")
class TestOfTheInstalledVersion:
    """What statsmodels 0.15 gives, and what is said here of the same columns (METRICS.md, 6.3)."""

    def test_longley(self) -> None:
        x = LONGLEY[:, 1:]
        assert theirs(x, standardize=False)[0] == pytest.approx(12425.51, abs=5e-3)
        assert theirs(x, standardize=True)[0] == pytest.approx(135.53, abs=5e-3)
        assert float(vif_uncentered(x).vif[0]) == pytest.approx(12425.51, abs=5e-3)
        assert float(vif(x).vif[0]) == pytest.approx(135.53, abs=5e-3)
        with_constant = theirs(add_constant(x), standardize=True)
        assert with_constant[:2] == pytest.approx([1.0, 135.53], abs=5e-3)
        # A constant has no VIF here.
        np.testing.assert_allclose(vif(add_constant(x)).vif[:2], [np.nan, 135.53], atol=5e-3)

    def test_an_exact_duplicate_is_clipped(self) -> None:
        x = np.column_stack([TWO, TWO[:, 0]])
        found = theirs(x, standardize=True)
        assert found[0] == found[2] == pytest.approx(1000799917193443.5, rel=1e-6)
        assert vif(x).vif.isinf().tolist() == [True, False, True]

    def test_a_one_hot_set_without_a_constant(self) -> None:
        assert theirs(ONE_HOT, standardize=True) == pytest.approx([1.0008e15] * 3, rel=1e-4)
        assert theirs(ONE_HOT, standardize=False) == pytest.approx([1.0] * 3)
        assert vif(ONE_HOT).vif.isinf().all()
        np.testing.assert_allclose(vif_uncentered(ONE_HOT).vif, 1)

    def test_a_zero_column(self) -> None:
        x = np.column_stack([TWO, np.zeros(6)])
        expected = [3.19, 3.19, np.nan]
        np.testing.assert_allclose(theirs(x, standardize=True), expected, atol=5e-3)
        np.testing.assert_allclose(vif(x).vif, expected, atol=5e-3)
        uncentered = [15.42, 15.42, np.nan]
        np.testing.assert_allclose(theirs(x, standardize=False), uncentered, atol=5e-3)
        np.testing.assert_allclose(vif_uncentered(x).vif, uncentered, atol=5e-3)

    def test_a_constant_column(self) -> None:
        np.testing.assert_allclose(theirs(CONSTANT, standardize=True), [3.19, 3.19, 1], atol=5e-3)
        np.testing.assert_allclose(vif(CONSTANT).vif, [3.19, 3.19, np.nan], atol=5e-3)
        # Where it finds a constant it takes R^2 about the mean, but for the constant itself.
        found = theirs(CONSTANT, standardize=False)
        np.testing.assert_allclose(found, [3.19, 3.19, 5.59], atol=5e-3)
        gram = CONSTANT.T @ CONSTANT
        about_origin = np.diag(np.linalg.inv(gram)) * np.diag(gram)
        np.testing.assert_allclose(vif_uncentered(CONSTANT).vif, about_origin)
        assert about_origin[2] == pytest.approx(found[2])


def test_exact_relations() -> None:
    x = np.hstack([SMALL, SMALL[:, :1]])
    large = np.array(theirs(x, standardize=False)) >= 1e12
    assert vif_uncentered(x).vif.isinf().tolist() == large.tolist() == [True, False, False, True]


@pytest.mark.parametrize("x", DESIGNS)
def test_leverage(x: np.ndarray) -> None:
    fit = OLS(np.arange(len(x), dtype=float), add_constant(x)).fit()
    np.testing.assert_allclose(leverage(x), OLSInfluence(fit).hat_matrix_diag, atol=1e-7)
