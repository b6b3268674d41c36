"""Train many SAEs: group them into stacks, and each stack as one tensor program."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.hidden.stream import Stream
from toysae.saes.base import SAE
from toysae.training.chunks import Chunks, chunks_ahead
from toysae.training.divergence import freeze_if_not_finite, reasons
from toysae.training.history import History
from toysae.training.initial import initial_params
from toysae.training.kernels.blocked import Blocked
from toysae.training.kernels.choice import Kernel, choose_kernel
from toysae.training.kernels.cuda_graph import CudaGraphKernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member, group_into_stacks
from toysae.training.memory import cut, members_at_once, warn_if_too_large
from toysae.training.objectives import build_objective
from toysae.training.probe import Probe
from toysae.training.resampling import resample
from toysae.training.saved import SavedStack, Saves, Snapshot, StackFile, identities
from toysae.training.scaling import InputScaling
from toysae.training.state import StackState

logger = logging.getLogger(__name__)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class TrainedStack:
    """The outcome of one stack.

    Attributes:
        index: position of each member in the sequence that was given to `train`.
        sae: the trained SAEs, in that order.
        frozen_at: step at which a member diverged, or -1, `[M]`; its parameters are those before.
        reasons: why a member diverged, in words, by its place in `index`.
        history_steps: steps done at the end of each stretch of the history, `[points]`.
        history: by name, `[M, points]`; see `toysae.training.history`.
        kernel: name of the kernel that ran.
        seconds: wall time.
    """

    index: tuple[int, ...]
    sae: SAE
    frozen_at: Tensor
    reasons: dict[int, str]
    history_steps: Tensor
    history: dict[str, Tensor]
    kernel: str
    seconds: float


def train(
    members: Sequence[Member],
    *,
    threads: int | None = None,
    progress: Progress = lambda member_steps: None,
    saves: Saves | None = None,
) -> Iterator[TrainedStack]:
    """Train members, one stack after another; yields each stack as it is finished.

    A member's result does not depend on its company, on the order, on chunking, or on being
    interrupted.

    Args:
        members: what to train.
        threads: CPU threads for data and kernels; default all cores.
        progress: called with the number of member-steps done since the last call.
        saves: where stacks are saved on their way, and go on if they are found there. The file of
            a stack is removed when the next stack is asked for.

    Raises:
        CheckpointError: a file in `saves` that cannot be read.
    """
    threads = threads or os.cpu_count() or 1
    left = set(range(len(members)))
    names = identities(members) if saves is not None else []
    if saves is not None:
        for saved in saves.unfinished(names):
            left -= set(saved.index)
            file = StackFile(saves, [names[i] for i in saved.index], saved)
            yield _trained(members, saved.index, threads, progress, file, saved)
            file.remove()
    rest = sorted(left)
    for group in group_into_stacks([members[i] for i in rest]):
        for index in cut(members, [rest[i] for i in group], threads):
            if saves is None:
                yield _trained(members, index, threads, progress)
            else:
                file = StackFile(saves, [names[i] for i in index])
                yield _trained(members, index, threads, progress, file)
                file.remove()


def _trained(
    members: Sequence[Member],
    index: Sequence[int],
    threads: int,
    progress: Progress,
    file: StackFile | None = None,
    saved: SavedStack | None = None,
) -> TrainedStack:
    """Train the members at `index` as one stack, from where it was saved if it was.

    All that the work took is free again when this returns, for the next stack to be planned with.
    """
    chosen = [members[i] for i in index]
    if saved is not None:
        warn_if_too_large(chosen, threads)
    stack = _Stack(chosen, threads)
    if saved is not None:
        stack.go_on_from(saved)
        progress(stack.state.step * len(index))
    return stack.trained(index, progress, file)


class _Stack:
    """One stack in training."""

    def __init__(self, members: Sequence[Member], threads: int) -> None:
        self.members = members
        self.threads = threads
        self.streams = list(dict.fromkeys(member.stream for member in members))
        first = members[0]
        self.family, self.trainer, self.device = first.sae, first.trainer, first.stream.device
        self.scaling = InputScaling(self.trainer.input_scaling, self.streams)
        self.kernel, refusal = self._choose_kernel()
        logger.info(
            "stack of %d: %s, d=%d, %d latents, %d steps of %d on %s by %s%s",
            len(members), self.family.name, first.stream.space.d_hidden, self.family.n_latents,
            self.trainer.steps, self.trainer.batch_size, self.device, self.kernel.name,
            f" ({refusal})" if refusal else "",
        )  # fmt: skip
        start = initial_params(members, self.device, self._scale)
        self.state = StackState.start(start, self.family.buffers)
        self.history = History(Probe(members, self.scaling), self.trainer, len(members))
        self.reasons: dict[int, str] = {}
        self.resampled_at = self.trainer.resampled_at
        self.stops = {*self.history.ends, *self.resampled_at}

    def _choose_kernel(self) -> tuple[Kernel, str]:
        """The kernel, and why none that is faster; autograd on the CPU in blocks of members."""
        spaces = [member.stream.space for member in self.members]
        objective = build_objective(self.trainer, spaces)
        kernel, refusal = choose_kernel(self.members[0], objective, self.threads)
        at_once = members_at_once(self.members[0])
        if (
            not isinstance(kernel, ReferenceKernel)
            or self.device.type != "cpu"
            or len(spaces) <= at_once
        ):
            return kernel, refusal

        def of_block(rows: slice) -> Kernel:
            objective = build_objective(self.trainer, spaces[rows])
            return ReferenceKernel(self.family, self.trainer, objective)

        return Blocked(of_block, len(spaces), at_once, self.threads), refusal

    def _scale(self, stream: Stream, x: Tensor) -> Tensor:
        return self.scaling.scale(self.streams.index(stream), x)

    def go_on_from(self, saved: SavedStack) -> None:
        """Take the state of a file in place of the start."""
        snapshot = saved.load(self.device)
        self.state, self.reasons = snapshot.state, snapshot.reasons
        self.history.restore(snapshot.history)
        logger.info("stack of %d goes on at step %d", len(self.members), self.state.step)

    def snapshot(self) -> Snapshot:
        """What `go_on_from` needs, as it is now."""
        return Snapshot(self.state, self.history.tensors(), self.reasons)

    def trained(
        self, index: Sequence[int], progress: Progress, file: StackFile | None
    ) -> TrainedStack:
        """Train to the end."""
        started = time.perf_counter()
        # Data of the next chunks are drawn while the kernel works: half of the threads keep up.
        with ThreadPoolExecutor(max(1, self.threads // 2)) as pool:
            chunks = Chunks(self.members, self.scaling, pool)
            while self.state.step < self.trainer.steps:
                n_steps = self._advance(chunks)
                if file is not None:
                    file.save_if_due(self.snapshot)
                progress(len(self.members) * n_steps)
        self.reasons |= freeze_if_not_finite(self.state)
        self.family.constrain_(self.state.params)
        for place, reason in sorted(self.reasons.items()):
            logger.warning(
                "member %d diverged at step %d (%s) and was frozen there; the others went on",
                index[place], int(self.state.frozen_at[place]), reason,
            )  # fmt: skip
        return TrainedStack(
            tuple(index),
            self.scaling.finished(self.family, self.state.params, chunks.stream_of),
            self.state.frozen_at,
            self.reasons,
            torch.tensor(self.history.ends),
            self.history.values(),
            self.kernel.name,
            time.perf_counter() - started,
        )

    def _advance(self, chunks: Chunks) -> int:
        """Train a chunk; the number of steps that it had."""
        n_steps = self._length(chunks, self.state.step)
        chunk = chunks.chunk(self.state.step, n_steps)
        if isinstance(self.kernel, CudaGraphKernel) and self.kernel.captures(self.state, chunk):
            # Nothing else may be asked of a GPU meanwhile.
            chunks.wait()
        else:
            self._prepare(chunks, self.state.step + n_steps)
        loss = self.kernel.advance(self.state, chunk)
        self.history.add(self.state, loss)
        self.reasons |= reasons(self.state, loss)
        if self.state.step in self.resampled_at:
            resample(self.state, self.members, self._scale)
        return n_steps

    def _prepare(self, chunks: Chunks, step: int) -> None:
        """Begin to draw the next chunks, from `step` on."""
        for _ in range(chunks_ahead(self.device)):
            if step < self.trainer.steps:
                n_steps = self._length(chunks, step)
                chunks.prepare(step, n_steps)
                step += n_steps

    def _length(self, chunks: Chunks, step: int) -> int:
        """Number of steps of the chunk that begins at `step`."""
        stop = min(s for s in self.stops if s > step)
        return min(chunks.longest, stop - step)
