from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.laws.profiles import Array, Constant, Geometric
from toysae.hidden import cache, toy_model
from toysae.hidden.stream import BLOCK
from toysae.hidden.toy_model import ToyModel

WORLD = ComposedSets()
QUICK = ToyModel(steps=600, batch_size=128, lr=2e-2)
SHORT = ToyModel(steps=100, batch_size=64, lr=1e-2)


@pytest.fixture(autouse=True)
def _fresh_cache(monkeypatch, tmp_path):
    """What one test trains is not what another loads."""
    monkeypatch.setenv("TOYSAE_CACHE", str(tmp_path))


def trained_afresh(config, generator, seeds, monkeypatch):
    """Models that no earlier call can have left on disk."""
    monkeypatch.setattr(cache, "_load", lambda text: None)
    return config.spaces(generator, seeds, CPU)


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
        output = torch.relu(x @ model.directions @ model.directions.T + model.readout.bias)
        assert float((output - x).square().mean()) < 2 * model.loss + 1e-5
        assert torch.equal(model.readout(x @ model.directions), output)
        assert model.readout.n_outputs == 4


def test_seeds_differ(trained):
    assert not torch.allclose(trained[0].directions, trained[1].directions, atol=1e-2)


def test_model_does_not_depend_on_its_company(monkeypatch):
    stack = trained_afresh(SHORT, WORLD, [4, 5, 6], monkeypatch)
    for seed, member in zip((4, 5, 6), stack):
        (alone,) = trained_afresh(SHORT, WORLD, [seed], monkeypatch)
        assert torch.equal(alone.directions, member.directions)
        assert torch.equal(alone.readout.bias, member.readout.bias)
        assert alone.loss == member.loss


def test_model_alone_is_the_model_in_a_stack_of_torch(monkeypatch):
    """Up to rounding: matrix products of stacks may sum in another order."""
    monkeypatch.setattr(toy_model, "LARGEST_COMPILED", 0)
    stack = trained_afresh(SHORT, WORLD, [4, 5], monkeypatch)
    for seed, member in zip((4, 5), stack):
        (alone,) = trained_afresh(SHORT, WORLD, [seed], monkeypatch)
        torch.testing.assert_close(alone.directions, member.directions, rtol=0, atol=1e-5)
        torch.testing.assert_close(alone.readout.bias, member.readout.bias, rtol=0, atol=1e-5)
        assert alone.loss == pytest.approx(member.loss, abs=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_kernel_trains_what_torch_trains(tied, monkeypatch):
    """The whole way: start, restarts, the choice among them, and the running loss."""
    config = replace(SHORT, tied=tied, importance=Geometric(0.7, first=1.0))
    (compiled,) = trained_afresh(config, WORLD, [0], monkeypatch)
    monkeypatch.setattr(toy_model, "LARGEST_COMPILED", 0)
    (stacked,) = trained_afresh(config, WORLD, [0], monkeypatch)
    torch.testing.assert_close(compiled.directions, stacked.directions, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        compiled.readout.weight, stacked.readout.weight, rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(compiled.readout.bias, stacked.readout.bias, rtol=1e-3, atol=1e-5)
    assert compiled.loss == pytest.approx(stacked.loss, rel=1e-3)


def test_important_features_are_stored():
    """Five equally frequent features in one dimension, where there is room for an opposite pair."""
    world = ComposedSets(sizes=(5, 1), one_hot_fraction=1.0)
    importance = Array((0.01, 0.01, 1.0, 0.01, 1.0, 0.01))
    config = ToyModel(d_hidden=1, steps=600, batch_size=128, lr=2e-2, importance=importance)
    for model in config.spaces(world, [0, 1, 2], CPU):
        norms = model.directions.norm(dim=1)
        assert set(norms.topk(2).indices.tolist()) == {2, 4}
        assert float(model.cosines[2, 4]) == pytest.approx(-1)


def test_untied_weights_are_their_own():
    (model,) = replace(QUICK, tied=False).spaces(WORLD, [0], CPU)
    assert not torch.allclose(model.readout.weight, model.directions.T, atol=1e-2)
    x = WORLD.sample(Draws(9), 2000).dense()
    output = model.readout(x @ model.directions)
    assert float((output - x).square().mean()) < 2 * model.loss + 1e-5
    assert model.loss < 1e-3


def test_importance_is_one_nonnegative_number_a_feature():
    with pytest.raises(ConfigError, match=r"^hidden.importance: found -1; must be at least 0$"):
        ToyModel(importance=Constant(-1.0)).spaces(WORLD, [0], CPU)
    with pytest.raises(ConfigError, match=r"^hidden.importance: found 3 numbers for 4 features"):
        ToyModel(importance=Array((1.0, 1.0, 1.0))).spaces(WORLD, [0], CPU)


def test_loaded_models_have_the_bits_of_trained_ones(caplog, tmp_path):
    caplog.set_level("INFO", "toysae.hidden.cache")
    trained = SHORT.spaces(WORLD, [0, 1], CPU)
    loaded = SHORT.spaces(WORLD, [1, 2, 0], CPU)
    for there, here in ((trained[0], loaded[2]), (trained[1], loaded[0])):
        assert torch.equal(there.directions, here.directions)
        assert torch.equal(there.readout.weight, here.readout.weight)
        assert torch.equal(there.readout.bias, here.readout.bias)
        assert there.loss == here.loss
    assert [record.getMessage() for record in caplog.records] == [
        "toy models: 2 to be made",
        f"toy models: 2 from {tmp_path}",
        "toy models: 1 to be made",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 101},
        {"batch_size": 65},
        {"lr": 0.011},
        {"weight_decay": 0.02},
        {"restarts": 2},
        {"importance": Geometric(0.9, first=1.0)},
        {"tied": False},
        {"d_hidden": 3},
    ],
)
def test_another_configuration_is_another_model(changed, tmp_path):
    SHORT.spaces(WORLD, [0], CPU)
    replace(SHORT, **changed).spaces(WORLD, [0], CPU)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_another_generator_is_another_model():
    (here,) = SHORT.spaces(WORLD, [0], CPU)
    (other,) = SHORT.spaces(ComposedSets(amplitude_correlation=0.5), [0], CPU)
    assert not torch.equal(here.directions, other.directions)


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
    torch.testing.assert_close(space.readout.bias, bias.detach(), rtol=0, atol=1e-6)


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
