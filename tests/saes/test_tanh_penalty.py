from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.saes.tanh_penalty import Tanh
from toysae.saes.trainable import Forward

END = torch.ones(())


def test_penalty_by_hand():
    """tanh(log a) = (a^2 - 1) / (a^2 + 1); the slope is 2 (1 - tanh^2)."""
    family = Tanh(scale=2.0)
    u = torch.tensor([0.0, math.log(2) / 2, math.log(3) / 2], dtype=torch.float64)
    u.requires_grad_()
    phi = family.phi(u, family.penalty_parameter(END))
    assert phi.tolist() == pytest.approx([0.0, 0.6, 0.8])
    (slope,) = torch.autograd.grad(phi.sum(), u)
    assert slope.tolist() == pytest.approx([2.0, 1.28, 0.72])


def test_large_activations_count_as_one_and_are_not_shrunk():
    family = Tanh()
    u = torch.tensor([1e3, 1e30], requires_grad=True)
    phi = family.phi(u, family.penalty_parameter(END))
    assert phi.tolist() == [1.0, 1.0]
    assert torch.autograd.grad(phi.sum(), u)[0].tolist() == [0.0, 0.0]


def test_is_summed_over_latents_and_averaged_over_samples():
    latents = torch.tensor([[[math.log(2), math.log(3)], [0.0, math.log(2)]]], dtype=torch.float64)
    forward = Forward(latents, latents, torch.zeros(1, 2, 3))
    penalty = Tanh(n_latents=2).penalty({}, forward, END, torch.ones(1, 2))
    assert penalty.tolist() == pytest.approx([(0.6 + 0.8 + 0.6) / 2])


def test_members_may_differ_in_their_coefficient():
    assert Tanh(sparsity=0.3).coefficient == 0.3
    assert "sparsity" in Tanh.member_fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0.0}, "^sae.scale = 0.0: must be greater than 0$"),
        ({"sparsity": -0.5}, "^sae.sparsity = -0.5: must be at least 0$"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Tanh(**fields)
