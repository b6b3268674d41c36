from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toysae.diagnostics.coefficients import implied_coefficients, readout_regression, sign_errors
from toysae.diagnostics.collinearity import vif
from toysae.errors import DataError, ShapeError
from toysae.metrics.groups import by_group

from ._designs import LONGLEY, PARENT_AND_CHILD, SMALL, SMALL_TARGET, with_correlation

NAN = math.nan


def test_small_design() -> None:
    found = readout_regression(SMALL, SMALL_TARGET)
    assert found.intercept == pytest.approx(-0.883333, abs=1e-6)
    assert found.intercept_se == pytest.approx(0.375648, abs=1e-6)
    np.testing.assert_allclose(found.beta, [-0.016667, 1.716667, 0.4], atol=1e-6)
    np.testing.assert_allclose(found.standard_errors, [0.218581, 0.272845, 0.565685], atol=1e-6)
    np.testing.assert_allclose(found.t, found.beta / found.standard_errors)
    assert found.degrees_of_freedom == 2
    assert found.identifiable.all()


def test_longley_has_the_certified_values() -> None:
    # NIST Statistical Reference Datasets, Longley: certified to 15 digits.
    found = readout_regression(LONGLEY[:, 1:], LONGLEY[:, 0])
    np.testing.assert_allclose(
        found.beta,
        [
            15.0618722713733,
            -0.0358191792925910,
            -2.02022980381683,
            -1.03322686717359,
            -0.0511041056535807,
            1829.15146461355,
        ],
        rtol=1e-8,
    )
    np.testing.assert_allclose(
        found.standard_errors,
        [
            84.9149257747669,
            0.0334910077722432,
            0.488399681651699,
            0.214274163161675,
            0.226073200069370,
            455.478499142212,
        ],
        rtol=1e-8,
    )
    assert found.intercept == pytest.approx(-3482258.63459582, rel=1e-8)
    assert found.intercept_se == pytest.approx(890420.383607373, rel=1e-8)
    assert found.r_squared == pytest.approx(0.995479004577296, abs=1e-12)
    assert found.residual_variance == pytest.approx(304.854073561965**2, rel=1e-8)


def test_longley_signs_flip_without_the_last_year() -> None:
    whole = readout_regression(LONGLEY[:, 1:], LONGLEY[:, 0]).beta
    shorter = readout_regression(LONGLEY[:-1, 1:], LONGLEY[:-1, 0]).beta
    np.testing.assert_allclose(shorter[[0, 4]], [-20.510816, 0.051340], atol=1e-6)
    assert sign_errors(shorter, whole, torch.ones(6)).wrong.tolist() == [
        True, False, False, False, True, False,
    ]  # fmt: skip


def test_exact_collinearity() -> None:
    a, b = np.array([1.0, 2, 3, 4]), np.array([1.0, -1, 1, -1])
    for intercept in (True, False):
        found = readout_regression(np.stack([a, a, b], 1), 2 * a + b, intercept=intercept)
        assert found.identifiable.tolist() == [False, False, True]
        assert found.n_identifiable == 1
        np.testing.assert_allclose(found.minimum_norm, [1, 1, 1])
        np.testing.assert_allclose(found.beta, [NAN, NAN, 1])
        assert found.r_squared == pytest.approx(1)
        assert found.intercept == pytest.approx(0, abs=1e-12)
        assert found.degrees_of_freedom == 4 - 2 - intercept


def test_minimum_norm_is_in_the_units_of_the_data() -> None:
    # 2 b1 + b2 = 1 about a column (2a, a): the shortest is (2, 1) / 5.
    a = np.array([0.0, 1, 3])
    found = readout_regression(np.stack([2 * a, a], 1), a)
    np.testing.assert_allclose(found.minimum_norm, [0.4, 0.2])


def test_absorption_turns_the_sign_of_a_perfect_fit() -> None:
    readout = np.array([1.0, -0.5])
    y = PARENT_AND_CHILD @ readout
    decoder = np.array([[1.0, 0.0], [math.sqrt(0.5), math.sqrt(0.5)]])
    absorbing = np.repeat([[1.0, 0.0], [0.0, math.sqrt(2)], [0.0, 0.0]], [3, 3, 6], axis=0)
    np.testing.assert_allclose(absorbing @ decoder, PARENT_AND_CHILD, atol=1e-12)

    truth = readout_regression(PARENT_AND_CHILD, y)
    np.testing.assert_allclose(truth.beta, readout)
    latents = readout_regression(absorbing, y)
    np.testing.assert_allclose(latents.beta, [1, 0.353553], atol=1e-6)
    np.testing.assert_allclose(latents.beta, implied_coefficients(decoder, readout))
    assert latents.r_squared == pytest.approx(1)

    found = sign_errors(latents.beta, readout, latents.standard_errors)
    assert found.wrong.tolist() == [False, True]
    assert found.rate == 0.5
    np.testing.assert_allclose(found.expected, 0, atol=1e-12)


def test_hedged_latent() -> None:
    # The first right singular vector of the parent and child data.
    decoder = np.array([[0.850651, 0.525731]])
    readout = np.array([1.0, -0.5])
    implied = implied_coefficients(decoder, readout)
    np.testing.assert_allclose(implied, [0.587786], atol=1e-6)
    latent = PARENT_AND_CHILD @ decoder.T
    # An eigenvector of the second moments makes the fit about the origin exactly the implied one.
    found = readout_regression(latent, PARENT_AND_CHILD @ readout, intercept=False)
    np.testing.assert_allclose(found.beta, implied, atol=1e-6)
    assert math.isnan(found.intercept_se)


def test_hedged_latent_with_an_intercept() -> None:
    """Probabilities .3 and .2, together .1: the slope on the latent is not what its row implies."""
    features = np.repeat([[1.0, 1], [1, 0], [0, 1], [0, 0]], [1, 2, 1, 6], axis=0)
    decoder, readout = np.array([[0.850651, 0.525731]]), np.array([1.0, -0.5])
    found = readout_regression(features @ decoder.T, features @ readout)
    np.testing.assert_allclose(found.beta, [0.606122], atol=1e-6)
    np.testing.assert_allclose(implied_coefficients(decoder, readout), [0.587786], atol=1e-6)


def test_composed_latents_on_the_antipodal_sets() -> None:
    decoder = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) / math.sqrt(2)
    readout = np.array([1.0, -0.5])
    u = np.random.default_rng(0).random(200)
    latents = math.sqrt(2) * u[:, None] * np.eye(4)[np.arange(200) % 4]
    h = latents @ decoder
    np.testing.assert_allclose(np.abs(h), np.stack([u, u], 1))
    expected = [0.353553, 1.060660, -1.060660, -0.353553]
    np.testing.assert_allclose(readout_regression(latents, h @ readout).beta, expected, atol=1e-6)
    np.testing.assert_allclose(implied_coefficients(decoder, readout), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("rho", "large", "small"),
    [
        (0.0, 2.866516e-7, 0.158655),
        (0.9, 0.014649, 0.331458),
        (0.95, 0.059232, 0.377425),
        (0.99, 0.240300, 0.443908),
    ],
)
def test_expected_sign_errors(rho: float, large: float, small: float) -> None:
    x = 10 * with_correlation(np.array([[1, rho], [rho, 1]]), 100)
    errors = 1 / vif(x).n_effective.sqrt()
    found = sign_errors(np.ones(2), np.array([0.5, -0.1]), errors)
    np.testing.assert_allclose(found.expected, [large, small], rtol=5e-5)
    assert found.wrong.tolist() == [False, True]


def test_expected_sign_errors_happen() -> None:
    x = 10 * with_correlation(np.array([[1, 0.95], [0.95, 1]]), 100)
    truth = np.array([0.5, 0.5])
    errors = 1 / vif(x).n_effective.sqrt()
    rng = np.random.default_rng(0)
    runs = [
        sign_errors(
            readout_regression(x, x @ truth + rng.standard_normal(100)).beta, truth, errors
        ).wrong
        for _ in range(1000)
    ]
    # Two coefficients with .059232 each: within 5.5 standard deviations of the mean of one.
    rate = torch.stack(runs).double().mean(0).numpy()
    np.testing.assert_allclose(rate, 0.059232, atol=5.5 * math.sqrt(0.059 * 0.941 / 1000))


def test_wrong_signs_of_drawn_designs() -> None:
    """With predictors drawn anew the rate is a tail of Student's law and not the normal .059232.

    `P(t_98 > .5 sqrt(98 (1 - .95^2))) = .0627` without an intercept; METRICS.md found .0613 by
    simulation. 20,000 fits: a standard deviation of sqrt(.0627 * .9373 / 20,000) = .0017.
    """
    rng = np.random.default_rng(0)
    wrong = 0.0
    for _ in range(200):
        first, noise, error = rng.standard_normal((3, 100, 100))
        second = 0.95 * first + math.sqrt(1 - 0.95**2) * noise
        # The coefficient of the first, from the part of it that the second does not explain.
        own = first - second * ((first * second).sum(0) / (second**2).sum(0))
        beta = 0.5 + (own * error).sum(0) / (own**2).sum(0)
        wrong += float(sign_errors(beta, np.full(100, 0.5), np.ones(100)).wrong.sum())
    tail = stats.t.sf(0.5 * math.sqrt(98 * (1 - 0.95**2)), 98)
    assert tail == pytest.approx(0.0627, abs=1e-4)
    assert wrong / 20_000 == pytest.approx(tail, abs=4.5 * 0.0017)
    assert wrong / 20_000 == pytest.approx(0.0613, abs=4.5 * 0.0017)


def test_sign_errors_leave_out_what_has_no_sign() -> None:
    found = sign_errors(
        np.array([1.0, NAN, 1.0, 1.0, 0.0]),
        np.array([-1.0, 1.0, 0.0, NAN, 2.0]),
        np.array([1.0, NAN, 1.0, 1.0, 0.0]),
    )
    np.testing.assert_array_equal(found.wrong, [1, NAN, NAN, NAN, 1])
    assert found.defined.tolist() == [True, False, False, False, True]
    assert (found.n_defined, found.rate) == (2, 1.0)
    # Signs that are undefined are no right ones, also in a group.
    group = by_group(found.wrong, {"some": [0, 1, 2]})["some"]
    assert (group.mean, group.n_defined, group.n_total) == (1.0, 1, 3)
    np.testing.assert_allclose(found.expected, [0.158655, NAN, NAN, NAN, 0], atol=1e-6)
    assert math.isnan(sign_errors(np.ones(1), np.zeros(1), np.ones(1)).rate)


def designs() -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    def build(seed: int, extra: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((k + extra, k)) @ rng.standard_normal((k, k)) + rng.random(k)
        return x, rng.standard_normal(k + extra)

    return st.builds(build, st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(1, 5))


@given(designs(), st.booleans())
def test_agrees_with_the_normal_equations(
    data: tuple[np.ndarray, np.ndarray], intercept: bool
) -> None:
    x, y = data
    design = np.column_stack([np.ones(len(x)), x]) if intercept else x
    solution, rss = np.linalg.lstsq(design, y)[:2]
    covariance = np.linalg.inv(design.T @ design) * rss / (len(x) - design.shape[1])
    found = readout_regression(x, y, intercept=intercept)
    beta, errors = found.beta.numpy(), found.standard_errors.numpy()
    if intercept:
        beta, errors = np.r_[found.intercept, beta], np.r_[found.intercept_se, errors]
    np.testing.assert_allclose(beta, solution, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-5)
    np.testing.assert_allclose(found.minimum_norm, found.beta)
    assert 0 <= found.r_squared <= 1


@given(designs())
def test_standard_errors_come_from_the_effective_sample_size(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = data
    found = readout_regression(x, y)
    stated = (found.residual_variance / vif(x).n_effective).sqrt()
    np.testing.assert_allclose(found.standard_errors, stated, rtol=1e-6)


@given(designs(), st.booleans())
def test_singular_designs_have_the_shortest_solution(
    data: tuple[np.ndarray, np.ndarray], intercept: bool
) -> None:
    x, y = data
    x = np.hstack([x, x[:, :1] * 3])
    found = readout_regression(x, y, intercept=intercept)
    centered = x - x.mean(0) * intercept
    np.testing.assert_allclose(
        found.minimum_norm,
        np.linalg.pinv(centered, rcond=1e-12) @ (y - y.mean() * intercept),
        rtol=1e-4,
        atol=1e-6,
    )
    assert found.beta.isnan().tolist() == [True, *[False] * (x.shape[1] - 2), True]
    assert found.standard_errors.isnan().tolist() == found.beta.isnan().tolist()


def test_constant_predictor_and_intercept_are_one() -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]])
    with_intercept = readout_regression(x, np.array([2.0, 3.0, 5.0]))
    np.testing.assert_allclose(with_intercept.beta, [NAN, 1])
    assert math.isnan(with_intercept.intercept)
    assert math.isnan(with_intercept.intercept_se)
    without = readout_regression(x, np.array([2.0, 3.0, 5.0]), intercept=False)
    np.testing.assert_allclose(without.beta, [2, 1])
    assert without.intercept == 0


def test_one_hot_set_leaves_the_intercept_open() -> None:
    x = np.tile(np.eye(3), (2, 1))
    found = readout_regression(x, np.arange(6.0))
    assert math.isnan(found.intercept)
    assert not found.identifiable.any()
    assert readout_regression(x, np.arange(6.0), intercept=False).identifiable.all()


def test_undefined_statistics() -> None:
    flat = readout_regression(np.array([[1.0], [2.0], [4.0]]), np.full(3, 0.1))
    assert math.isnan(flat.r_squared)
    assert float(flat.beta[0]) == 0
    exact = readout_regression(np.array([[1.0], [2.0]]), np.array([1.0, 3.0]))
    assert exact.degrees_of_freedom == 0
    assert math.isnan(exact.residual_variance)
    np.testing.assert_allclose(exact.beta, [2])
    assert exact.standard_errors.isnan().all()


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"y of shape \(3,\): expected \[4\]"):
        readout_regression(np.eye(4), np.ones(3))
    with pytest.raises(DataError, match="y holds NaN"):
        readout_regression(np.eye(2), np.array([NAN, 1.0]))
    with pytest.raises(ShapeError, match=r"readout of shape \(3,\): expected \[2\]"):
        implied_coefficients(np.eye(2), np.ones(3))
    with pytest.raises(ShapeError, match="reference"):
        sign_errors(np.ones(2), np.ones(3), np.ones(2))
    with pytest.raises(DataError, match="standard_errors down to -1"):
        sign_errors(np.ones(1), np.ones(1), -np.ones(1))
    for name in ("beta", "reference"):
        given_as = {"beta": np.ones(1), "reference": np.ones(1), name: np.array([math.inf])}
        with pytest.raises(DataError, match=f"{name} holds infinite"):
            sign_errors(**given_as, standard_errors=np.ones(1))
