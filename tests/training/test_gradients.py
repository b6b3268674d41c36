"""One step of both kernels against the loss written out here, differentiated numerically."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from toysae.saes.relu import ReLU
from toysae.training.dead import ghost_loss
from toysae.training.state import Chunk, StackState
from toysae.training.trainer import Trainer

from ._stacks import KERNELS, Member, stream

NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")
COOLDOWN = 10


def problem(d, m, normalize, seed=0):
    """Parameters of one member in no special position, samples, and which latents are dead."""
    rng = np.random.default_rng(seed)
    shapes = {"W_enc": (d, m), "b_enc": (m,), "W_dec": (m, d), "b_dec": (d,)}
    params = {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}
    params["W_dec"] /= np.linalg.norm(params["W_dec"], axis=1, keepdims=True)
    x = rng.normal(size=(6, d))
    if normalize:
        x[2] = 0
    dead = np.arange(m) % 3 == 1
    return params, x, dead


def terms(params, x, normalize):
    """Squared error weights, residuals, pre-activations and latents of every sample."""
    pre = x @ params["W_enc"] + params["b_enc"]
    latents = np.maximum(pre, 0)
    residual = x - latents @ params["W_dec"] - params["b_dec"]
    norm = (x**2).sum(1)
    weight = np.where(norm > 0, 1 / np.where(norm > 0, norm, 1), 1) if normalize else np.ones(6)
    return weight, residual, pre, latents


def ghost_constants(params, x, normalize, dead):
    """Scale and factor of each sample: constants for the gradient."""
    weight, residual, pre, _ = terms(params, x, normalize)
    scales, factors = [], []
    for w, r, p in zip(weight, residual, pre):
        r = math.sqrt(w) * r
        output = np.exp(p[dead]) @ params["W_dec"][dead]
        scale = np.linalg.norm(r) / (1e-6 + 2 * np.linalg.norm(output))
        scales.append(scale)
        factors.append((r @ r) / (1e-6 + ((r - scale * output) ** 2).sum()))
    return scales, factors


def loss(params, x, normalize, dead, l1, kept, constants):
    """Mean over samples of w |r|^2 + l1 sum_j kept_j f_j + factor |sqrt(w) r - scale g|^2."""
    weight, residual, pre, latents = terms(params, x, normalize)
    total = 0.0
    for n in range(len(x)):
        total += weight[n] * (residual[n] ** 2).sum() + l1 * (kept * latents[n]).sum()
        if constants is not None:
            output = np.exp(pre[n][dead]) @ params["W_dec"][dead]
            left = math.sqrt(weight[n]) * residual[n] - constants[0][n] * output
            total += constants[1][n] * (left**2).sum()
    return total / len(x)


def numerical_gradients(params, function, step=1e-6):
    gradients = {}
    for name in NAMES:
        gradient = np.zeros_like(params[name])
        for index in np.ndindex(gradient.shape):
            ends = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in params.items()}
                moved[name][index] += sign * step
                ends.append(function(moved))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        gradients[name] = gradient
    return gradients


def kernel_step(kernel, params, x, normalize, dead, l1, cooldown, *, unit_norm=False, lr=1e-9):
    """State after one step with beta1 = 0, whose first moment is the gradient."""
    d, m = params["W_enc"].shape
    family = ReLU(n_latents=m, normalize_error=normalize, unit_norm_decoder=unit_norm)
    treatment = "none" if dead is None else "ghost"
    trainer = Trainer(dead_latents=treatment, dead_window=5, ghost_cooldown=COOLDOWN)
    state = StackState.start({k: torch.tensor(v).float()[None] for k, v in params.items()})
    if dead is not None:
        state.silent_steps[0, torch.tensor(dead)] = 6
        state.cooldown[0] = torch.tensor(cooldown)
    chunk = Chunk(
        x=torch.tensor(x).float()[None, None],
        stream_of=torch.zeros(1, dtype=torch.int64),
        lr=torch.full((1, 1), lr, dtype=torch.float64),
        coefficient=torch.full((1, 1), l1),
        beta1=torch.zeros(1, dtype=torch.float64),
        beta2=torch.full((1,), 0.999, dtype=torch.float64),
    )
    member = Member(family, trainer, stream(2), seed=0)
    return state, KERNELS[kernel](member, 1).advance(state, chunk)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("d", "m"), [(1, 2), (2, 4), (3, 5), (4, 7)])
@pytest.mark.parametrize("ghosts", [False, True])
def test_gradient_is_that_of_the_loss(kernel, normalize, d, m, ghosts):
    params, x, dead = problem(d, m, normalize)
    cooldown = np.arange(m) % 4 + 1
    # A step counts the cooldown down first; a dead latent is at its full cooldown: no penalty.
    left = np.where(dead, COOLDOWN, cooldown - 1)
    kept = 1 - left / COOLDOWN if ghosts else np.ones(m)
    constants = ghost_constants(params, x, normalize, dead) if ghosts else None
    expected = numerical_gradients(
        params, lambda moved: loss(moved, x, normalize, dead, 0.2, kept, constants)
    )
    state, losses = kernel_step(
        kernel, params, x, normalize, dead if ghosts else None, 0.2, cooldown
    )
    for name in NAMES:
        found = state.first_moment[name][0].double().numpy()
        np.testing.assert_allclose(found, expected[name], rtol=2e-4, atol=2e-5, err_msg=name)
    weight, residual, _, latents = terms(params, x, normalize)
    error = (weight[:, None] * residual**2).sum() / len(x)
    assert float(losses.error[0, 0]) == pytest.approx(error, rel=1e-5)
    assert float(losses.penalty[0, 0]) == pytest.approx(
        0.2 * (latents * kept).sum() / len(x), rel=1e-5
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_silence_and_cooldown_are_counted(kernel):
    params, x, dead = problem(3, 6, normalize=False)
    state, _ = kernel_step(kernel, params, x, False, dead, 0.2, np.full(6, 4))
    fires = (terms(params, x, False)[3] > 1e-6).any(0)
    assert 0 < fires.sum() < 6
    expected = np.where(fires, 0, np.where(dead, 7, 1))
    assert state.silent_steps[0].tolist() == expected.tolist()
    assert state.cooldown[0].tolist() == np.where(dead, COOLDOWN, 3).tolist()
    assert state.step == 1


@pytest.mark.parametrize("kernel", KERNELS)
def test_unit_rows_get_no_gradient_along_themselves(kernel):
    params, x, dead = problem(3, 6, normalize=False)
    free, _ = kernel_step(kernel, params, x, False, dead, 0.2, np.full(6, 4))
    held, _ = kernel_step(kernel, params, x, False, dead, 0.2, np.full(6, 4), unit_norm=True)
    rows = torch.tensor(params["W_dec"]).float()
    gradient = free.first_moment["W_dec"][0]
    along = (gradient * rows).sum(1, keepdim=True)
    assert float(along.abs().max()) > 0.01
    torch.testing.assert_close(
        held.first_moment["W_dec"][0], gradient - along * rows, rtol=1e-4, atol=1e-5
    )
    for name in ("W_enc", "b_enc", "b_dec"):
        torch.testing.assert_close(held.first_moment[name], free.first_moment[name])


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_are_normalised_before_a_step_and_zero_rows_stay(kernel):
    params, x, dead = problem(2, 4, normalize=False)
    longer = {**params, "W_dec": 3 * params["W_dec"]}
    cooldown = np.zeros(4)
    step, _ = kernel_step(kernel, params, x, False, None, 0.2, cooldown, unit_norm=True)
    same, _ = kernel_step(kernel, longer, x, False, None, 0.2, cooldown, unit_norm=True)
    for name in NAMES:
        torch.testing.assert_close(same.first_moment[name], step.first_moment[name])
    params["W_dec"][1] = 0
    state, _ = kernel_step(kernel, params, x, False, dead, 0.2, cooldown, unit_norm=True)
    assert float(state.params["W_dec"][0, 1].abs().max()) < 1e-6


class TestGhostLoss:
    def forward(self, d=3, m=5):
        params, x, dead = problem(d, m, normalize=True)
        tensors = {k: torch.tensor(v)[None].requires_grad_() for k, v in params.items()}
        family = ReLU(n_latents=m, normalize_error=True)
        inputs = torch.tensor(x)[None]
        return tensors, inputs, family.forward(tensors, inputs), family.error_weight(inputs), dead

    def test_is_as_large_as_the_squared_residual(self):
        params, x, forward, weight, dead = self.forward()
        value = ghost_loss(params, x, forward, weight, torch.tensor(dead)[None])
        squared = weight * (x - forward.reconstruction).square().sum(-1)
        torch.testing.assert_close(value, squared.mean(-1), rtol=1e-4, atol=1e-6)

    def test_gradient_in_float64(self):
        """Exactly the numerical gradient, but for the constants."""
        params, x, forward, weight, dead = self.forward()
        ghost_loss(params, x, forward, weight, torch.tensor(dead)[None]).sum().backward()
        arrays, samples, _ = problem(3, 5, normalize=True)
        constants = ghost_constants(arrays, samples, True, dead)
        nothing = np.zeros(5)

        def ghosts(moved):
            with_ghosts = loss(moved, samples, True, dead, 0.0, nothing, constants)
            return with_ghosts - loss(moved, samples, True, dead, 0.0, nothing, None)

        for name, expected in numerical_gradients(arrays, ghosts).items():
            np.testing.assert_allclose(
                params[name].grad[0].numpy(), expected, rtol=1e-6, atol=1e-8, err_msg=name
            )

    def test_member_without_dead_latents_has_none(self):
        params, x, forward, weight, dead = self.forward()
        alive = torch.zeros(1, len(dead), dtype=torch.bool)
        value = ghost_loss(params, x, forward, weight, alive)
        assert value.tolist() == [0]
        gradients = torch.autograd.grad(value.sum(), list(params.values()), allow_unused=True)
        assert all(g is None or not g.any() for g in gradients)

    def test_live_latent_may_be_too_large_for_exp(self):
        """Its exponential would be infinite, and 0 times infinity is NaN."""
        params, x, forward, weight, dead = self.forward()
        large = forward.pre_activations.masked_fill(~torch.tensor(dead), 1e4)
        value = ghost_loss(
            params, x, forward._replace(pre_activations=large), weight, torch.tensor(dead)[None]
        )
        value.sum().backward()
        assert all(bool(p.grad.isfinite().all()) for p in params.values() if p.grad is not None)


@pytest.mark.parametrize("kernel", KERNELS)
def test_members_do_not_see_each_other(kernel):
    """A stack of two with a dead latent in one only: gradients as apart."""
    params, x, dead = problem(2, 4, normalize=False)
    other, _, _ = problem(2, 4, normalize=False, seed=1)
    family = ReLU(n_latents=4, unit_norm_decoder=False)
    trainer = Trainer(dead_latents="ghost", dead_window=5, ghost_cooldown=COOLDOWN)
    stacked = {k: torch.tensor(np.stack([params[k], other[k]])).float() for k in params}
    state = StackState.start(stacked)
    state.silent_steps[0, torch.tensor(dead)] = 6
    ones = torch.ones(2, 1)
    chunk = Chunk(
        x=torch.tensor(x).float()[None, None],
        stream_of=torch.zeros(2, dtype=torch.int64),
        lr=1e-9 * ones.double(),
        coefficient=0.2 * ones,
        beta1=torch.zeros(2, dtype=torch.float64),
        beta2=0.999 * torch.ones(2, dtype=torch.float64),
    )
    KERNELS[kernel](Member(family, trainer, stream(2), seed=0), 1).advance(state, chunk)
    apart = [
        kernel_step(kernel, p, x, False, mask, 0.2, np.zeros(4))[0]
        for p, mask in ((params, dead), (other, np.zeros(4, dtype=bool)))
    ]
    for i, alone in enumerate(apart):
        for name in NAMES:
            torch.testing.assert_close(
                state.first_moment[name][i], alone.first_moment[name][0], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("kernel", KERNELS)
def test_penalty_returns_at_once_without_cooldown(kernel):
    params, x, dead = problem(2, 4, normalize=False)
    member = Member(
        ReLU(n_latents=4, unit_norm_decoder=False),
        replace(Trainer(), dead_latents="ghost", dead_window=5, ghost_cooldown=0),
        stream(2),
        seed=0,
    )
    state = StackState.start({k: torch.tensor(v).float()[None] for k, v in params.items()})
    chunk = Chunk(
        x=torch.tensor(x).float()[None, None],
        stream_of=torch.zeros(1, dtype=torch.int64),
        lr=torch.full((1, 1), 1e-9, dtype=torch.float64),
        coefficient=torch.full((1, 1), 0.2),
        beta1=torch.zeros(1, dtype=torch.float64),
        beta2=torch.zeros(1, dtype=torch.float64),
    )
    losses = KERNELS[kernel](member, 1).advance(state, chunk)
    latents = terms(params, x, False)[3]
    assert float(losses.penalty[0, 0]) == pytest.approx(0.2 * latents.sum() / 6, rel=1e-5)
