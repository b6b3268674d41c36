"""One step of both kernels against the loss written out here, differentiated numerically."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from toysae.saes.relu import ReLU
from toysae.training.ghost import ghost_loss
from toysae.training.member import Member
from toysae.training.objectives import Local
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from ._stacks import KERNELS, chunk_of, stream

NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")
COOLDOWN = 10
WINDOW = 5
L1 = 0.2


def start(d, m, seed=0):
    """Parameters of one member in no special position, but for unit decoder rows."""
    rng = np.random.default_rng(seed)
    shapes = {"W_enc": (d, m), "b_enc": (m,), "W_dec": (m, d), "b_dec": (d,)}
    params = {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}
    params["W_dec"] /= np.linalg.norm(params["W_dec"], axis=1, keepdims=True)
    return params


def samples(d):
    """Six samples, one of them zero."""
    x = np.random.default_rng(99).normal(size=(6, d))
    x[2] = 0
    return x


def some_dead(m):
    return np.arange(m) % 3 == 1


def terms(params, x, normalize):
    """Error weight, residual, pre-activations and latents of every sample."""
    pre = x @ params["W_enc"] + params["b_enc"]
    latents = np.maximum(pre, 0)
    residual = x - latents @ params["W_dec"] - params["b_dec"]
    squared = (x**2).sum(1)
    weight = np.ones(len(x))
    if normalize:
        weight[squared > 0] = 1 / squared[squared > 0]
    return weight, residual, pre, latents


def ghost_constants(params, x, normalize, dead):
    """Scale and factor of each sample: constants for the gradient."""
    weight, residual, pre, _ = terms(params, x, normalize)
    constants = []
    for w, r, p in zip(weight, residual, pre):
        r = math.sqrt(w) * r
        output = np.exp(p[dead]) @ params["W_dec"][dead]
        scale = np.linalg.norm(r) / (1e-6 + 2 * np.linalg.norm(output))
        constants.append((scale, (r @ r) / (1e-6 + ((r - scale * output) ** 2).sum())))
    return constants


def plain_loss(params, x, normalize, kept):
    """Mean over samples of `w |r|^2 + l1 sum_j kept_j f_j`."""
    weight, residual, _, latents = terms(params, x, normalize)
    return (weight * (residual**2).sum(1) + L1 * (latents * kept).sum(1)).mean()


def ghosts(params, x, normalize, dead, constants):
    """Mean over samples of `factor |sqrt(w) r - scale sum_dead exp(pre) d|^2`."""
    weight, residual, pre, _ = terms(params, x, normalize)
    total = 0.0
    for w, r, p, (scale, factor) in zip(weight, residual, pre, constants):
        output = np.exp(p[dead]) @ params["W_dec"][dead]
        total += factor * ((math.sqrt(w) * r - scale * output) ** 2).sum()
    return total / len(x)


def numerical_gradients(params, function, step=1e-6):
    gradients = {}
    for name in NAMES:
        gradients[name] = np.zeros_like(params[name])
        for index in np.ndindex(params[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in params.items()}
                moved[name][index] += sign * step
                ends.append(function(moved))
            gradients[name][index] = (ends[0] - ends[1]) / (2 * step)
    return gradients


def one_step(
    kernel, starts, x, *, dead=None, cooldown=0, normalize=False, unit_norm=False,
    ghost_cooldown=COOLDOWN,
):  # fmt: skip
    """State and losses after one step with beta1 = 0: the first moment is the gradient.

    `dead` is a mask `[M, m]`; without one there are no ghost gradients.
    """
    n = len(starts)
    stacked = {k: torch.tensor(np.stack([p[k] for p in starts])).float() for k in NAMES}
    family = ReLU(
        n_latents=stacked["b_enc"].shape[1], normalize_error=normalize, unit_norm_decoder=unit_norm
    )
    trainer = Trainer(
        dead_latents="none" if dead is None else "ghost",
        dead_window=WINDOW,
        ghost_cooldown=ghost_cooldown,
    )
    state = StackState.start(stacked)
    if dead is not None:
        state.silent_steps[torch.tensor(dead)] = WINDOW + 1
    state.cooldown[:] = torch.as_tensor(cooldown)
    batches = torch.tensor(x).float()[None, None]
    chunk = chunk_of(batches, members=n, coefficient=L1, lr=1e-9, beta1=0.0)
    some_kernel, _ = KERNELS[kernel](Member(family, trainer, stream(), seed=0), Local(), 1)
    losses = some_kernel.advance(state, chunk)
    return state, losses


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("with_ghosts", [False, True])
@pytest.mark.parametrize(("d", "m"), [(1, 2), (2, 4), (3, 5), (4, 7)])
def test_gradient_is_that_of_the_loss(kernel, normalize, with_ghosts, d, m):
    params, x, dead = start(d, m), samples(d), some_dead(m)
    cooldown = np.arange(m) % 4 + 1
    kept = np.ones(m)
    if with_ghosts:  # a step counts down first; a dead latent is at its full cooldown
        kept = 1 - np.where(dead, COOLDOWN, cooldown - 1) / COOLDOWN
        constants = ghost_constants(params, x, normalize, dead)

    def total(moved):
        extra = ghosts(moved, x, normalize, dead, constants) if with_ghosts else 0
        return plain_loss(moved, x, normalize, kept) + extra

    state, losses = one_step(
        kernel, [params], x, dead=dead[None] if with_ghosts else None, cooldown=cooldown,
        normalize=normalize,
    )  # fmt: skip
    for name, expected in numerical_gradients(params, total).items():
        found = state.first_moment[name][0].numpy()
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5, err_msg=name)
    penalty = L1 * (terms(params, x, normalize)[3] * kept).sum(1).mean()
    error = plain_loss(params, x, normalize, kept) - penalty
    assert float(losses.error[0, 0]) == pytest.approx(error, rel=1e-5)
    assert float(losses.penalty[0, 0]) == pytest.approx(penalty, rel=1e-5)


def test_silence_and_cooldown_are_counted(kernel):
    params, x, dead = start(3, 6), samples(3), some_dead(6)
    # One dead latent goes on, one fires again, and a live one falls silent.
    params["b_enc"][[1, 4, 2]] = (-9, 2, -9)
    state, _ = one_step(kernel, [params], x, dead=dead[None], cooldown=4)
    fires = (terms(params, x, normalize=False)[3] > 1e-6).any(0)
    assert fires.tolist() == [True, False, False, True, True, True]
    assert state.silent_steps[0].tolist() == [0, WINDOW + 2, 1, 0, 0, 0]
    assert state.cooldown[0].tolist() == [3, COOLDOWN, 3, 3, COOLDOWN, 3]
    assert state.step == 1


def test_penalty_returns_at_once_without_cooldown(kernel):
    params, x, dead = start(2, 4), samples(2), some_dead(4)
    _, losses = one_step(kernel, [params], x, dead=dead[None], ghost_cooldown=0)
    penalty = L1 * terms(params, x, normalize=False)[3].sum(1).mean()
    assert float(losses.penalty[0, 0]) == pytest.approx(penalty, rel=1e-5)


def test_unit_rows_get_no_gradient_along_themselves(kernel):
    params, x, dead = start(3, 6), samples(3), some_dead(6)[None]
    free, _ = one_step(kernel, [params], x, dead=dead)
    held, _ = one_step(kernel, [params], x, dead=dead, unit_norm=True)
    rows, gradient = torch.tensor(params["W_dec"]).float(), free.first_moment["W_dec"][0]
    along = (gradient * rows).sum(1, keepdim=True)
    assert float(along.abs().max()) > 0.01
    torch.testing.assert_close(
        held.first_moment["W_dec"][0], gradient - along * rows, rtol=1e-4, atol=1e-5
    )
    for name in ("W_enc", "b_enc", "b_dec"):
        torch.testing.assert_close(held.first_moment[name], free.first_moment[name])


def test_rows_are_normalised_before_a_step_and_zero_rows_stay_finite(kernel):
    params, x = start(2, 4), samples(2)
    longer = {**params, "W_dec": 3 * params["W_dec"]}
    step, _ = one_step(kernel, [params], x, unit_norm=True)
    same, _ = one_step(kernel, [longer], x, unit_norm=True)
    for name in NAMES:
        torch.testing.assert_close(same.first_moment[name], step.first_moment[name])
    params["W_dec"][1] = 0
    state, _ = one_step(kernel, [params], x, unit_norm=True)
    assert float(state.params["W_dec"][0, 1].abs().max()) < 1e-6


def test_members_do_not_see_each_other(kernel):
    """A stack of two with dead latents in one only: gradients as apart."""
    starts, x = [start(2, 4), start(2, 4, seed=1)], samples(2)
    dead = np.stack([some_dead(4), np.zeros(4, dtype=bool)])
    stacked, _ = one_step(kernel, starts, x, dead=dead)
    for i in (0, 1):
        alone, _ = one_step(kernel, starts[i : i + 1], x, dead=dead[i : i + 1])
        for name in NAMES:
            torch.testing.assert_close(
                stacked.first_moment[name][i], alone.first_moment[name][0], rtol=1e-5, atol=1e-6
            )


class TestGhostLoss:
    """The definition itself, in float64."""

    DEAD = some_dead(5)

    def inputs(self):
        params = {k: torch.tensor(v)[None].requires_grad_() for k, v in start(3, 5).items()}
        family, x = ReLU(n_latents=5, normalize_error=True), torch.tensor(samples(3))[None]
        return params, x, family.forward(params, x, torch.zeros(())), family.error_weight(x)

    def test_is_as_large_as_the_squared_residual(self):
        params, x, forward, weight = self.inputs()
        value = ghost_loss(params, x, forward, weight, torch.tensor(self.DEAD)[None])
        squared = weight * (x - forward.reconstruction).square().sum(-1)
        torch.testing.assert_close(value, squared.mean(-1), rtol=1e-4, atol=1e-6)

    def test_gradient_is_numerical_but_for_the_constants(self):
        params, x, forward, weight = self.inputs()
        ghost_loss(params, x, forward, weight, torch.tensor(self.DEAD)[None]).sum().backward()
        constants = ghost_constants(start(3, 5), samples(3), True, self.DEAD)
        expected = numerical_gradients(
            start(3, 5), lambda moved: ghosts(moved, samples(3), True, self.DEAD, constants)
        )
        for name in NAMES:
            found = params[name].grad[0].numpy()
            np.testing.assert_allclose(found, expected[name], rtol=1e-6, atol=1e-8, err_msg=name)

    def test_member_without_dead_latents_has_none(self):
        params, x, forward, weight = self.inputs()
        value = ghost_loss(params, x, forward, weight, torch.zeros(1, 5, dtype=torch.bool))
        assert value.tolist() == [0]
        gradients = torch.autograd.grad(value.sum(), list(params.values()))
        assert not any(gradient.any() for gradient in gradients)

    def test_live_latent_may_be_too_large_for_exp(self):
        """Its exponential would be infinite, and 0 times infinity is NaN."""
        params, x, forward, weight = self.inputs()
        dead = torch.tensor(self.DEAD)
        large = forward._replace(pre_activations=forward.pre_activations.masked_fill(~dead, 1e4))
        ghost_loss(params, x, large, weight, dead[None]).sum().backward()
        assert all(bool(p.grad.isfinite().all()) for p in params.values())
