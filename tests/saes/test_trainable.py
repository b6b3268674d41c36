"""What all families share: here by the ReLU SAE, by every family in test_families.py."""

from __future__ import annotations

import math

import pytest
import torch

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.relu import ReLU
from toysae.saes.trainable import TrainableFamily


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_latents": 0}, "^sae.n_latents = 0: must be at least 1$"),
        ({"initialisation": "zero"}, "^sae.initialisation = 'zero': must be one of independent, t"),
        ({"initial_decoder_norm": 0.0}, "^sae.initial_decoder_norm = 0.0: must be greater than 0$"),
        (
            {"initial_decoder_norm": 0.1},
            "^sae.initial_decoder_norm = 0.1: rows of norm 1 are held with sae.unit_norm_decoder; "
            "set that to false, or this to 1$",
        ),
        ({"orthogonality_penalty": -1.0}, "^sae.orthogonality_penalty = -1.0: must be at least 0$"),
        ({"frequency_penalty": math.nan}, "^sae.frequency_penalty = nan: must be at least 0$"),
        ({"frequency_floor": 0.0}, "^sae.frequency_floor = 0.0: must be greater than 0$"),
        ({"frequency_floor": 1.5}, r"^sae.frequency_floor = 1.5: must lie in \[0, 1\]$"),
        ({"frequency_epsilon": 0.0}, "^sae.frequency_epsilon = 0.0: must be greater than 0$"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        ReLU(**fields)


def test_terms_are_there_where_they_have_a_factor():
    assert (ReLU().has_orthogonality, ReLU().has_frequency) == (False, False)
    assert ReLU(orthogonality_penalty=0.1).has_orthogonality
    assert ReLU(frequency_penalty=0.1).has_frequency


def test_rows_that_start_tied_have_the_norm_that_is_asked_for():
    params = ReLU(unit_norm_decoder=False, initial_decoder_norm=0.1).init(3, Draws(0))
    torch.testing.assert_close(params["W_dec"].norm(dim=1), torch.full((8,), 0.1))
    assert torch.equal(params["W_enc"], params["W_dec"].T)


def test_rows_are_brought_to_norm_1_by_hand():
    params = {"W_dec": torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])}
    ReLU().constrain_(params)
    torch.testing.assert_close(params["W_dec"], torch.tensor([[[0.6, 0.8], [0.0, 0.0]]]))
    free = {"W_dec": torch.tensor([[[3.0, 4.0]]])}
    ReLU(unit_norm_decoder=False).constrain_(free)
    assert free["W_dec"].tolist() == [[[3.0, 4.0]]]


def test_gradient_along_rows_is_removed_by_hand():
    """(1, 1) has 1.4 along (0.6, 0.8), which leaves (0.16, -0.12)."""
    params = {"W_dec": torch.tensor([[[0.6, 0.8]]]), "b_dec": torch.zeros(1, 2)}
    gradients = {"W_dec": torch.ones(1, 1, 2), "b_dec": torch.ones(1, 2)}
    projected = ReLU().project_gradients(params, gradients)
    torch.testing.assert_close(projected["W_dec"], torch.tensor([[[0.16, -0.12]]]))
    assert torch.equal(projected["b_dec"], torch.ones(1, 2))
    assert gradients["W_dec"].tolist() == [[[1.0, 1.0]]]


def test_a_family_has_no_penalty_unless_it_says_so():
    class Plain(ReLU):
        coefficient = TrainableFamily.coefficient
        penalty = TrainableFamily.penalty

    params = {name: p[None] for name, p in Plain().init(3, Draws(0)).items()}
    forward = Plain().forward(params, torch.ones(1, 2, 3), torch.zeros(()))
    assert Plain().coefficient == 0
    assert Plain().penalty(params, forward, torch.zeros(()), torch.ones(1, 8)).tolist() == [0.0]
    assert Plain().auxiliary(params, torch.ones(1, 2, 3), forward) is None
