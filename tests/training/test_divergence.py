"""Stacks in which every member has diverged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.config import SAES
from toysae.training import stack
from toysae.training.kernels import cuda_graph, reference
from toysae.training.kernels.blocked import Blocked
from toysae.training.kernels.cuda_graph import CudaGraphKernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member

from ._stacks import TRAINER, stream
from .kernels.test_cuda_graph import WithoutGraph, start

KERNELS = {
    "autograd": lambda m, objective, threads: (ReferenceKernel(m.sae, m.trainer, objective), ""),
    "blocks": lambda m, objective, threads: (
        Blocked(lambda rows: ReferenceKernel(m.sae, m.trainer, objective), 3, 1, 1),
        "",
    ),
    "graph": lambda m, objective, threads: (CudaGraphKernel(m.sae, m.trainer, objective), ""),
}


def diverging(name):
    """Members that diverge, one as soon as it can and the others in the course of the training."""
    family = SAES[name](n_latents=6)
    return [
        Member(family, replace(TRAINER, lr=lr, warmup_fraction=0.0), stream(4), seed)
        for seed, lr in enumerate((1e30, 1e19, 1e25))
    ]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["relu", "topk", "jumprelu", "lista"])
def test_nothing_is_computed_once_all_have_diverged(name, kernel, monkeypatch):
    """The outcome is that of all steps, bit by bit, and the history as long."""
    steps = []
    step = ReferenceKernel.step

    def counted(self, state, chunk, t):
        steps.append(int(chunk.step[t]))
        return step(self, state, chunk, t)

    monkeypatch.setattr(ReferenceKernel, "step", counted)
    monkeypatch.setattr(cuda_graph, "_Captured", WithoutGraph)
    monkeypatch.setattr(stack, "choose_kernel", KERNELS[kernel])
    (passed_over,) = stack.train(diverging(name), threads=1)
    assert bool((passed_over.frozen_at >= 0).all())
    assert max(steps) <= int(passed_over.frozen_at.max()) + 1 < TRAINER.steps - 1
    for module in (reference, cuda_graph):
        monkeypatch.setattr(module, "all_frozen", lambda state: False)
    (whole,) = stack.train(diverging(name), threads=1)
    assert max(steps) == TRAINER.steps - 1
    assert torch.equal(passed_over.frozen_at, whole.frozen_at)
    assert passed_over.reasons == whole.reasons
    for key, p in whole.sae.params.items():
        assert torch.equal(passed_over.sae.params[key], p), key
    for key, values in whole.history.items():
        assert passed_over.history[key].shape == values.shape
        assert torch.equal(passed_over.history[key].nan_to_num(7), values.nan_to_num(7)), key


def test_steps_that_are_passed_over_count_and_still_constrain(monkeypatch):
    """Five in a chunk, from decoder rows that are no longer of unit norm."""
    states = []
    for computed in (False, True):
        kernel, state, chunk = start(SAES["relu"](n_latents=6), TRAINER)
        state.frozen_at.fill_(0)
        state.params["W_dec"].mul_(3)
        if computed:
            monkeypatch.setattr(reference, "all_frozen", lambda state: False)
        loss = kernel.advance(state, chunk)
        assert state.step == 5
        assert all(part.shape == (3, 5) and part.isnan().all() for part in vars(loss).values())
        states.append(state)
    passed_over, whole = states
    for key, p in whole.params.items():
        assert torch.equal(passed_over.params[key], p), key
