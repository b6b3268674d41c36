from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from toysae.saes.l0_penalty import L0
from toysae.saes.log_penalty import Log
from toysae.saes.lp import Lp
from toysae.saes.relu import ReLU
from toysae.saes.tanh_penalty import Tanh
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.simd import load, store
from toysae.training.kernels.simd_types import LANES
from toysae.training.kernels.vector_penalties import value_and_slope


@njit
def evaluate(kind, u, parameter, values, slopes):
    for at in range(0, u.size, LANES):
        value, slope = value_and_slope(kind, load(u, at), parameter)
        store(values, at, value)
        store(slopes, at, slope)


@pytest.mark.parametrize(
    "family", [ReLU(), Lp(), Lp(p=0.9), Log(), Tanh(scale=2.0), L0()], ids=lambda f: repr(f)[:10]
)
def test_values_and_slopes_are_those_of_the_family(family):
    u = np.r_[np.geomspace(1e-8, 50, 1023), 1.0].astype(np.float32)
    values, slopes = np.empty_like(u), np.empty_like(u)
    parameter = family.penalty_parameter(torch.zeros(()))
    kind = (0,) * PENALTIES[family.penalty_name]
    evaluate(kind, u, np.float32(parameter), values, slopes)
    exact = torch.tensor(u, dtype=torch.float64, requires_grad=True)
    expected = family.phi(exact, parameter.double())
    (gradient,) = torch.autograd.grad(expected.sum(), exact)
    # What is left of a tanh near 1 is rounding, and log(1 + u) forgets a small u.
    np.testing.assert_allclose(values, expected.detach(), rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(slopes, gradient, rtol=3e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["l1", "lp", "log", "tanh", "l0"])
def test_silent_latents_have_no_penalty_and_a_finite_slope(name):
    u = np.zeros(LANES, np.float32)
    values, slopes = np.ones_like(u), np.full_like(u, np.nan)
    evaluate((0,) * PENALTIES[name], u, np.float32(0.5), values, slopes)
    assert values.tolist() == [0.0] * LANES
    assert np.isfinite(slopes).all()
