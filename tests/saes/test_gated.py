from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.saes.gated import Gated

# x = (2, 1) projects to (2, 1, 1): gates (0, 0.5, 1), magnitudes (2, 2 + 1, 3 - 4).
PARAMS = {
    "W_enc": torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]]),
    "b_gate": torch.tensor([[-2.0, -0.5, 0.0]]),
    "r_mag": torch.tensor([[0.0, math.log(2.0), math.log(3.0)]]),
    "b_mag": torch.tensor([[0.0, 1.0, -4.0]]),
    "W_dec": torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]]),
    "b_dec": torch.tensor([[1.0, -1.0]]),
}
X = torch.tensor([[[2.0, 1.0]]])


def test_fires_where_gate_and_magnitude_are_positive() -> None:
    family = Gated()
    latents = family.encode(PARAMS, X)
    assert latents[0, 0].tolist() == pytest.approx([0.0, 3.0, 0.0])
    assert family.decode(PARAMS, latents)[0, 0].tolist() == pytest.approx([1.0, 5.0])


def test_pre_activation_is_the_gate() -> None:
    assert Gated().pre_activations(PARAMS, X).tolist() == [[[0.0, 0.5, 1.0]]]


def test_decoder_bias_is_subtracted_from_both_paths() -> None:
    # x - b_dec = (1, 2) projects to (1, 2, -1): gates (-1, 1.5, -1), magnitudes (1, 5, -7).
    latents = Gated(subtract_decoder_bias=True).encode(PARAMS, X)
    assert latents[0, 0].tolist() == pytest.approx([0.0, 5.0, 0.0])


def test_undefined_input_is_not_passed_off_as_silence() -> None:
    assert Gated().encode(PARAMS, torch.tensor([[[math.nan, 0.0]]])).isnan().all()


def test_has_no_encoder_bias_but_three_parameters_for_gate_and_magnitude() -> None:
    assert Gated().param_shapes(d_hidden=2, n_latents=3) == {
        "W_enc": (2, 3),
        "b_gate": (3,),
        "b_mag": (3,),
        "r_mag": (3,),
        "W_dec": (3, 2),
        "b_dec": (2,),
    }


def test_training_is_the_same_pass_with_the_gate_as_pre_activation() -> None:
    forward = Gated().forward(PARAMS, X, torch.tensor(0.0))
    assert forward.pre_activations.tolist() == [[[0.0, 0.5, 1.0]]]
    assert forward.latents[0, 0].tolist() == pytest.approx([0.0, 3.0, 0.0])
    assert forward.reconstruction[0, 0].tolist() == pytest.approx([1.0, 5.0])


def test_penalty_is_of_gates_times_decoder_norms() -> None:
    # Norms (1, 2, 5), gates (0, 0.5, 1).
    forward = Gated().forward(PARAMS, X, torch.tensor(0.0))
    everything = torch.ones(1, 3)
    assert float(Gated().penalty(PARAMS, forward, torch.tensor(0.0), everything)) == 6.0
    half = torch.tensor([[1.0, 0.5, 1.0]])
    assert float(Gated().penalty(PARAMS, forward, torch.tensor(0.0), half)) == 5.5


@pytest.mark.parametrize("detach", [True, False])
def test_reconstruction_through_the_gate_trains_the_gate(detach: bool) -> None:
    family = Gated(detach_auxiliary_decoder=detach)
    params = {name: value.clone().requires_grad_() for name, value in PARAMS.items()}
    forward = family.forward(params, X, torch.tensor(0.0))
    own = family.auxiliary(params, X, forward)
    assert own is not None
    # 0.5 (0, 2) + (3, 4) + (1, -1) = (4, 4), which is (2, 3) off.
    assert own.tolist() == [13.0]
    names = ("b_gate", "W_dec", "b_dec", "b_mag", "r_mag")
    gradients = torch.autograd.grad(own.sum(), [params[n] for n in names], allow_unused=True)
    found = dict(zip(names, gradients, strict=True))
    # 2 (2, 3) . W_dec_j where the gate is positive.
    assert found["b_gate"] is not None
    assert found["b_gate"].tolist() == [[0.0, 12.0, 36.0]]
    assert found["b_mag"] is None
    assert found["r_mag"] is None
    if detach:
        assert found["W_dec"] is None
        assert found["b_dec"] is None
    else:
        assert found["b_dec"].tolist() == [[4.0, 6.0]]
        assert found["W_dec"].tolist() == [[[0.0, 0.0], [2.0, 3.0], [4.0, 6.0]]]


def test_no_gradient_passes_the_step() -> None:
    params = {name: value.clone().requires_grad_() for name, value in PARAMS.items()}
    forward = Gated().forward(params, X, torch.tensor(0.0))
    forward.reconstruction.sum().backward()
    assert params["b_gate"].grad is None
    # Only the second latent fires: its row sums to 2.
    assert params["b_mag"].grad is not None
    assert params["b_mag"].grad.tolist() == [[0.0, 2.0, 0.0]]


def test_negative_l1_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sae\.l1 = -1\.0: must be at least 0"):
        Gated(l1=-1.0)
