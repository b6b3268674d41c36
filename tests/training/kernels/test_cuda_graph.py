"""What a CUDA graph of the step needs, tested without a GPU as far as that goes, and with one."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from toysae.config import SAES
from toysae.draws import CPU
from toysae.hidden.readout import RectifiedReadout
from toysae.saes.trainable import TrainableFamily
from toysae.training import stack
from toysae.training.chunks import Chunks
from toysae.training.initial import initial_params
from toysae.training.kernels import cuda_graph
from toysae.training.kernels.cuda_graph import CudaGraphKernel, StepBody
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.objectives import Local, build_objective
from toysae.training.state import StackState

from .._stacks import TRAINER, chunk_of, identical, members, stream, train

FAMILIES = sorted(name for name, family in SAES.items() if issubclass(family, TrainableFamily))

#: Operations that wait for the device, or copy from the host while a graph is captured.
READ_BACK = (
    "aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal",
    "aten.is_nonzero", "aten.unique", "aten._unique2", "aten.lift_fresh", "aten.repeat_interleave",
    "aten.bincount",
)  # fmt: skip

#: Indexing by these with a mask looks up where it is true.
INDEXED = ("aten.index.", "aten.index_put.", "aten.index_put_.", "aten._index_put_impl_.")

#: Ways to train that run other code within a step.
SETTINGS = {
    "none": {},
    "ghost": {"dead_latents": "ghost"},
    "auxiliary": {"dead_latents": "auxiliary"},
    "frozen decoder": {"frozen": "decoder"},
    "frozen encoder": {"frozen": "encoder"},
    "end to end": {"objective": "end_to_end"},
    "end to end, KL": {"objective": "end_to_end", "output_error": "kl"},
    "downstream": {"objective": "end_to_end_downstream"},
}


class NoReadBack(TorchDispatchMode):
    """Refuses every operation that a CUDA graph cannot hold."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removesuffix(".default")
        assert not name.startswith(READ_BACK), f"{name} within a step"
        if str(func).startswith(INDEXED):
            assert not any(i is not None and i.dtype == torch.bool for i in args[1]), name
        return func(*args, **(kwargs or {}))


SEEN = replace(
    stream(4).space, readout=RectifiedReadout(torch.linspace(-1, 1, 12).view(4, 3), torch.ones(3))
)


def start(family, trainer, *, n=3, device=CPU):
    """A kernel, the state before the first step with some dead latents, and a chunk of 5 steps."""
    some = [Member(family, trainer, stream(4), seed) for seed in range(n)]
    state = StackState.start(initial_params(some, device), family.buffers)
    state.silent_steps[:, :2] = trainer.dead_window + 1
    x = some[0].stream.hidden(0, 5 * 32).view(1, 5, 32, 4)
    chunk = chunk_of(x, members=n, coefficient=0.05, first_step=7)
    chunk = replace(chunk, target_l0=torch.ones(n).double(), gradient_clip=torch.full((n,), 0.1))
    objective = build_objective(trainer, [SEEN] * n)
    return ReferenceKernel(family, trainer, objective), state, chunk


def tensors_of(state):
    groups = (state.params, state.first_moment, state.second_moment)
    named = {f"{i}.{name}": t for i, group in enumerate(groups) for name, t in group.items()}
    others = ("silent_steps", "cooldown", "control", "frozen_at")
    return {**named, **{name: getattr(state, name) for name in others}}


def as_on_a_gpu(monkeypatch):
    """On the CPU the step may look whether any latent is dead, since that is free there."""
    monkeypatch.setattr(ReferenceKernel, "_certainly_none", lambda self, dead: False)


@pytest.mark.parametrize("name", FAMILIES)
class TestStep:
    def family(self, name):
        return SAES[name](n_latents=6)

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_reads_nothing_back(self, name, setting, monkeypatch):
        """With gradients clipped and L0 controlled."""
        as_on_a_gpu(monkeypatch)
        if setting.startswith("frozen") and "W_enc" not in self.family(name).param_shapes(4, 6):
            pytest.skip("encoder and decoder are one: neither can be frozen alone")
        trainer = replace(TRAINER, **SETTINGS[setting])
        kernel, state, chunk = start(self.family(name), trainer)
        with NoReadBack():
            kernel.step(state, chunk, 0)

    def test_reads_nothing_back_for_the_terms_of_any_family(self, name, monkeypatch):
        as_on_a_gpu(monkeypatch)
        family = replace(self.family(name), orthogonality_penalty=0.1, frequency_penalty=0.1)
        kernel, state, chunk = start(family, TRAINER)
        with NoReadBack():
            kernel.step(state, chunk, 0)

    def test_changes_the_state_where_it_lies(self, name):
        kernel, state, chunk = start(self.family(name), replace(TRAINER, dead_latents="ghost"))
        before = {key: (t.data_ptr(), t.clone()) for key, t in tensors_of(state).items()}
        kernel.step(state, chunk, 0)
        after = tensors_of(state)
        assert all(after[key].data_ptr() == pointer for key, (pointer, _) in before.items())
        assert not torch.equal(after["0.W_dec"], before["0.W_dec"][1])

    def test_from_buffers_and_a_counter_it_is_the_same(self, name, monkeypatch):
        """The captured body, run without a graph, over chunks of two lengths."""
        as_on_a_gpu(monkeypatch)
        kernel, eager, chunk = start(self.family(name), replace(TRAINER, dead_latents="ghost"))
        _, state, _ = start(self.family(name), replace(TRAINER, dead_latents="ghost"))
        shorter = replace(
            chunk,
            x=chunk.x[:, :3],
            step=chunk.step[:3] + 5,
            progress=chunk.progress[:3],
            **{k: getattr(chunk, k)[:, :3] for k in ("lr", "encoder_share", "coefficient")},
        )
        body = StepBody(kernel.step, state, chunk)
        for part in (chunk, shorter):
            assert body.has_room(state, part)
            with NoReadBack():
                ours = body.advance(part, body.run)
            theirs = kernel.advance(eager, part)
            for loss in ("error", "penalty", "l0"):
                assert getattr(ours, loss).shape == (3, part.n_steps)
                assert torch.equal(getattr(ours, loss), getattr(theirs, loss))
        for key, tensor in tensors_of(eager).items():
            assert torch.equal(tensor, tensors_of(state)[key]), key


def test_body_takes_the_constants_of_every_chunk():
    kernel, eager, chunk = start(SAES["relu"](n_latents=6), TRAINER)
    _, state, _ = start(SAES["relu"](n_latents=6), TRAINER)
    other = replace(
        chunk,
        beta1=0.5 * chunk.beta1,
        beta2=0.9 * chunk.beta2,
        gradient_clip=10 * chunk.gradient_clip,
        target_l0=3 * chunk.target_l0,
    )
    body = StepBody(kernel.step, state, chunk)
    for part in (chunk, other):
        body.advance(part, body.run)
        kernel.advance(eager, part)
    for key, tensor in tensors_of(eager).items():
        assert torch.equal(tensor, tensors_of(state)[key]), key


def test_body_has_no_room_for_longer_chunks_or_another_state():
    kernel, state, chunk = start(SAES["relu"](n_latents=6), TRAINER)
    short = replace(chunk, x=chunk.x[:, :2], step=chunk.step[:2], progress=chunk.progress[:2])
    short = replace(
        short, **{k: getattr(chunk, k)[:, :2] for k in ("lr", "encoder_share", "coefficient")}
    )
    body = StepBody(kernel.step, state, short)
    assert not body.has_room(state, chunk)
    assert not body.has_room(replace(state), short)


def test_read_back_is_noticed():
    mask = torch.tensor([True, False])
    counts = torch.tensor([1, 2])
    with NoReadBack():
        for read in (
            lambda: bool(mask.any()),
            lambda: mask[mask],
            lambda: mask.index_put_((mask,), counts > 1),
            lambda: counts.repeat_interleave(counts),
            lambda: torch.tensor(1.0),
        ):
            with pytest.raises(AssertionError, match="aten"):
                read()


def test_refuses_the_cpu():
    member = Member(SAES["relu"](), TRAINER, stream(2), 0)
    assert CudaGraphKernel.refusal(member, Local()) == "CUDA graphs need a CUDA device"


def test_failed_capture_goes_on_without_a_graph(caplog):
    """Here every capture fails: there is no device to capture on."""
    kernel, eager, chunk = start(SAES["relu"](n_latents=6), TRAINER)
    _, state, _ = start(SAES["relu"](n_latents=6), TRAINER)
    graph = CudaGraphKernel(kernel.family, kernel.trainer, Local())
    if torch.cuda.is_available():
        pytest.skip("a capture would succeed here")
    for _ in range(2):
        graph.advance(state, chunk)
        kernel.advance(eager, chunk)
    assert identical(state.params, eager.params)
    assert state.step == eager.step == 10
    (message,) = [record.message for record in caplog.records]
    assert message.startswith("no CUDA graph (")


class WithoutGraph:
    """In the place of a capture: what a graph would replay, run as it is."""

    def __init__(self, body):
        self.body = body
        self.graph = SimpleNamespace(replay=body.run)


def test_memory_of_a_graph_is_free_once_its_kernel_is_gone(monkeypatch):
    """At once: nothing waits for a collection, before which the next stack is planned."""
    monkeypatch.setattr(cuda_graph, "_Captured", WithoutGraph)
    _, state, chunk = start(SAES["relu"](n_latents=6), TRAINER)
    graph = CudaGraphKernel(SAES["relu"](n_latents=6), TRAINER, Local())
    graph.advance(state, chunk)
    held = weakref.ref(graph._captured)
    gc.disable()
    try:
        del graph
        assert held() is None
    finally:
        gc.enable()


def test_next_data_are_drawn_during_a_chunk_but_not_during_a_capture(monkeypatch):
    """A capture bears no other work on the GPU; chunks of 4 and then of 5 steps make for two."""
    trainer = replace(
        TRAINER,
        steps=45,
        history_points=10,
        dead_latents="resample",
        resample_every=4,
        dead_window=8,
    )
    some = members(3, trainer=trainer)
    expected = train(some, "reference")
    at_capture: list[int] = []
    chunks: list[Chunks] = []

    class Watched(Chunks):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            chunks.append(self)

    class Capture(WithoutGraph):
        def __init__(self, body):
            super().__init__(body)
            drawings = chunks[0]._ahead.values()
            assert all(task.done() for each in drawings for task in each.tasks)
            at_capture.append(len(drawings))

    class Kernel(CudaGraphKernel):
        def advance(self, state, chunk):
            if not self.captures(state, chunk) and state.step < 40:
                ahead.append(len(chunks[0]._ahead))
            return super().advance(state, chunk)

    ahead: list[int] = []
    monkeypatch.setattr(cuda_graph, "_Captured", Capture)
    monkeypatch.setattr(stack, "Chunks", Watched)
    monkeypatch.setattr(stack, "chunks_ahead", lambda device: 2)
    monkeypatch.setattr(
        stack, "choose_kernel", lambda m, objective, _: (Kernel(m.sae, m.trainer, objective), "")
    )
    (trained,) = stack.train(some, threads=1)
    assert at_capture == [0, 1]
    assert ahead == [*[2] * 11, 1]
    assert identical(trained.sae.params, expected.sae.params)
    for name, values in expected.history.items():
        assert torch.equal(trained.history[name].nan_to_num(7), values.nan_to_num(7)), name
