from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.fast import FastForm
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.trainable import Forward

# x = (2, 1) has the pre-activations (2, 1.5, 1).
PARAMS = {
    "W_enc": torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]]),
    "b_enc": torch.tensor([[0.0, 0.5, 0.0]]),
    "threshold": torch.tensor([[2.0, 1.0, -1.0]]),
    "W_dec": torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]]),
    "b_dec": torch.tensor([[1.0, -1.0]]),
}


def test_fires_strictly_above_the_threshold() -> None:
    family = JumpReLU()
    latents = family.encode(PARAMS, torch.tensor([[[2.0, 1.0]]]))
    assert latents.tolist() == [[[0.0, 1.5, 1.0]]]
    assert family.decode(PARAMS, latents).tolist() == [[[4.0, 6.0]]]


def test_decoder_bias_is_subtracted_first_where_asked() -> None:
    # x - b_dec = (3, -1)
    latents = JumpReLU(subtract_decoder_bias=True).encode(PARAMS, torch.tensor([[[4.0, -2.0]]]))
    assert latents.tolist() == [[[3.0, 0.0, 4.0]]]


@pytest.mark.parametrize("x", [[0.0, 0.5], [-1.0, 0.0]])
def test_negative_threshold_acts_like_zero(x: list[float]) -> None:
    # The third pre-activations, -0.5 and -1, lie on and above the threshold of -1.
    assert JumpReLU().encode(PARAMS, torch.tensor([[x]]))[0, 0, 2] == 0


def test_undefined_input_is_not_passed_off_as_silence() -> None:
    latents = JumpReLU().encode(PARAMS, torch.tensor([[[math.nan, 0.0]]]))
    assert latents[0, 0].isnan().all()


def test_has_a_threshold_per_latent() -> None:
    assert JumpReLU().param_shapes(d_hidden=2, n_latents=3) == {
        "W_enc": (2, 3),
        "b_enc": (3,),
        "threshold": (3,),
        "W_dec": (3, 2),
        "b_dec": (2,),
    }


# Decoder norms are (1, 2, 5); two samples with the pre-activations of Z.
Z = torch.tensor([[[2.5, 1.5, 1.0], [1.0, 2.0, 0.5]]])
TRAINED = {**PARAMS, "threshold": torch.tensor([[2.0, 1.0, 0.5]])}
LATENTS = torch.tensor([[[2.5, 1.5, 1.0], [0.0, 2.0, 0.0]]])  # L0 of 3 and 1
ALL_COUNT = torch.ones(1, 3)


def penalty(family: JumpReLU, kept: torch.Tensor = ALL_COUNT) -> float:
    forward = Forward(Z, LATENTS, torch.zeros(1, 2, 2))
    return float(family.penalty(TRAINED, forward, torch.tensor(0.0), kept))


def test_step_penalty_is_the_mean_l0() -> None:
    assert penalty(JumpReLU()) == 2.0
    assert penalty(JumpReLU(), torch.tensor([[0.5, 1.0, 0.0]])) == 1.25


def test_quadratic_penalty_is_zero_at_its_target() -> None:
    # 2 / 1.5 times the mean of 1.5^2 and 0.5^2.
    quadratic = JumpReLU(penalty_form="quadratic", target_l0=1.5)
    assert penalty(quadratic) == pytest.approx(2 / 1.5 * (2.25 + 0.25) / 2)


def test_tanh_penalty_is_of_activations_times_decoder_norms() -> None:
    first = math.tanh(0.1 * 2.5) + math.tanh(0.1 * 2 * 1.5) + math.tanh(0.1 * 5 * 1.0)
    second = math.tanh(0.1 * 2 * 2.0)
    tanh = JumpReLU(penalty_form="tanh", tanh_scale=0.1)
    assert penalty(tanh) == pytest.approx((first + second) / 2)


def test_pre_activation_penalty_is_of_what_is_missing_to_the_threshold() -> None:
    forward = Forward(Z - 0.5, LATENTS, torch.zeros(1, 2, 2))
    # Missing: nothing but (0, 0, 0) and (1.5, 0, 0.5), weighted by norms of 1 and 5.
    own = JumpReLU(pre_activation_penalty=0.1).auxiliary(TRAINED, torch.zeros(1, 2, 2), forward)
    assert own is not None
    assert float(own) == pytest.approx(0.1 * (1.5 + 5 * 0.5) / 2)
    assert JumpReLU().auxiliary(TRAINED, torch.zeros(1, 2, 2), forward) is None


@pytest.mark.parametrize("ste_to_input", [False, True])
def test_estimators_reach_thresholds_and_where_asked_pre_activations(ste_to_input: bool) -> None:
    # One latent of W_enc = W_dec = 1, threshold 1, bandwidth 0.5; z = x = 1.1 and 0.9.
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    values = ([[[1.0]]], [[0.0]], [[[1.0]]], [[0.0]], [[1.0]])
    params = {n: torch.tensor(v, requires_grad=True) for n, v in zip(names, values, strict=True)}
    family = JumpReLU(n_latents=1, l0=1.0, bandwidth=0.5, ste_to_input=ste_to_input)
    x = torch.tensor([[[1.1], [0.9]]])
    forward = family.forward(params, x, torch.tensor(0.0))
    error = family.error(params, x, forward, lambda made: (made - x).square().sum(-1))
    total = error + 0.3 * family.penalty(params, forward, torch.tensor(0.0), torch.ones(1, 1))
    assert float(total.detach()) == pytest.approx((0.9**2 + 0.3) / 2)
    total.sum().backward()
    # Both samples are near; dE/df = 2 (f - x) / 2 = (0, -0.9), dS/dstep = 0.3 / 2 each.
    #   threshold: -(1 / 0.5) (1 * -0.9 + 2 * 0.15) = 1.2;   z through the jump: the opposite.
    assert float(params["threshold"].grad) == pytest.approx(1.2)
    # z itself gets dE/df where it fires, which is 0 there.
    assert float(params["b_enc"].grad) == pytest.approx(-1.2 if ste_to_input else 0.0, abs=1e-6)


def test_estimators_are_silent_outside_of_their_band() -> None:
    params = {name: value.clone().requires_grad_() for name, value in TRAINED.items()}
    x = torch.tensor([[[2.0, 1.0]]])  # pre-activations 2, 1.5, 1 against 2, 1, 0.5
    family = JumpReLU(bandwidth=0.9)
    forward = family.forward(params, x, torch.tensor(0.0))
    family.penalty(params, forward, torch.tensor(0.0), ALL_COUNT).sum().backward()
    # Only the first lies within 0.45 of its threshold.
    assert params["threshold"].grad is not None
    assert params["threshold"].grad[0].tolist() == pytest.approx([-1 / 0.9, 0.0, 0.0])


def test_thresholds_start_where_asked_and_stay_above_zero() -> None:
    family = JumpReLU(n_latents=3, initial_threshold=0.25)
    params = family.init(2, Draws(0))
    assert params["threshold"].tolist() == [0.25] * 3
    stacked = {name: value[None] for name, value in params.items()}
    stacked["threshold"][0, 1] = -0.5
    family.constrain_(stacked)
    assert stacked["threshold"].tolist() == [[0.25, 0.0, 0.25]]


def test_kernels_know_the_form_of_the_paper() -> None:
    assert JumpReLU(bandwidth=0.2).fast_form == FastForm("jumprelu", "step", bandwidth=0.2)
    for other in (
        JumpReLU(penalty_form="tanh"),
        JumpReLU(penalty_form="quadratic", target_l0=2.0),
        JumpReLU(ste_to_input=True),
        JumpReLU(pre_activation_penalty=0.1),
    ):
        assert other.fast_form is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"l0": -1.0}, r"sae\.l0 = -1\.0: must be at least 0"),
        ({"bandwidth": 0.0}, r"sae\.bandwidth = 0\.0: must be greater than 0"),
        ({"initial_threshold": -0.1}, r"sae\.initial_threshold = -0\.1: must be at least 0"),
        ({"penalty_form": "l1"}, r"sae\.penalty_form = 'l1': must be one of quadratic, step, tanh"),
        (
            {"penalty_form": "quadratic", "target_l0": 9.0},
            r"sae\.target_l0 = 9\.0: must be at most sae\.n_latents = 8",
        ),
        (
            {"penalty_form": "quadratic", "target_l0": 0.0},
            r"sae\.target_l0 = 0\.0: must be greater than 0",
        ),
        ({"penalty_form": "quadratic"}, r"sae\.target_l0 = null: .* needs the L0 at which"),
        (
            {"target_l0": 2.0},
            r"sae\.target_l0 = 2\.0: must be null with sae\.penalty_form = 'step'; .*trainer\.ta",
        ),
        (
            {"penalty_form": "tanh", "target_l0": 2.0},
            r"sae\.target_l0 = 2\.0: must be null with sae\.penalty_form = 'tanh'",
        ),
    ],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        JumpReLU(**fields)
