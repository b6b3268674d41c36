from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from toysae.diagnostics.coefficient_stability import (
    bootstrap_coefficients,
    coefficient_stability,
    estimators,
)
from toysae.diagnostics.coefficients import readout_regression
from toysae.errors import ConfigError, DataError, ShapeError

NAN = math.nan


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_stability_by_hand() -> None:
    replicates = tensor([[1, 1, NAN], [2, -1, NAN], [3, 0, 5], [2, 2, NAN]])
    found = coefficient_stability(replicates, tensor([2, -1, 4]))
    assert found.mean.tolist() == [2, 0.5, 5]
    assert found.sd[:2].tolist() == pytest.approx([0.816497, 1.290994], abs=1e-6)
    assert math.isnan(found.sd[2])
    assert found.sign_agreement.tolist() == [1, 0.25, 1]
    # Of the six pairs of (1, -1, 0, 2) two have opposite signs: (1, -1) and (-1, 2).
    assert found.sign_flip_rate[:2].tolist() == pytest.approx([0, 2 / 6])
    assert math.isnan(found.sign_flip_rate[2])
    assert found.n_defined.tolist() == [4, 4, 1]


def test_estimates_without_a_sign_have_no_agreement() -> None:
    found = coefficient_stability(tensor([[1, 1], [1, 1]]), tensor([0, NAN]))
    assert found.sign_agreement.isnan().all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_flips_are_pairs_of_opposite_signs(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).integers(-2, 3, size=(n, 3)).astype(float)
    found = coefficient_stability(values, np.ones(3))
    pairs = [(i, j) for i in range(n) for j in range(i)]
    flips = np.mean([values[i] * values[j] < 0 for i, j in pairs], axis=0)
    assert found.sign_flip_rate.numpy() == pytest.approx(flips)
    assert found.sign_agreement.numpy() == pytest.approx((values > 0).mean(axis=0))
    assert found.sd.numpy() == pytest.approx(values.std(axis=0, ddof=1))


def correlated_design(n: int, rho: float, seed: int = 0) -> Tensor:
    first, second = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, n)))
    return torch.stack([first, rho * first + (1 - rho**2) ** 0.5 * second], dim=1)


def test_bootstrap_spread_is_the_standard_error() -> None:
    x = correlated_design(400, 0.9)
    y = x.sum(1) + torch.from_numpy(np.random.default_rng(1).normal(size=400))
    betas = bootstrap_coefficients(x, y, n_resamples=400, seed=3)
    expected = readout_regression(x, y).standard_errors
    # sd of a sd over 400 resamples: 1 / sqrt(800) = 3.5 %, and 5 % between the two estimators.
    assert (betas.std(0) / expected - 1).abs().max() < 0.2


def test_bootstrap_takes_whole_sequences() -> None:
    """Twenty copies of each of 30 samples are 30 independent ones, not 600."""
    x = correlated_design(30, 0.0)
    y = x.sum(1) + torch.from_numpy(np.random.default_rng(1).normal(size=30))
    x20, y20 = x.repeat_interleave(20, 0), y.repeat_interleave(20, 0)
    by_sequence = bootstrap_coefficients(x20, y20, sequence_length=20, seed=5)
    assert torch.allclose(by_sequence, bootstrap_coefficients(x, y, seed=5))
    by_token = bootstrap_coefficients(x20, y20, seed=5)
    assert by_sequence.std(0).min() > 3 * by_token.std(0).max()


def test_bootstrap_is_a_function_of_the_seed() -> None:
    x = correlated_design(20, 0.5)
    first, again, other = (
        bootstrap_coefficients(x, x[:, 0], n_resamples=3, seed=s) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert first.shape == (3, 2)
    noisy = x[:, 0] + x[:, 1].square()
    assert not torch.equal(
        bootstrap_coefficients(x, noisy, n_resamples=3, seed=1),
        bootstrap_coefficients(x, noisy, n_resamples=3, seed=2),
    )
    assert torch.allclose(other, tensor([1, 0]).expand(3, 2), atol=1e-8)


def test_resamples_without_a_predictor_are_undefined() -> None:
    x = torch.zeros(5, 1).double()
    x[0] = 1
    betas = bootstrap_coefficients(x, x[:, 0], n_resamples=50)
    # All resamples that miss the only sample that fires: (4 / 5)^5 = 33 %.
    assert 0 < int(betas.isnan().sum()) < 50
    assert torch.allclose(betas[~betas.isnan()], tensor(1.0))


def test_resamples_keep_the_precision_that_the_data_are_stored_in() -> None:
    """In float32 a + b is the sum up to rounding only: it is the sum all the same."""
    a, b = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 40))).float()
    x = torch.stack([a, b, a + b], dim=1)
    for given_as in (x, x.numpy()):
        assert readout_regression(given_as, a).beta.isnan().all()
        assert bootstrap_coefficients(given_as, a, n_resamples=5).isnan().all()


def test_ridge_trace_turns_the_sign() -> None:
    """rho .95, products (1.075, .875) with unit columns; one sign turns."""
    basis = torch.linalg.qr(torch.cat([torch.ones(6, 1), torch.eye(6)[:, :2]], dim=1).double()).Q
    first, second = basis[:, 1], 0.95 * basis[:, 1] + (1 - 0.95**2) ** 0.5 * basis[:, 2]
    x = torch.stack([first, second], dim=1)
    y = 2.5 * first - 1.5 * second
    found = estimators(x, y, penalties=(0.01, 0.1, 1.0))
    assert found.least_squares.tolist() == pytest.approx([2.5, -1.5], abs=1e-6)
    assert found.ridge[0].tolist() == pytest.approx([2.164116, -1.169218], abs=1e-6)
    assert found.ridge[1].tolist() == pytest.approx([1.142276, -0.191057], abs=1e-6)
    assert found.ridge[2].tolist() == pytest.approx([0.425747, 0.235270], abs=1e-6)
    assert found.marginal.tolist() == pytest.approx([1.075, 0.875], abs=1e-6)
    assert found.agree.tolist() == [True, False]
    assert found.penalties == (0.01, 0.1, 1.0)


def test_estimators_are_per_raw_unit() -> None:
    x, units = correlated_design(50, 0.5), tensor([10, 0.1])
    y = x @ tensor([1, -2]) + torch.from_numpy(np.random.default_rng(2).normal(size=50))
    plain, scaled = estimators(x, y), estimators(x * units + 3, y - 7)
    for name in ("least_squares", "marginal", "ridge", "lasso"):
        assert torch.allclose(getattr(plain, name), getattr(scaled, name) * units, rtol=1e-6), name
    # sklearn's penalty is on columns of length sqrt(N) sd, ours on columns of length 1.
    deviations = x - x.mean(0)
    lengths = deviations.norm(dim=0)
    model = Ridge(alpha=1.0, fit_intercept=True).fit((deviations / lengths).numpy(), y.numpy())
    assert plain.ridge[2].numpy() == pytest.approx(model.coef_ / lengths.numpy())


def test_lasso_keeps_what_matters() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(300, 4)))
    y = 2 * x[:, 0] - x[:, 1] + 0.1 * torch.from_numpy(rng.normal(size=300))
    assert estimators(x, y).lasso.numpy() == pytest.approx([2, -1, 0, 0], abs=0.05)
    assert estimators(x, y, penalties=()).ridge.shape == (0, 4)


def test_constant_predictors_and_targets() -> None:
    x = torch.cat([correlated_design(10, 0.0)[:, :1], torch.full((10, 1), 3.0)], dim=1)
    found = estimators(x, x[:, 0])
    assert found.marginal.isnan().tolist() == [False, True]
    assert found.ridge[:, 1].tolist() == [0, 0, 0, 0]
    assert found.agree.tolist() == [True, False]
    flat = estimators(x, torch.ones(10))
    assert flat.lasso.tolist() == [0, 0]
    assert not flat.agree.any()


def test_sign_confidence_is_that_of_t() -> None:
    """Phi(|t|)."""
    x = correlated_design(40, 0.95)
    y = x.sum(1) / 2 + torch.from_numpy(np.random.default_rng(1).normal(size=40))
    fit = readout_regression(x, y)
    expected = [0.5 * (1 + math.erf(abs(t) / math.sqrt(2))) for t in fit.t.tolist()]
    assert fit.sign_confidence.tolist() == pytest.approx(expected)


def test_errors() -> None:
    x = correlated_design(10, 0.5)
    with pytest.raises(ShapeError, match="whole sequences"):
        bootstrap_coefficients(x, x[:, 0], sequence_length=3)
    with pytest.raises(ConfigError, match="n_resamples=0"):
        bootstrap_coefficients(x, x[:, 0], n_resamples=0)
    with pytest.raises(ConfigError, match="sequence_length=0"):
        bootstrap_coefficients(x, x[:, 0], sequence_length=0)
    with pytest.raises(ShapeError, match="expected"):
        coefficient_stability(torch.ones(3), torch.ones(3))
    with pytest.raises(ShapeError, match="estimate"):
        coefficient_stability(torch.ones(3, 2), torch.ones(3))
    with pytest.raises(DataError, match="replicates hold infinite"):
        coefficient_stability(torch.full((3, 2), math.inf), torch.ones(2))
    with pytest.raises(DataError, match="estimate holds infinite"):
        coefficient_stability(torch.ones(3, 2), torch.full((2,), -math.inf))
    with pytest.raises(ConfigError, match="penalties: found 0"):
        estimators(x, x[:, 0], penalties=(0,))
    with pytest.raises(DataError, match="5 folds"):
        estimators(x[:4], x[:4, 0])
