"""Both ways to take steps, against autograd on the definition of the loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toysae.hidden.toy_model_training import (
    CompiledSteps,
    Layout,
    Recipe,
    StackedSteps,
    mean_error,
)

METHODS = [CompiledSteps, StackedSteps]


def by_autograd(parameters, recipe, x):
    """AdamW on the loss as it is defined, one model after another."""
    trained, losses = torch.empty_like(parameters), []
    for seed, restarts in enumerate(parameters):
        for restart, start in enumerate(restarts):
            p = start.clone().requires_grad_()
            optimizer = torch.optim.AdamW([p], lr=recipe.lr, weight_decay=recipe.weight_decay)
            for batch in x[seed].split(recipe.batch_size):
                loss = mean_error(p, recipe.layout, recipe.importance, batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            trained[seed, restart] = p.detach()
    return trained, torch.tensor(losses).reshape(*parameters.shape[:2], -1)


def problem(n, d, tied, batch_size, steps, seed=0):
    """Two seeds with two restarts, on sparse samples."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    layout = Layout(n, d, tied)
    recipe = Recipe(layout, 0.1 + uniform(n), batch_size, lr=1e-2, weight_decay=0.1)
    parameters = uniform(2, 2, layout.size) - 0.4
    x = uniform(2, steps * batch_size, n) * (uniform(2, steps * batch_size, n) < 0.4)
    return parameters, recipe, x


def test_loss_by_hand():
    """One feature of two fires: h = 2 * 0.5 = 1, outputs ReLU(0.5 + 0.1) and ReLU(-1 + 0.2)."""
    tied = torch.tensor([0.5, -1.0, 0.1, 0.2])
    x, importance = torch.tensor([[2.0, 0.0]]), torch.tensor([1.0, 3.0])
    assert float(mean_error(tied, Layout(2, 1), importance, x)) == pytest.approx(1.4**2 / 2)
    # With the decoder (1, 0.5): outputs 1.1 and 0.7, errors -0.9 and 0.7.
    untied = torch.tensor([0.5, -1.0, 1.0, 0.5, 0.1, 0.2])
    expected = (0.9**2 + 3 * 0.7**2) / 2
    assert float(mean_error(untied, Layout(2, 1, tied=False), importance, x)) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("n", "d", "batch_size"), [(4, 2, 100), (1, 1, 64), (7, 3, 130), (20, 5, 3)]
)
def test_fifty_steps_are_those_of_autograd(method, tied, n, d, batch_size):
    parameters, recipe, x = problem(n, d, tied, batch_size, steps=50)
    expected, losses = by_autograd(parameters, recipe, x)
    steps = method(parameters, recipe)
    before = parameters.clone()
    found = torch.cat([steps.advance(part) for part in x.split(20 * batch_size, dim=1)], dim=-1)
    torch.testing.assert_close(steps.parameters, expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found, losses, rtol=1e-3, atol=1e-7)
    assert torch.equal(parameters, before)


@pytest.mark.parametrize("method", METHODS)
@given(
    st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(1, 200), st.integers(0, 2**32)
)
@settings(max_examples=15)
def test_one_step_is_that_of_autograd(method, n, d, tied, batch_size, seed):
    parameters, recipe, x = problem(n, d, tied, batch_size, steps=1, seed=seed)
    expected, losses = by_autograd(parameters, recipe, x)
    steps = method(parameters, recipe)
    found = steps.advance(x)
    # Where a gradient is 0 up to rounding, the first step of AdamW is a coin toss of size lr.
    near = (steps.parameters - expected).abs() < 1e-5
    p = parameters.clone().requires_grad_()
    mean_error(p, recipe.layout, recipe.importance, x[:, None]).sum().backward()
    assert bool((near | (p.grad.abs() < 1e-6)).all())
    torch.testing.assert_close(found, losses, rtol=1e-4, atol=1e-7)


def test_compiled_models_do_not_see_each_other():
    parameters, recipe, x = problem(4, 2, True, 100, steps=10)
    together = CompiledSteps(parameters, recipe)
    together.advance(x)
    alone = CompiledSteps(parameters[1:, 1:], recipe)
    alone.advance(x[1:])
    assert torch.equal(alone.parameters[0, 0], together.parameters[1, 1])


def test_chunks_do_not_change_a_bit():
    parameters, recipe, x = problem(4, 2, False, 90, steps=10)
    whole, parts = CompiledSteps(parameters, recipe), CompiledSteps(parameters, recipe)
    whole.advance(x)
    for part in x.split(3 * 90, dim=1):
        parts.advance(part)
    assert torch.equal(whole.parameters, parts.parameters)


def test_layout_names_every_parameter_once():
    layout = Layout(3, 2, tied=False)
    parameters = torch.arange(layout.size)
    assert layout.encoder(parameters).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert layout.decoder(parameters).tolist() == [[6, 7], [8, 9], [10, 11]]
    assert layout.bias(parameters).tolist() == [12, 13, 14]
    tied = Layout(3, 2)
    assert tied.size == 9
    assert tied.decoder(parameters).data_ptr() == tied.encoder(parameters).data_ptr()
