from __future__ import annotations

import pytest
import torch

from toysae.checkpoints.saelens import save
from toysae.errors import CheckpointError, ShapeError
from toysae.saes.oracle import oracle

#: Three features in a plane: coefficients are not determined by the samples.
STAR = torch.tensor([[1.0, 0], [0, 1], [-0.6, -0.8]])


def samples(features, n=50, seed=0):
    coefficients = torch.rand(n, len(features), generator=torch.Generator().manual_seed(seed))
    return coefficients @ features, coefficients


def test_samples_that_it_was_told_have_their_true_coefficients():
    hidden, coefficients = samples(STAR)
    sae = oracle(STAR, hidden, coefficients)
    assert torch.equal(sae.encode(hidden)[0], coefficients)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    applied = sae.apply(hidden[order])
    assert torch.equal(applied.latents[0], coefficients[order])
    torch.testing.assert_close(applied.reconstructions[0], hidden[order])


def test_features_alone_fire_their_own_latent():
    sae = oracle(STAR, *samples(STAR))
    assert torch.equal(sae.encode(STAR)[0], torch.eye(3))


def test_of_equal_samples_the_first_counts():
    features = torch.tensor([[1.0], [-1.0]])
    hidden = torch.tensor([[0.5], [0.5]])
    sae = oracle(features, hidden, torch.tensor([[0.5, 0.0], [1.0, 0.5]]))
    assert sae.encode(hidden)[0].tolist() == [[0.5, 0.0], [0.5, 0.0]]


def test_other_samples_are_encoded_by_non_negative_least_squares():
    axes = torch.eye(3)[:2]
    sae = oracle(axes, *samples(axes))
    # What no feature explains, and what only a negative coefficient would, is left over.
    found = sae.encode(torch.tensor([[2.0, 3.0, 5.0], [-2.0, 3.0, 0.0]]))[0]
    torch.testing.assert_close(found, torch.tensor([[2.0, 3.0], [0.0, 3.0]]))


def test_independent_features_need_not_be_told():
    features = torch.tensor([[1.0, 0, 0], [0.8, 0.6, 0], [0.3, 0.3, 0.9]])
    sae = oracle(features, *samples(features, 5))
    hidden, coefficients = samples(features, seed=9)
    torch.testing.assert_close(sae.encode(hidden)[0], coefficients, atol=1e-5, rtol=0)


def test_linear_encoding_is_the_pseudo_inverse():
    """Rows (2, 0) and (1, 1): the inverse has columns (.5, 0) and (-.5, 1)... transposed."""
    features = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    sae = oracle(features, *samples(features))
    expected = torch.tensor([[0.5, 0.0], [-0.5, 1.0]])
    torch.testing.assert_close(features @ expected, torch.eye(2))
    torch.testing.assert_close(sae.encoder_rows[0], expected.T)


def test_bias_of_the_world_is_that_of_the_decoder():
    hidden, coefficients = samples(STAR)
    shift = torch.tensor([3.0, -1.0])
    sae = oracle(STAR, hidden + shift, coefficients)
    torch.testing.assert_close(sae.params["b_dec"][0], shift)
    torch.testing.assert_close(sae.reconstruct(hidden + shift)[0], hidden + shift)
    found = sae.encode(shift + torch.tensor([[0.5, 0.25]]))
    assert float((found[0] @ STAR - torch.tensor([0.5, 0.25])).abs().max()) < 1e-5


def test_knows_nothing_of_no_samples():
    sae = oracle(STAR, torch.zeros(0, 2), torch.zeros(0, 3))
    assert not sae.params["b_dec"].any()
    assert sae.encode(torch.zeros(0, 2)).shape == (1, 0, 3)


def test_shapes_must_fit():
    hidden, coefficients = samples(STAR)
    for inputs, latents in ((hidden[:3], coefficients), (hidden, coefficients[:, :2])):
        with pytest.raises(ShapeError, match=r"expected \[k, 2\] and \[k, 3\]"):
            oracle(STAR, inputs, latents)


def test_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError):
        save(oracle(STAR, *samples(STAR)), tmp_path / "oracle")
