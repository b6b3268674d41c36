from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.saes.l0_penalty import L0
from toysae.saes.trainable import Forward


def test_penalty_by_hand():
    """u / (u + 0.5) at 0, 0.5 and 1.5, with slope 0.5 / (u + 0.5)^2."""
    u = torch.tensor([0.0, 0.5, 1.5], dtype=torch.float64, requires_grad=True)
    phi = L0().phi(u, torch.tensor(0.5))
    assert phi.tolist() == [0.0, 0.5, 0.75]
    assert torch.autograd.grad(phi.sum(), u)[0].tolist() == [2.0, 0.5, 0.125]


def test_epsilon_falls_in_steps():
    """Of 100 steps the 11th, with 10 done, is the first of the second epsilon."""
    progress = torch.tensor([0.0, 0.09, 0.1, 0.19, 0.2, 0.99, 1.0], dtype=torch.float64)
    expected = [0.2, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05]
    assert L0().penalty_parameter(progress).tolist() == expected
    assert L0().penalty_parameter(progress.float()).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_epsilon_has_the_shape_of_the_progress(shape):
    family = L0(epsilons=(0.3, 0.1), epsilons_from=(0.0, 0.5))
    assert torch.equal(family.penalty_parameter(torch.zeros(shape)), torch.full(shape, 0.3))
    assert torch.equal(family.penalty_parameter(torch.ones(shape)), torch.full(shape, 0.1))


def test_penalty_follows_the_schedule():
    """Activations of 0.2 count 1/2 with epsilon 0.2, 2/3 with 0.1, 4/5 with 0.05."""
    latents = torch.tensor([[[0.2, 0.2], [0.0, 0.2]]], dtype=torch.float64)
    forward = Forward(latents, latents, torch.zeros(1, 2, 3))
    for progress, each in ((0.0, 1 / 2), (0.15, 2 / 3), (0.5, 4 / 5)):
        penalty = L0(n_latents=2).penalty({}, forward, torch.tensor(progress), torch.ones(1, 2))
        assert penalty.tolist() == pytest.approx([3 * each / 2], rel=1e-7)


def test_one_epsilon_holds_all_the_time():
    family = L0(epsilons=(0.1,), epsilons_from=(0.0,))
    assert family.penalty_parameter(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0.1] * 2)


def test_members_may_differ_in_their_coefficient():
    assert L0(sparsity=0.3).coefficient == 0.3
    assert "sparsity" in L0.member_fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilons": (0.2, 0.1)}, "^sae.epsilons has 2 values and sae.epsilons_from has 3: give"),
        ({"epsilons": (), "epsilons_from": ()}, "^sae.epsilons has 0 values"),
        ({"epsilons": (0.2, 0.0, 0.1)}, r"^sae.epsilons\[1\] = 0.0: must be greater than 0$"),
        ({"epsilons": (math.nan, 0.1, 0.1)}, r"^sae.epsilons\[0\] = nan: must be greater than 0$"),
        ({"epsilons_from": (0.1, 0.2, 0.3)}, r"^sae.epsilons_from = \[0.1, 0.2, 0.3\]: must begin"),
        ({"epsilons_from": (0.0, 0.2, 0.2)}, "must begin with 0, rise, and stay below 1$"),
        ({"epsilons_from": (0.0, 0.2, 1.0)}, "must begin with 0, rise, and stay below 1$"),
        ({"epsilons_from": (0.0, math.nan, 0.5)}, "must begin with 0, rise, and stay below 1$"),
        ({"sparsity": -0.5}, "^sae.sparsity = -0.5: must be at least 0$"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        L0(**fields)
