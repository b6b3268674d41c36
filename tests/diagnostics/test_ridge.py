from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.collinearity import vif
from toysae.diagnostics.ridge import regularized_vif, ridge_trace, ridge_vif
from toysae.errors import ConfigError, DataError, ShapeError

from ._designs import with_correlation

PENALTIES = np.array([0.0, 0.01, 0.1, 1.0])
TIGHT = np.array([[1, 0.95], [0.95, 1]])


def test_ridge_golden() -> None:
    # R = [[1, .95], [.95, 1]] and Xᵀy = (1.075, .875), so y = X (2.5, -1.5).
    x = with_correlation(TIGHT, 20)
    trace = ridge_trace(x, x @ [2.5, -1.5], PENALTIES)
    expected = [[2.5, -1.5], [2.164116, -1.169218], [1.142276, -0.191057], [0.425747, 0.235270]]
    np.testing.assert_allclose(trace.beta, expected, atol=1e-6)
    assert trace.sign_changes.tolist() == [0, 1]
    inflation = ridge_vif(x, PENALTIES)
    for column in inflation.vif.T:
        np.testing.assert_allclose(column, [10.256410, 7.198245, 1.343116, 0.134713], atol=1e-6)
    assert float(inflation.degrees_of_freedom[2]) == pytest.approx(1.284553, abs=1e-6)
    np.testing.assert_allclose(trace.degrees_of_freedom, inflation.degrees_of_freedom)
    assert inflation.penalties.tolist() == PENALTIES.tolist()


def test_regularized_by_hand() -> None:
    # R_λ has the correlation .95 (1 - λ).
    shares = np.array([0.0, 0.1, 1.0])
    found = regularized_vif(with_correlation(TIGHT, 20), shares)
    expected = 1 / (1 - (0.95 * (1 - shares)) ** 2)
    np.testing.assert_allclose(found.vif, np.stack([expected, expected], axis=1))
    assert found.degrees_of_freedom[-1] == 0


@given(st.integers(0, 2**32 - 1))
def test_properties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, 4)) @ rng.standard_normal((4, 4))
    found, r = ridge_vif(x, PENALTIES), np.corrcoef(x.T)
    np.testing.assert_allclose(found.vif[0], vif(x).vif, rtol=1e-6)
    assert (found.vif[1:] < found.vif[:-1]).all()
    assert (found.degrees_of_freedom[1:] < found.degrees_of_freedom[:-1]).all()
    assert float(found.degrees_of_freedom[0]) == pytest.approx(4)
    inverse = np.linalg.inv(r + 0.1 * np.eye(4))
    np.testing.assert_allclose(found.vif[2], np.diag(inverse @ r @ inverse), rtol=1e-6)
    curve = regularized_vif(x, PENALTIES)
    np.testing.assert_allclose(
        curve.vif[1], np.diag(np.linalg.inv(0.99 * r + 0.01 * np.eye(4))), rtol=1e-6
    )
    assert (curve.vif[1:].numpy() <= 1 / PENALTIES[1:, None] + 1e-9).all()


def test_exact_relations_and_constants() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 10))
    x = np.stack([a, a, b, np.full(10, 0.1)], axis=1)
    found = ridge_vif(x, np.array([0.0, 0.5]))
    assert found.vif.isnan().tolist() == [[True, True, True, True], [False, False, False, True]]
    assert float(found.degrees_of_freedom[0]) == 2
    # R restricted to (a, a) has the eigenvalue 2 along (1, 1): half of 2 / (2 + .5)².
    lone = ridge_vif(np.stack([a, a], axis=1), np.array([0.5]))
    np.testing.assert_allclose(lone.vif, [[0.16, 0.16]])
    shared = ridge_trace(np.stack([a, a], axis=1), a, np.array([1e-9]))
    half = np.linalg.norm(a - a.mean()) / 2
    np.testing.assert_allclose(shared.beta, [[half, half]])


@pytest.mark.parametrize("function", [ridge_vif, regularized_vif])
def test_errors(function: object) -> None:
    x = with_correlation(TIGHT, 20)
    with pytest.raises(ConfigError, match="from 0"):
        function(x, np.array([-0.1]))
    with pytest.raises(ShapeError, match="expected"):
        function(x[0], PENALTIES)
    with pytest.raises(DataError, match="NaN"):
        function(x, np.array([np.nan]))
    with pytest.raises(ShapeError, match=r"of shape \(\): expected one axis"):
        function(x, np.array(0.1))


def test_errors_of_single_functions() -> None:
    x = with_correlation(TIGHT, 20)
    with pytest.raises(ConfigError, match=r"shares=\[1\.5\]: allowed are values from 0 to 1$"):
        regularized_vif(x, np.array([1.5]))
    with pytest.raises(ShapeError, match=r"\[20\]"):
        ridge_trace(x, np.ones(3), PENALTIES)
