from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.saes.lp import SMALLEST, Lp
from toysae.saes.trainable import Forward

END = torch.ones(())


def phi(family: Lp, *activations: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return family.phi(torch.tensor(activations, dtype=dtype), family.penalty_parameter(END))


def slope(family: Lp, *activations: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    u = torch.tensor(activations, dtype=dtype, requires_grad=True)
    return torch.autograd.grad(family.phi(u, family.penalty_parameter(END)).sum(), u)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_square_root_by_hand(dtype):
    """Below 1e-6 the chord: 1e-8 * (1e-6)^(-1/2) = 1e-5."""
    expected = torch.tensor([2.0, 0.5, 0.0, 1e-5], dtype=dtype)
    torch.testing.assert_close(phi(Lp(p=0.5), 4.0, 0.25, 0.0, 1e-8, dtype=dtype), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slope_by_hand(dtype):
    """1 / (2 sqrt(u)), and at most that at 1e-6 times two, the slope of the chord."""
    expected = torch.tensor([0.25, 1.0, 1000.0, 1000.0], dtype=dtype)
    torch.testing.assert_close(slope(Lp(p=0.5), 4.0, 0.25, 1e-8, 0.0, dtype=dtype), expected)


def test_other_powers_by_hand():
    """16^(1/4) = 2 with slope 1/4 * 16^(-3/4) = 1/32."""
    assert phi(Lp(p=0.25), 16.0).tolist() == pytest.approx([2.0])
    assert slope(Lp(p=0.25), 16.0).tolist() == pytest.approx([1 / 32])


@pytest.mark.parametrize("p", [0.01, 0.5, 0.9])
def test_does_not_jump_where_the_chord_ends(p):
    below, at, above = phi(Lp(p=p), SMALLEST * (1 - 1e-9), SMALLEST, SMALLEST * (1 + 1e-9)).tolist()
    assert at == pytest.approx(SMALLEST**p)
    assert below == pytest.approx(at, rel=1e-8)
    assert above == pytest.approx(at, rel=1e-8)


def test_first_power_is_l1():
    assert phi(Lp(p=1.0), 3.0, 1e-9, 0.0).tolist() == [3.0, 1e-9, 0.0]
    assert slope(Lp(p=1.0), 3.0, 1e-9, 0.0).tolist() == [1.0, 1.0, 1.0]


def test_powers_are_summed_and_no_root_is_taken():
    """sqrt(4) + sqrt(1/4) = 5/2, where the norm of SAELens would be its square."""
    latents = torch.tensor([[[4.0, 0.25], [0.0, 1.0]]])
    forward = Forward(latents, latents, torch.zeros(1, 2, 3))
    penalty = Lp(n_latents=2).penalty({}, forward, END, torch.ones(1, 2))
    torch.testing.assert_close(penalty, torch.tensor([(2.5 + 1.0) / 2]))
    half = Lp(n_latents=2).penalty({}, forward, END, torch.tensor([[0.5, 1.0]]))
    torch.testing.assert_close(half, torch.tensor([(1.5 + 1.0) / 2]))


def test_decoder_norms_go_under_the_root():
    latents = torch.tensor([[[4.0, 1.0]]])
    params = {"W_dec": torch.tensor([[[0.0, 4.0], [0.6, 0.8]]])}
    family = Lp(n_latents=2, penalty_by_decoder_norm=True)
    forward = Forward(latents, latents, torch.zeros(1, 1, 2))
    penalty = family.penalty(params, forward, END, torch.ones(1, 2))
    torch.testing.assert_close(penalty, torch.tensor([4.0 + 1.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_silent_latents_have_no_gradient(dtype):
    pre = torch.tensor([[[-1.0, 0.0, 1.0]]], dtype=dtype, requires_grad=True)
    latents = torch.relu(pre)
    forward = Forward(pre, latents, torch.zeros(1, 1, 3))
    penalty = Lp(n_latents=3, p=0.05).penalty({}, forward, END, torch.ones(1, 3))
    (gradient,) = torch.autograd.grad(penalty.sum(), pre)
    torch.testing.assert_close(gradient, torch.tensor([[[0.0, 0.0, 0.05]]], dtype=dtype))


def test_parameter_is_the_exponent_at_all_times():
    assert Lp(p=0.25).penalty_parameter(torch.tensor([[0.0, 0.5, 1.0]])).tolist() == [[0.25] * 3]


def test_members_may_differ_in_their_coefficient():
    assert Lp(sparsity=0.3).coefficient == 0.3
    assert "sparsity" in Lp.member_fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"p": 0.0}, "^sae.p = 0.0: must be greater than 0$"),
        ({"p": 1.5}, r"^sae.p = 1.5: must lie in \[0, 1\]$"),
        ({"p": math.nan}, "^sae.p = nan: must be greater than 0$"),
        ({"sparsity": -1.0}, "^sae.sparsity = -1.0: must be at least 0$"),
        ({"n_latents": 0}, "^sae.n_latents = 0: must be at least 1$"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Lp(**fields)
