from __future__ import annotations

import math

import pytest
import torch

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
