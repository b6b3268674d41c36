from __future__ import annotations

import math

import pytest
import torch

from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.stream import BLOCK
from toysae.hidden.toy_model import ToyModel

WORLD = ComposedSets()
QUICK = ToyModel(steps=600, batch_size=128, lr=2e-2)


@pytest.fixture(scope="module")
def trained():
    return QUICK.spaces(WORLD, [0, 1, 2], CPU)


def test_features_are_stored_in_antipodal_pairs(trained):
    """The published outcome for two sets of two features in the plane."""
    antipodal = torch.tensor([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1.0]])
    for model in trained:
        torch.testing.assert_close(model.cosines, antipodal, rtol=0, atol=0.01)
        norms = model.directions.norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(4), rtol=0, atol=0.05)
        assert model.loss < 1e-3
        assert model.d_hidden == 2


def test_output_is_what_the_loss_says(trained):
    """ReLU(h W^T + b) on fresh samples, by hand, has about the loss that is stated."""
    x = WORLD.sample(Draws(9), 2000).dense()
    for model in trained:
        output = torch.relu(x @ model.directions @ model.directions.T + model.bias)
        assert float((output - x).square().mean()) < 2 * model.loss + 1e-5


def test_seeds_differ(trained):
    assert not torch.allclose(trained[0].directions, trained[1].directions, atol=1e-2)


def test_model_alone_is_the_model_in_a_stack():
    config = ToyModel(steps=100, batch_size=64, lr=1e-2)
    stack = config.spaces(WORLD, [4, 5, 6], CPU)
    for seed, member in zip((4, 5, 6), stack):
        (alone,) = config.spaces(WORLD, [seed], CPU)
        torch.testing.assert_close(alone.directions, member.directions, rtol=0, atol=1e-5)
        torch.testing.assert_close(alone.bias, member.bias, rtol=0, atol=1e-5)
        assert alone.loss == pytest.approx(member.loss, abs=1e-6)


def test_one_step_is_a_step_of_adamw():
    """One restart, one step: the update of torch's AdamW on the model written out here."""
    config = ToyModel(steps=1, batch_size=32, lr=0.1, weight_decay=0.5, restarts=1)
    (space,) = config.spaces(WORLD, [0], CPU)
    draws = Draws(0, ("hidden",))
    start = (2 * draws.uniform("weight", (1, 4, 2))[0] - 1) / math.sqrt(4)
    weight, bias = start.clone().requires_grad_(), torch.zeros(4, requires_grad=True)
    x = WORLD.sample(draws.child("data"), BLOCK // 32 * 32).dense()[:32]
    (torch.relu(x @ weight @ weight.T + bias) - x).square().mean().backward()
    torch.optim.AdamW([weight, bias], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(space.directions, weight.detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(space.bias, bias.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("steps", "batch_size"), [(7, 3), (1, 1), (3, 5000), (2, BLOCK + 1)])
def test_any_length_and_batch_can_be_trained(steps, batch_size):
    (space,) = ToyModel(steps=steps, batch_size=batch_size).spaces(WORLD, [0], CPU)
    assert bool(space.directions.isfinite().all())


def test_restarts_free_seeds_that_end_in_a_local_minimum():
    """With mostly one-hot samples about a third of the initialisations store a wrong pair."""
    world = ComposedSets(amplitude_correlation=1.0, one_hot_fraction=0.75)
    stuck = {}
    for restarts in (1, 4):
        config = ToyModel(steps=300, batch_size=64, lr=0.1, restarts=restarts)
        stuck[restarts] = sum(model.loss > 5e-3 for model in config.spaces(world, range(48), CPU))
    assert stuck[1] >= 5
    assert stuck[4] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("d_hidden", 0),
        ("steps", 0),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", -1.0),
        ("weight_decay", -0.1),
        ("restarts", 0),
    ],
)
def test_bad_value(field, value):
    with pytest.raises(ConfigError, match=rf"^hidden.{field} = {value}: must be "):
        ToyModel(**{field: value})
