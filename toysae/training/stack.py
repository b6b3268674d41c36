"""Train many SAEs: group them into stacks, and each stack as one tensor program."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.base import SAE
from toysae.training.fused_kernel import FusedKernel
from toysae.training.initial import initial_params
from toysae.training.member import Member, group_into_stacks
from toysae.training.reference import ReferenceKernel, normalize_rows_
from toysae.training.state import Chunk, ChunkLoss, StackState

logger = logging.getLogger(__name__)

#: Data of one chunk of steps stays below this many numbers, so that it does not leave the cache
#: hierarchy between members (measured best between 2^20 and 2^24).
CHUNK_NUMBERS = 2**22

#: A chunk has at most about this many member-steps, so that progress and Ctrl-C are prompt.
CHUNK_MEMBER_STEPS = 2**15

HISTORY_POINTS = 100

Progress = Callable[[int], None]


class Kernel(Protocol):
    """One way to run training steps; all give the same numbers up to rounding."""

    name: str

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""


@dataclass(frozen=True)
class TrainedStack:
    """The outcome of one stack.

    Attributes:
        index: position of each member in the sequence that was given to `train`.
        sae: the trained SAEs, in that order.
        frozen_at: step at which a member diverged, or -1, `[M]`; its parameters are those before.
        history_steps: step of each history point, `[points]`.
        error, penalty: mean over the steps up to each history point, `[M, points]`.
        kernel: name of the kernel that ran.
        seconds: wall time.
    """

    index: tuple[int, ...]
    sae: SAE
    frozen_at: Tensor
    history_steps: Tensor
    error: Tensor
    penalty: Tensor
    kernel: str
    seconds: float


def train(
    members: Sequence[Member],
    *,
    threads: int | None = None,
    progress: Progress = lambda member_steps: None,
) -> Iterator[TrainedStack]:
    """Train members, one stack after another; yields each stack as it is finished.

    A member's result does not depend on its company, on the order, or on chunking.

    Args:
        members: what to train.
        threads: CPU threads for data and the fused kernel; default all cores.
        progress: called with the number of member-steps done since the last call.
    """
    threads = threads or os.cpu_count() or 1
    for index in group_into_stacks(members):
        yield _train_stack(tuple(index), [members[i] for i in index], threads, progress)


def _train_stack(
    index: tuple[int, ...], members: Sequence[Member], threads: int, progress: Progress
) -> TrainedStack:
    started = time.perf_counter()
    first = members[0]
    device = first.stream.device
    kernel = choose_kernel(first, threads)
    logger.info(
        "stack of %d: %s, d=%d, %d latents, %d steps of %d on %s by %s",
        len(members), first.sae.name, first.stream.space.d_hidden, first.sae.n_latents,
        first.trainer.steps, first.trainer.batch_size, device, kernel.name,
    )  # fmt: skip
    state = StackState.start(initial_params(members, device))
    history = _History(first.trainer.steps)
    with ThreadPoolExecutor(threads) as pool:
        for chunk in _chunks(members, pool):
            history.add(state.step, kernel.advance(state, chunk))
            progress(len(members) * chunk.n_steps)
    _freeze_if_not_finite(state)
    if first.sae.unit_norm_decoder:
        normalize_rows_(state.params["W_dec"])
    for position in torch.nonzero(state.frozen_at >= 0).flatten().tolist():
        logger.warning(
            "member %d diverged at step %d and was frozen there; the others went on",
            index[position], int(state.frozen_at[position]),
        )  # fmt: skip
    steps, error, penalty = history.summary()
    return TrainedStack(
        index,
        SAE(first.sae, state.params),
        state.frozen_at,
        steps,
        error,
        penalty,
        kernel.name,
        time.perf_counter() - started,
    )


def _freeze_if_not_finite(state: StackState) -> None:
    """Report members whose very last step made a parameter infinite: no loss came after it."""
    finite = torch.stack([p.isfinite().flatten(1).all(1) for p in state.params.values()]).all(0)
    state.frozen_at[~finite & (state.frozen_at < 0)] = state.step


def choose_kernel(member: Member, threads: int) -> Kernel:
    """The fastest kernel that runs this family, shape and device."""
    if FusedKernel.runs(member.sae, member.stream.space.d_hidden, member.stream.device):
        return FusedKernel(member.sae, member.trainer, threads)
    return ReferenceKernel(member.sae, member.trainer)


def _chunks(members: Sequence[Member], pool: ThreadPoolExecutor) -> Iterator[Chunk]:
    trainer = members[0].trainer
    device = members[0].stream.device
    streams: dict[Stream, int] = {}
    stream_of = torch.tensor([streams.setdefault(m.stream, len(streams)) for m in members])
    d_hidden = members[0].stream.space.d_hidden
    numbers = len(streams) * trainer.batch_size * d_hidden
    steps_per_chunk = max(1, min(CHUNK_NUMBERS // numbers, CHUNK_MEMBER_STEPS // len(members)))
    # Whole blocks of samples, where they fit: a block that is read in part is drawn twice.
    steps_per_block = max(1, BLOCK // trainer.batch_size)
    if steps_per_chunk > steps_per_block:
        steps_per_chunk -= steps_per_chunk % steps_per_block
    lr = torch.tensor([m.trainer.lr for m in members], dtype=torch.float64, device=device)
    coefficient = torch.tensor([m.sae.coefficient for m in members], device=device)
    betas = torch.tensor(
        [(m.trainer.beta1, m.trainer.beta2) for m in members], dtype=torch.float64, device=device
    )
    for step in range(0, trainer.steps, steps_per_chunk):
        n_steps = min(steps_per_chunk, trainer.steps - step)
        first, n = step * trainer.batch_size, n_steps * trainer.batch_size
        x = torch.empty(len(streams), d_hidden, n_steps, trainer.batch_size, device=device)

        def draw(stream: Stream, x: Tensor = x, first: int = first, n: int = n) -> None:
            x[streams[stream]].copy_(stream.hidden(first, n).T.reshape(x.shape[1:]))

        list(pool.map(draw, streams))
        yield Chunk(
            x=x.permute(0, 2, 3, 1),
            stream_of=stream_of.to(device),
            lr=lr[:, None] * trainer.lr_factor(step, n_steps).to(device),
            coefficient=coefficient[:, None].expand(-1, n_steps).contiguous(),
            beta1=betas[:, 0].contiguous(),
            beta2=betas[:, 1].contiguous(),
        )


class _History:
    """Means of the losses over about `HISTORY_POINTS` stretches of the training."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._points = min(HISTORY_POINTS, steps)
        self._sums: list[Tensor] = []
        self._counts = torch.zeros(self._points, dtype=torch.float64)

    def add(self, first_step: int, loss: ChunkLoss) -> None:
        n_steps = loss.error.shape[1]
        point = (torch.arange(first_step, first_step + n_steps) * self._points) // self._steps
        both = torch.stack([loss.error, loss.penalty]).cpu().double()
        sums = torch.zeros(2, both.shape[1], self._points, dtype=torch.float64)
        sums.index_add_(2, point, both)
        self._sums = [sums if not self._sums else self._sums[0] + sums]
        self._counts += torch.bincount(point, minlength=self._points)

    def summary(self) -> tuple[Tensor, Tensor, Tensor]:
        """Last step of each stretch, and the mean error and penalty over it, `[M, points]`."""
        ends = (torch.arange(1, self._points + 1) * self._steps + self._points - 1) // self._points
        error, penalty = self._sums[0] / self._counts
        return ends - 1, error, penalty
