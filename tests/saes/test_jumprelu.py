from __future__ import annotations

import math

import pytest
import torch

from toysae.saes.jumprelu import JumpReLU

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
