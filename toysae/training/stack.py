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

from toysae.saes.base import SAE
from toysae.training.chunks import Chunks
from toysae.training.history import History
from toysae.training.initial import initial_params
from toysae.training.kernels.choice import choose_kernel
from toysae.training.member import Member, group_into_stacks
from toysae.training.objectives import build_objective
from toysae.training.resampling import resample, resampling_steps
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
        history_steps: steps done at the end of each stretch of the history, `[points]`.
        history: means over each stretch by name, `[M, points]`.
        kernel: name of the kernel that ran.
        seconds: wall time.
    """

    index: tuple[int, ...]
    sae: SAE
    frozen_at: Tensor
    history_steps: Tensor
    history: dict[str, Tensor]
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
        threads: CPU threads for data and compiled kernels; default all cores.
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
    device, steps = first.stream.device, first.trainer.steps
    streams = list(dict.fromkeys(m.stream for m in members))
    scaling = InputScaling(first.trainer.input_scaling, streams)
    objective = build_objective(first.trainer, [m.stream.space for m in members])
    kernel, refusal = choose_kernel(first, objective, threads)
    logger.info(
        "stack of %d: %s, d=%d, %d latents, %d steps of %d on %s by %s%s",
        len(members), first.sae.name, first.stream.space.d_hidden, first.sae.n_latents,
        steps, first.trainer.batch_size, device, kernel.name, f" ({refusal})" if refusal else "",
    )  # fmt: skip
    start = initial_params(members, device, lambda s, x: scaling.scale(streams.index(s), x))
    state = StackState.start(start, first.sae.buffers)
    history = History(steps, first.trainer.history_points)
    resampled_at = resampling_steps(first.trainer)
    stops = sorted({*history.ends, *resampled_at})
    with ThreadPoolExecutor(threads) as pool:
        chunks = Chunks(members, scaling, pool)
        while state.step < steps:
            stop = next(s for s in stops if s > state.step)
            n_steps = min(chunks.longest, stop - state.step)
            chunk = chunks.chunk(state.step, n_steps)
            history.add(state.step, kernel.advance(state, chunk))
            if state.step in resampled_at:
                resample(state, members, objective)
            progress(len(members) * n_steps)
    _freeze_if_not_finite(state)
    first.sae.constrain_(state.params)
    for position in torch.nonzero(state.frozen_at >= 0).flatten().tolist():
        logger.warning(
            "member %d diverged at step %d and was frozen there; the others went on",
            index[position], int(state.frozen_at[position]),
        )  # fmt: skip
    return TrainedStack(
        index,
        scaling.finished(first.sae, state.params, chunks.stream_of),
        state.frozen_at,
        torch.tensor(history.ends),
        history.means(),
        kernel.name,
        time.perf_counter() - started,
    )


def _freeze_if_not_finite(state: StackState) -> None:
    """Report members whose very last step made a parameter infinite: no loss came after it."""
    finite = torch.stack([p.isfinite().flatten(1).all(1) for p in state.params.values()]).all(0)
    state.frozen_at[~finite & (state.frozen_at < 0)] = state.step
