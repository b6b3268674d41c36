from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.base import SAE
from toysae.saes.folding import untied, without_constant_factor
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor
from toysae.saes.tied import Tied
from toysae.training.compatibility import check_together
from toysae.training.trainer import Trainer

# One SAE of two latents in the plane, and the sample (1, 2).
PARAMS = {
    "b_enc": torch.tensor([[0.5, -2.0]]),
    "W_dec": torch.tensor([[[0.6, 0.8], [1.0, 0.0]]]),
    "b_dec": torch.tensor([[0.1, -0.1]]),
}
X = torch.tensor([[[1.0, 2.0]]])
END = torch.ones(())
SAMPLES = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))


def test_forward_by_hand():
    """Pre-activations 2.2 + 0.5 and 1 - 2; x_hat = 2.7 (0.6, 0.8) + (0.1, -0.1)."""
    family = Tied(n_latents=2)
    forward = family.forward(PARAMS, X, END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[2.7, -1.0]]]))
    torch.testing.assert_close(forward.latents, torch.tensor([[[2.7, 0.0]]]))
    torch.testing.assert_close(forward.reconstruction, torch.tensor([[[1.72, 2.06]]]))
    torch.testing.assert_close(family.encode(PARAMS, X), forward.latents)
    penalty = family.penalty(PARAMS, forward, END, torch.ones(1, 2))
    torch.testing.assert_close(penalty, torch.tensor([2.7]))


def test_decoder_bias_is_subtracted_where_asked():
    """(0.9, 2.1) along the rows: 0.54 + 1.68 + 0.5 and 0.9 - 2."""
    forward = Tied(n_latents=2, subtract_decoder_bias=True).forward(PARAMS, X, END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[2.72, -1.1]]]))


@pytest.mark.parametrize("initialisation", ["tied", "independent"])
def test_has_one_set_of_weights(initialisation):
    family = Tied(n_latents=5, initialisation=initialisation)
    params = family.init(3, Draws(0))
    assert set(params) == set(family.param_shapes(3, 5)) == {"b_enc", "W_dec", "b_dec"}
    other = ReLU(n_latents=5, initialisation=initialisation).init(3, Draws(0))
    assert torch.equal(params["W_dec"], other["W_dec"])


def test_encoder_rows_are_decoder_rows():
    sae = SAE(Tied(n_latents=2), PARAMS)
    assert torch.equal(sae.encoder_rows, sae.decoder)


def test_untied_is_a_relu_sae_that_does_the_same():
    family = Tied(n_latents=2, l1=0.3, subtract_decoder_bias=True)
    sae = SAE(family, PARAMS)
    free = untied(sae)
    assert type(free.family) is ReLU
    assert asdict(free.family) == asdict(family)
    for ours, theirs in zip(free.apply(SAMPLES), sae.apply(SAMPLES)):
        torch.testing.assert_close(ours, theirs)
    assert untied(free) is free


def test_constant_factor_goes_into_two_sets_of_weights():
    sae = SAE(Tied(n_latents=2), PARAMS, ConstantFactor(3.0))
    folded = without_constant_factor(sae)
    for ours, theirs in zip(folded.apply(SAMPLES), sae.apply(SAMPLES)):
        torch.testing.assert_close(ours, theirs)


def test_inputs_cannot_be_scaled_by_a_factor_while_training():
    with pytest.raises(ConfigError, match=r"^trainer.input_scaling = 'unit_mean_norm'.* of tied"):
        check_together(Tied(), Trainer(input_scaling="unit_mean_norm"), 3)
    check_together(Tied(), Trainer(input_scaling="layer_norm"), 3)


def test_no_compiled_kernel_knows_of_it():
    assert Tied().fast_form is None


def test_bad_value():
    with pytest.raises(ConfigError, match=r"^sae\.l1 = -0\.1: must be at least 0$"):
        Tied(l1=-0.1)
