"""The autograd step as a CUDA graph: one launch a step instead of some sixty.

At toy shapes a GPU waits for Python most of the time. The step of `ReferenceKernel` reads nothing
back and changes its state in place, so it can be captured once and replayed. The graph finds its
step in the chunk by a counter that lies on the device, so one graph does for chunks of any length
up to that which it has room for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from toysae.training.kernels.reference import ReferenceKernel, all_frozen
from toysae.training.member import Member
from toysae.training.objectives import Objective
from toysae.training.state import Chunk, ChunkLoss, StackState

logger = logging.getLogger(__name__)

#: Which axis of a chunk's tensors is that of the steps; the others hold for all steps.
STEP_AXIS = {"x": 1, "lr": 1, "encoder_share": 1, "coefficient": 1, "step": 0, "progress": 0}

#: Steps before the capture, on a copy of the state: libraries allocate and choose what they use.
_WARM_UP = 3

Step = Callable[[StackState, Chunk, int], tuple[Tensor, Tensor, Tensor]]


class CudaGraphKernel(ReferenceKernel):
    """`ReferenceKernel`, captured; where the capture fails it goes on without, and says so."""

    name = "stacked torch (CUDA graph)"

    @staticmethod
    def refusal(member: Member, objective: Objective) -> str:
        """Why this kernel cannot train a stack like `member`; empty if it can."""
        return "" if member.stream.device.type == "cuda" else "CUDA graphs need a CUDA device"

    def captures(self, state: StackState, chunk: Chunk) -> bool:
        """Whether `advance` on these would begin with a capture."""
        has_room = self._captured is not None and self._captured.body.has_room(state, chunk)
        return not (self._refused or has_room)

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        if self._refused or all_frozen(state):
            return super().advance(state, chunk)
        if self._captured is None or self.captures(state, chunk):
            self._captured = None  # frees its memory before the next is captured
            # The step of a kernel apart: with our own, we and the graph would hold each other, and
            # its memory would wait for the garbage collector.
            apart = ReferenceKernel(self.family, self.trainer, self.objective)
            try:
                self._captured = _Captured(StepBody(apart.step, state, chunk))
            except RuntimeError as error:
                self._refused = True
                logger.warning("no CUDA graph (%s): going on with single launches", error)
                return super().advance(state, chunk)
        loss = self._captured.body.advance(chunk, self._captured.graph.replay)
        state.step += chunk.n_steps
        return loss

    _captured: _Captured | None = None
    _refused: bool = False


class StepBody:
    """One step on buffers that stay where they are: what a graph is captured of.

    Args:
        step: `ReferenceKernel.step`.
        state: what it changes.
        chunk: the first chunk; there is room for as many steps as it has.
    """

    def __init__(self, step: Step, state: StackState, chunk: Chunk) -> None:
        self._step = step
        self.state = state
        self._chunk = _copied(chunk)
        # Cut at step 0 to have buffers of the right shape, which `run` fills; what holds for all
        # steps is that of the chunk itself.
        self._single = replace(
            self._chunk,
            **{name: getattr(chunk, name).narrow(a, 0, 1).clone() for name, a in STEP_AXIS.items()},
        )
        self.device = chunk.x.device
        self._counter = torch.zeros(1, dtype=torch.int64, device=self.device)
        self._losses = chunk.x.new_zeros(3, len(state.frozen_at), chunk.n_steps)

    def has_room(self, state: StackState, chunk: Chunk) -> bool:
        """Whether this runs on `state` and has buffers for `chunk`."""
        return state is self.state and chunk.n_steps <= self._chunk.n_steps

    def run(self) -> None:
        """The step that the counter says, and the counter on: no argument, nothing read back."""
        self.run_on(self.state)

    def run_on(self, state: StackState) -> None:
        """As `run`, on another state of the same shape."""
        for name, axis in STEP_AXIS.items():
            whole = getattr(self._chunk, name)
            getattr(self._single, name).copy_(whole.index_select(axis, self._counter))
        losses = torch.stack(self._step(state, self._single, 0))
        self._losses.index_copy_(2, self._counter, losses[..., None])
        self._counter.add_(1)

    def rewind(self) -> None:
        """The next step is the first of the chunk."""
        self._counter.zero_()

    def advance(self, chunk: Chunk, run: Callable[[], object]) -> ChunkLoss:
        """Call `run`, a replay of this body, for every step of `chunk`."""
        for field in fields(chunk):
            buffer, value = getattr(self._chunk, field.name), getattr(chunk, field.name)
            if field.name in STEP_AXIS:
                buffer = buffer.narrow(STEP_AXIS[field.name], 0, chunk.n_steps)
            buffer.copy_(value)
        self.rewind()
        for _ in range(chunk.n_steps):
            run()
        return ChunkLoss(*self._losses[..., : chunk.n_steps].clone())


class _Captured:
    """A body with its graph. Capturing runs nothing: the state is as it was."""

    def __init__(self, body: StepBody) -> None:
        self.body = body
        self.graph = torch.cuda.CUDAGraph()
        spare = _spare_copy(body.state)
        with torch.cuda.device(body.device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    body.rewind()
                    body.run_on(spare)
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(self.graph):
                body.run()


def _copied(chunk: Chunk) -> Chunk:
    """The same numbers in tensors of their own, laid out in memory as they were."""
    return replace(
        chunk, **{field.name: getattr(chunk, field.name).clone() for field in fields(chunk)}
    )


def _spare_copy(state: StackState) -> StackState:
    """The same state in tensors of its own."""
    copies: dict[str, Any] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, dict):
            copies[field.name] = {name: tensor.clone() for name, tensor in value.items()}
        elif isinstance(value, Tensor):
            copies[field.name] = value.clone()
    return replace(state, **copies)
