"""Training on a GPU by a graph; and, without one, by what it replays on a device beside the CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pretended_device import pretended_device

from toysae.config import SAES
from toysae.draws import CPU
from toysae.generators.board import Board
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.training import stack
from toysae.training.kernels import cuda_graph
from toysae.training.kernels.cuda_graph import CudaGraphKernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.objectives import Local
from toysae.training.saved import Saves
from toysae.training.trainer import Trainer

from .._stacks import TRAINER, identical, of_member, stream, train
from .test_cuda_graph import FAMILIES, WithoutGraph, start, tensors_of

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

TREATMENTS = ("none", "ghost", "auxiliary")

#: What a stack does between its steps.
BETWEEN = {
    "plain": {},
    "resampled": {"dead_latents": "resample", "resample_every": 10, "dead_window": 3},
    "unit_mean_norm": {"input_scaling": "unit_mean_norm"},
    "layer_norm": {"input_scaling": "layer_norm"},
    "controlled and clipped": {"target_l0": 2.0, "gradient_clip": 0.1},
    "fine-tuned": {"finetune_fraction": 0.3},
}


@pytest.fixture(params=["pretended", pytest.param("cuda", marks=needs_gpu)])
def device(request, monkeypatch):
    """A GPU; or a device beside the CPU, with the step that would be captured run as it is."""
    if request.param == "cuda":
        yield torch.device("cuda")
        return
    monkeypatch.setattr(cuda_graph, "_Captured", WithoutGraph)
    monkeypatch.setattr(CudaGraphKernel, "refusal", staticmethod(lambda member, objective: ""))
    with pretended_device() as pretended:
        yield pretended


def moved(here, device):
    """The stream on a device."""
    space = replace(here.space, directions=here.space.directions.to(device))
    return replace(here, space=space)


def on(chunk, device):
    """The chunk on a device."""
    return replace(chunk, **{name: value.to(device) for name, value in vars(chunk).items()})


def some_members(device, *, n_latents=6, here=None, **trainer):
    """Members of two streams."""
    streams = [moved(here or stream(4, seed=seed), device) for seed in range(2)]
    family, settings = SAES["relu"](n_latents=n_latents), replace(TRAINER, **trainer)
    return [Member(family, settings, streams[seed % 2], seed) for seed in range(5)]


def close(a, b):
    """Whether two tensors agree but for rounding, and are undefined in the same places."""
    return torch.allclose(a.cpu().double(), b.cpu().double(), 1e-4, 1e-5, equal_nan=True)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_graph_is_the_eager_step(name, treatment, device):
    """Parameters, moments, silent steps, control, and losses, clipped and controlled."""
    family, trainer = (
        SAES[name](n_latents=6),
        replace(TRAINER, dead_latents=treatment),
    )
    kernel, eager, chunk = start(family, trainer, device=device)
    _, state, _ = start(family, trainer, device=device)
    chunk = on(chunk, device)
    graph = CudaGraphKernel(family, trainer, Local())
    for _ in range(4):
        ours, theirs = graph.advance(state, chunk), kernel.advance(eager, chunk)
        for loss in ("error", "penalty", "l0"):
            assert close(getattr(ours, loss), getattr(theirs, loss)), loss
    assert graph._captured is not None
    assert state.step == eager.step
    for key, tensor in tensors_of(eager).items():
        assert close(tensors_of(state)[key], tensor), key


@pytest.mark.parametrize("setting", BETWEEN)
def test_trained_stack_is_that_of_the_eager_step(setting, device):
    some = some_members(device, **BETWEEN[setting])
    expected, trained = train(some, "reference"), train(some)
    assert trained.kernel == CudaGraphKernel.name
    assert expected.kernel == ReferenceKernel.name
    assert all(close(trained.sae.params[name], p) for name, p in expected.sae.params.items())
    assert all(close(trained.history[name], h) for name, h in expected.history.items())


def test_generator_that_draws_on_the_cpu(device):
    """The board has no other way; its samples are copied."""
    board = Board(rows=2, columns=2)
    (space,) = Orthonormal(d_hidden=board.n_features).spaces(board, [0], CPU)
    some = some_members(device, here=Stream(board, space, 0))
    expected, trained = train(some, "reference"), train(some)
    assert some[0].stream.hidden(0, 10).device.type == device.type
    assert all(close(trained.sae.params[name], p) for name, p in expected.sae.params.items())


def test_second_stack_of_a_process(device):
    """Its graph is captured after the first one's memory was given back."""
    both = [*some_members(device), *some_members(device, n_latents=7)]
    for trained, alone in zip(stack.train(both, threads=1), (both[:5], both[5:])):
        expected = train(alone)
        assert all(close(trained.sae.params[name], p) for name, p in expected.sae.params.items())


def test_member_does_not_depend_on_its_stack(device):
    many = some_members(device)
    whole, few = train(many), train(many[:2])
    assert all(close(of_member(whole, 1)[name], p) for name, p in of_member(few, 1).items())


def test_stream_is_the_same_in_any_pieces(device):
    there = moved(stream(4), device)
    whole = there.hidden(0, 20_000)
    assert whole.device.type == device.type
    assert torch.equal(whole, torch.cat([there.hidden(0, 9_000), there.hidden(9_000, 11_000)]))


@needs_gpu
def test_stack_goes_on_with_the_same_bits(tmp_path):
    some = some_members(torch.device("cuda"))
    expected, saves, done = train(some), Saves(tmp_path, every=0), 0

    def interrupt(member_steps):
        nonlocal done
        done += member_steps
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(stack.train(some, threads=1, progress=interrupt, saves=saves))
    assert list(tmp_path.iterdir())
    (trained,) = stack.train(some, threads=1, saves=saves)
    assert identical(trained.sae.params, expected.sae.params)


@needs_gpu
def test_trained_sae_is_as_good_as_on_the_cpu():
    here = stream(4)
    trainer = Trainer(steps=300, batch_size=256, lr=3e-3)
    errors = []
    for where in (here, moved(here, torch.device("cuda"))):
        (trained,) = stack.train([Member(SAES["relu"](n_latents=8), trainer, where, 0)])
        errors.append(float(trained.history["error"][0, -1]))
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
