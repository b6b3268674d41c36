from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.saes.log_penalty import Log
from toysae.saes.trainable import Forward

END = torch.ones(())


def test_penalty_by_hand():
    """log(1 + u / 0.5) at 0, 0.5 and 1.5, with slope 1 / (0.5 + u)."""
    family = Log(epsilon=0.5)
    u = torch.tensor([0.0, 0.5, 1.5], dtype=torch.float64, requires_grad=True)
    phi = family.phi(u, family.penalty_parameter(END))
    assert phi.tolist() == pytest.approx([0.0, math.log(2), math.log(4)])
    (slope,) = torch.autograd.grad(phi.sum(), u)
    assert slope.tolist() == pytest.approx([2.0, 1.0, 0.5])


def test_small_activations_do_not_round_to_none():
    """Far below epsilon it is u / epsilon: log(1 + 1e-9) would be 0 in float32."""
    phi = Log(epsilon=1.0).phi(torch.tensor([1e-9]), torch.tensor(1.0))
    assert phi.tolist() == pytest.approx([1e-9])


def test_is_summed_over_latents_and_averaged_over_samples():
    latents = torch.tensor([[[0.1, 0.3], [0.0, 0.7]]], dtype=torch.float64)
    forward = Forward(latents, latents, torch.zeros(1, 2, 3))
    penalty = Log(n_latents=2, epsilon=0.1).penalty({}, forward, END, torch.ones(1, 2))
    assert penalty.tolist() == pytest.approx([(math.log(2) + math.log(4) + math.log(8)) / 2])


def test_members_may_differ_in_their_coefficient():
    assert Log(sparsity=0.3).coefficient == 0.3
    assert "sparsity" in Log.member_fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 0.0}, "^sae.epsilon = 0.0: must be greater than 0$"),
        ({"epsilon": math.inf}, "^sae.epsilon = inf: must be finite$"),
        ({"sparsity": math.nan}, "^sae.sparsity = nan: must be at least 0$"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Log(**fields)
