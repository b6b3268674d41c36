from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from toysae.diagnostics.coefficient_stability import estimators
from toysae.diagnostics.pca import pca
from toysae.diagnostics.readouts import readout_estimators, readout_fits
from toysae.errors import DataError, ShapeError


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def close(values: Tensor, expected: object) -> bool:
    return torch.allclose(values, tensor(expected), rtol=0, atol=1e-6, equal_nan=True)


def test_readout_on_four_sets_of_predictors() -> None:
    rng = np.random.default_rng(1)
    coefficients = torch.from_numpy(rng.exponential(size=(80, 3)))
    features = torch.eye(3).double()[:, [1, 2, 0]]
    latents = torch.cat([coefficients[:, [2, 0]], tensor(rng.normal(size=(80, 1)))], dim=1)
    hidden, readout = coefficients @ features, tensor([1, -2, 0.5])
    fits = readout_fits(coefficients, latents, hidden, hidden @ readout, torch.tensor([1, -1, 0]))
    assert close(fits.features.beta, (features @ readout).tolist())
    assert fits.matched_latents.tolist() == [0, 1]
    assert len(fits.latents.beta) == 3
    assert len(fits.matched.beta) == 2
    assert fits.matched.r_squared <= fits.latents.r_squared < 1
    assert fits.components.r_squared == pytest.approx(1)
    assert float(fits.components.beta.norm()) == pytest.approx(float(readout.norm()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_components_without_variance_have_no_coefficient(dtype: torch.dtype) -> None:
    """Hidden samples in a plane of five dimensions: beyond two components all is rounding."""
    rng = np.random.default_rng(0)
    coefficients = torch.from_numpy(rng.exponential(size=(60, 2)))
    features = torch.from_numpy(rng.normal(size=(2, 5)))
    hidden = (coefficients @ features + 3).to(dtype)
    y = hidden @ torch.ones(5, dtype=dtype) + torch.from_numpy(rng.normal(size=60)).to(dtype)
    found = readout_fits(coefficients, coefficients, hidden, y, torch.tensor([0, 1]))
    assert found.n_components == 2
    assert found.components.beta.isnan().tolist() == [False, False, True, True, True]
    assert found.components.standard_errors.isnan().tolist() == [False, False, True, True, True]
    # The plane of the components is that of the features, so the fit is the same.
    assert found.components.r_squared == pytest.approx(found.features.r_squared, abs=1e-5)
    assert found.components.minimum_norm.abs().max() < 10


def test_a_hidden_space_without_variance_has_no_component() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 2)))
    found = readout_fits(x, x, torch.ones(6, 3), x[:, 0], torch.tensor([0, 1]))
    assert found.n_components == 0
    assert found.components.beta.isnan().all()
    assert found.components.r_squared == 0


def test_every_estimator_on_the_four_sets() -> None:
    """Latents are features at .5 and at 2, and a copy of the first: ridge shares between both."""
    rng = np.random.default_rng(1)
    c = torch.from_numpy(rng.normal(size=(80, 2)))
    z = torch.stack([0.5 * c[:, 0], 2 * c[:, 1], 0.5 * c[:, 0]], dim=1)
    y = c @ tensor([1.0, -2])
    match, penalties = torch.tensor([0, 1]), (0.1, 1.0)
    found = readout_estimators(c, z, c, y, match, penalties)
    assert close(found.features.least_squares, [1, -2])
    assert close(found.matched.least_squares, [2, -1])
    assert found.matched_latents.tolist() == [0, 1]
    assert found.latents.least_squares.isnan().tolist() == [True, False, True]
    assert torch.allclose(found.latents.ridge[:, 0], found.latents.ridge[:, 2])
    assert found.matched.agree.all()
    axes = pca(c).components
    assert torch.allclose(found.components.least_squares, axes @ tensor([1.0, -2]))
    direct = estimators(z[:, :2], y, penalties)
    assert torch.equal(found.matched.ridge, direct.ridge)
    assert torch.equal(found.matched.lasso, direct.lasso)


def test_matches_are_checked() -> None:
    x = torch.ones(4, 2)
    with pytest.raises(DataError, match="names no latent"):
        readout_fits(x, x, x, x[:, 0], torch.tensor([-1, -1]))
    with pytest.raises(ShapeError, match="one latent below 2"):
        readout_fits(x, x, x, x[:, 0], torch.tensor([0, 2]))
    with pytest.raises(ShapeError, match="expected the same samples"):
        readout_fits(x, x[:3], x, x[:, 0], torch.tensor([0, 1]))
    with pytest.raises(ShapeError, match=r"y of shape \(3,\)"):
        readout_fits(x, x, x, x[:3, 0], torch.tensor([0, 1]))
