from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.coefficients import readout_regression
from toysae.diagnostics.collinearity import vif
from toysae.diagnostics.influence import leverage, sign_probability
from toysae.errors import DataError, ShapeError

from ._designs import LONGLEY, SMALL, SMALL_TARGET


def test_leverage_golden() -> None:
    found = leverage(SMALL)
    np.testing.assert_allclose(found, [11 / 15, 0.6, 1 / 3, 0.6, 11 / 15, 1], atol=1e-9)
    assert float(found.sum()) == pytest.approx(4)


def test_leverage_without_intercept_by_hand() -> None:
    found = leverage(np.array([[1.0], [2.0], [2.0]]), intercept=False)
    np.testing.assert_allclose(found, [1 / 9, 4 / 9, 4 / 9])


def test_the_only_firing_of_a_latent_has_leverage_one() -> None:
    x = np.random.default_rng(0).random((20, 2))
    x[:, 1] = 0
    x[7, 1] = 0.3
    found = leverage(x)
    assert float(found[7]) == pytest.approx(1)
    assert (found[:7] < 0.9).all()


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 5))
def test_leverage_sums_to_the_rank(seed: int, intercept: bool, k: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((9, k)) @ rng.standard_normal((k, k + 1))
    found = leverage(x, intercept=intercept)
    assert float(found.sum()) == pytest.approx(k + intercept, abs=1e-6)
    assert ((found >= intercept / 9 - 1e-12) & (found <= 1)).all()


@pytest.mark.parametrize(
    ("beta", "rho", "wrong"),
    [
        (0.5, 0, 2.87e-7),
        (0.5, 0.9, 0.014649),
        (0.5, 0.95, 0.059232),
        (0.5, 0.99, 0.240300),
        (0.1, 0, 0.158655),
        (0.1, 0.9, 0.331458),
        (0.1, 0.95, 0.377425),
        (0.1, 0.99, 0.443908),
    ],
)
def test_sign_probability_golden(beta: float, rho: float, wrong: float) -> None:
    """Two predictors with 100 samples of variance 1 and noise 1: `se² = VIF / 100`."""
    error = math.sqrt(1 / (1 - rho**2) / 100)
    for signed in (beta, -beta):
        found = sign_probability(np.array([signed]), np.array([error]))
        assert 1 - float(found[0]) == pytest.approx(wrong, rel=1e-2 if wrong < 1e-3 else 1e-4)


def test_sign_probability_of_the_undefined() -> None:
    found = sign_probability(np.array([0.0, math.nan, 1, 1, 0]), np.array([1, 1, math.nan, 0, 0.0]))
    np.testing.assert_allclose(found, [0.5, math.nan, math.nan, 1, math.nan])
    with pytest.raises(ShapeError):
        sign_probability(np.ones(2), np.ones(3))
    # A coefficient whose standard error is infinite may have either sign.
    assert sign_probability(np.ones(1), np.array([math.inf])).tolist() == [0.5]
    with pytest.raises(DataError, match="standard_errors down to -1: expected at least 0"):
        sign_probability(np.ones(2), np.array([math.nan, -1]))
    with pytest.raises(DataError, match="beta holds infinite"):
        sign_probability(np.array([math.inf]), np.ones(1))


@pytest.mark.parametrize(
    ("q", "error"), [(0.1, 0.010541), (0.01, 0.031782), (1e-3, 0.100050), (1e-4, 0.316244)]
)
def test_rare_latents_have_few_effective_samples(q: float, error: float) -> None:
    x = np.zeros((100_000, 1))
    x[: round(q * 100_000)] = 1
    assert float(vif(x).n_effective[0]) ** -0.5 == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize(("x", "y"), [(SMALL, SMALL_TARGET), (LONGLEY[:, 1:], LONGLEY[:, 0])])
def test_standard_errors_are_those_of_effective_samples(x: np.ndarray, y: np.ndarray) -> None:
    fit = readout_regression(x, y)
    expected = (fit.residual_variance / vif(x).n_effective).sqrt()
    np.testing.assert_allclose(fit.standard_errors, expected, rtol=1e-6)
