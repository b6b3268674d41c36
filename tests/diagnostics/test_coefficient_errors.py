from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.diagnostics.coefficient_errors import (
    CoefficientErrors,
    attenuation_factor,
    coefficient_errors,
    omitted_variable_coefficient,
)
from toysae.diagnostics.collinearity import vif
from toysae.errors import DataError, ShapeError


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def close(values: Tensor, expected: object) -> bool:
    return torch.allclose(values, tensor(expected), rtol=0, atol=1e-6, equal_nan=True)


PARENT_AND_CHILD = tensor([[1, 0]] * 3 + [[1, 1]] * 3 + [[0, 0]] * 6)
ABSORBING = tensor([[1, 0]] * 3 + [[0, math.sqrt(2)]] * 3 + [[0, 0]] * 6)
ABSORBING_DECODER = tensor([[1, 0], [0.5**0.5, 0.5**0.5]])
READOUT = tensor([1, -0.5])


def absorption(**options: object) -> CoefficientErrors:
    return coefficient_errors(
        ABSORBING,
        ABSORBING_DECODER,
        PARENT_AND_CHILD,
        torch.eye(2).double(),
        READOUT,
        torch.tensor([0, 1]),
        **options,
    )


def test_absorption_is_an_error_of_definition() -> None:
    """The absorbing pair: the sign is wrong, the fit is perfect, and the VIF is 1.125."""
    found = absorption()
    assert close(found.estimate, [1, 0.353553])
    assert close(found.reference, [1, -0.5])
    assert close(found.error, [0, 0.853553])
    assert close(found.sampling, [0, 0])
    assert close(found.definition, [0, 0.853553])
    # The latent fires sqrt 2 where its feature is 1: λ = 1 / sqrt 2, and (λ - 1)(-0.5) = 0.146447.
    assert close(found.attenuation, [0, 0.146447])
    assert close(found.omission, [0, -0.146447])
    assert close(found.vif, [1.125, 1.125])
    assert close(found.collinearity, [1 / 9, 1 / 9])
    assert found.n_defined == 2
    assert found.median_sizes["definition"] == pytest.approx(0.853553 / 2, abs=1e-6)
    assert found.median_sizes["omission"] == pytest.approx(0.146447 / 2, abs=1e-6)


def test_gain_puts_the_error_in_units_of_the_feature() -> None:
    found = absorption(gain=tensor([1, math.sqrt(2)]))
    assert close(found.error, [0, 1.0])
    assert close(found.attenuation, [0, 0])
    assert close(found.omission, [0, 0.146447])


def test_shrinkage_is_attenuation_above_one() -> None:
    """A latent at .8 of its feature has 1 / .8 = 1.25 times its coefficient."""
    coefficients = tensor([[0.0], [1], [2], [0.5]])
    found = coefficient_errors(
        0.8 * coefficients, [[3.0]], coefficients, [[1.0]], [2.0], torch.tensor([0])
    )
    assert close(found.estimate, [2.5])
    assert close(found.attenuation, [0.5])
    assert close(found.definition + found.omission, [0])


def test_measurement_error_attenuates() -> None:
    """Variance .25 of the feature and .05 of the error: .25 / .30 = .833333."""
    feature, error = tensor([0, 0, 1, 1]), 0.05**0.5 * tensor([1, -1, 1, -1])
    found = coefficient_errors(
        (feature + error)[:, None],
        tensor([[1]]),
        feature[:, None],
        tensor([[1]]),
        tensor([-2]),
        torch.tensor([0]),
    )
    assert close(found.estimate, [-2 * 0.833333])
    assert close(found.attenuation, [2 * 0.166667])
    assert close(found.omission, [0])
    assert attenuation_factor(0.25, 0.05) == pytest.approx(0.833333, abs=1e-6)


def test_omitted_feature_turns_the_sign() -> None:
    """-1 + 2 * .8 = .6 where a feature with slope .8 on the only latent is left out."""
    own, apart = tensor([0, 0, 1, 1]), tensor([1, -1, 1, -1])
    found = coefficient_errors(
        own[:, None],
        tensor([[1, 0]]),
        torch.stack([own, 0.8 * own + apart], dim=1),
        torch.eye(2).double(),
        tensor([-1, 2]),
        torch.tensor([0]),
    )
    assert close(found.estimate, [0.6])
    assert close(found.omission, [1.6])
    assert close(found.definition, [0])
    assert close(found.attenuation, [0])
    assert omitted_variable_coefficient(-1, 2, 0.8) == pytest.approx(0.6)


def test_noise_is_sampling() -> None:
    """Noise 2 (x - mean) adds exactly 2 to the slope."""
    feature = tensor([0, 1, 2, 5])
    found = coefficient_errors(
        feature[:, None],
        tensor([[1]]),
        feature[:, None],
        tensor([[1]]),
        tensor([1]),
        torch.tensor([0]),
        noise=2 * (feature - 2),
    )
    assert close(found.estimate, [3])
    assert close(found.sampling, [2])
    assert close(found.error, [2])


def test_standard_errors_are_the_spread_of_the_sampling_part() -> None:
    """Over 400 draws the ratio of variances has a relative sd of sqrt(2 / 400) = .07."""
    rng = np.random.default_rng(0)
    design = rng.normal(size=(60, 2)) @ np.array([[1, 0.9], [0, 0.4]])
    sampling, errors = [], []
    for _ in range(400):
        found = coefficient_errors(
            design,
            np.eye(2),
            design,
            np.eye(2),
            [1.0, -1.0],
            torch.tensor([0, 1]),
            noise=rng.normal(size=60),
            gain=[2.0, -1.0],
        )
        sampling.append(found.sampling)
        errors.append(found.standard_errors)
    ratio = torch.stack(sampling).var(0) / torch.stack(errors).square().mean(0)
    assert ((ratio - 1).abs() < 4.5 * 0.07).all()


def random_world(seed: int, n: int, m: int) -> tuple[dict[str, object], Tensor]:
    rng = np.random.default_rng(seed)
    coefficients = rng.exponential(size=(50, n)) * (rng.random((50, n)) < 0.5)
    features, decoder = rng.normal(size=(n, 4)), rng.normal(size=(m, 4))
    latents = coefficients @ rng.normal(size=(n, m)) + 0.3 * rng.normal(size=(50, m))
    arguments = {
        "latents": latents,
        "decoder": decoder,
        "coefficients": coefficients,
        "features": features,
        "readout": rng.normal(size=4),
        "match": torch.from_numpy(rng.integers(-1, n, size=m)),
        "noise": rng.normal(size=50),
        "gain": rng.uniform(0.5, 2, size=m),
    }
    return arguments, torch.from_numpy(latents)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))
def test_parts_sum_to_the_error(seed: int, n: int, m: int) -> None:
    arguments, latents = random_world(seed, n, m)
    found = coefficient_errors(**arguments)
    parts = found.sampling + found.definition + found.attenuation + found.omission
    assert torch.allclose(parts, found.error, atol=1e-8, equal_nan=True)
    unmatched = arguments["match"] < 0
    assert torch.equal(found.error.isnan(), unmatched)
    assert torch.allclose(found.vif[~unmatched], vif(latents).vif[~unmatched], rtol=1e-8)


def test_duplicates_and_zero_rows_are_undefined() -> None:
    coefficients = tensor([[0, 1], [1, 0], [2, 1], [0, 3], [1, 1]])
    latents = torch.cat([coefficients, coefficients[:, :1], coefficients[:, 1:].square()], dim=1)
    found = coefficient_errors(
        latents,
        tensor([[1, 0], [0, 1], [1, 0], [0, 0]]),
        coefficients,
        torch.eye(2).double(),
        tensor([1, 1]),
        torch.tensor([0, 1, 0, 1]),
    )
    assert found.estimate.isnan().tolist() == [True, False, True, True]
    assert found.n_defined == 1
    assert found.median_sizes["error"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("variance", [-1.0, math.nan, math.inf])
def test_variances_are_checked(variance: float) -> None:
    with pytest.raises(DataError, match="expected finite numbers"):
        attenuation_factor(variance, 1)
    with pytest.raises(DataError, match="expected finite numbers"):
        attenuation_factor(1, variance)
    assert math.isnan(attenuation_factor(0, 0))
    with pytest.raises(DataError, match="expected finite numbers"):
        omitted_variable_coefficient(1, math.nan, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": torch.ones(12, 3)}, r"expected \[N, m\]"),
        ({"coefficients": torch.ones(11, 2)}, r"expected \[N, m\]"),
        ({"features": torch.ones(3, 2)}, r"expected \[N, m\]"),
        ({"features": torch.ones(2, 3)}, "same space"),
        ({"match": torch.tensor([0])}, "one feature below 2"),
        ({"match": torch.tensor([0, 2])}, "one feature below 2"),
        ({"readout": torch.ones(3)}, "readout"),
        ({"gain": torch.ones(3)}, "gain"),
    ],
)
def test_shapes_are_checked(change: dict[str, object], message: str) -> None:
    arguments = {
        "latents": ABSORBING,
        "decoder": ABSORBING_DECODER,
        "coefficients": PARENT_AND_CHILD,
        "features": torch.eye(2),
        "readout": READOUT,
        "match": torch.tensor([0, 1]),
    }
    with pytest.raises(ShapeError, match=message):
        coefficient_errors(**(arguments | change))
