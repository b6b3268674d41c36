"""Train the seeds of many runs together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from toysae.device import resolve_device
from toysae.errors import DivergenceError, ToysaeError
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.results.files import Row
from toysae.runs.config import RunConfig
from toysae.saes.base import SAE
from toysae.training.member import Member
from toysae.training.saved import Saves
from toysae.training.stack import Progress, TrainedStack, train

logger = logging.getLogger(__name__)

#: Seeds of runs that are trained at once. Larger stacks are hardly faster, and more is lost when
#: the process is killed. A GPU is busy only with more; stacks that do not fit are cut.
MAX_MEMBERS = 256
GPU_MAX_MEMBERS = 4096


@dataclass
class TrainedRun:
    """The seeds of one run, trained.

    Attributes:
        config: the run.
        streams: training data of each seed.
        device: where it was trained.
        saes: one SAE (`M = 1`) a seed.
        frozen_at: step at which a seed diverged, by seed.
        reasons: what was not finite then, by seed.
        history: rows of seed, step, samples, and what `toysae.training.history` holds.
        seconds: training time; of a stack that was shared, its share.
        log: what was logged meanwhile.
    """

    config: RunConfig
    streams: list[Stream]
    device: torch.device
    saes: dict[int, SAE] = field(default_factory=dict)
    frozen_at: dict[int, int] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    log: list[logging.LogRecord] = field(default_factory=list)

    def members(self) -> list[Member]:
        """What is to be trained, one a seed."""
        return [
            Member(self.config.sae, self.config.trainer, stream, seed)
            for stream, seed in zip(self.streams, self.config.seed_list)
        ]

    @property
    def complete(self) -> bool:
        """Whether every seed is trained."""
        return len(self.saes) == self.config.seeds

    def add(self, seed: int, stack: TrainedStack, position: int) -> None:
        """Take one seed out of a finished stack."""
        self.saes[seed] = stack.sae.members([position])
        if stack.frozen_at[position] >= 0:
            self.frozen_at[seed] = int(stack.frozen_at[position])
            self.reasons[seed] = stack.reasons[position]
        batch = self.config.trainer.batch_size
        for point, step in enumerate(stack.history_steps.tolist()):
            values = {name: float(each[position, point]) for name, each in stack.history.items()}
            self.history.append({"seed": seed, "step": step, "samples": step * batch, **values})
        self.seconds += stack.seconds / len(stack.index)

    def check_converged(self) -> None:
        """Raise `DivergenceError` if a seed diverged."""
        if self.frozen_at:
            where = ", ".join(
                f"seed {seed} at step {step}: {self.reasons[seed]}"
                for seed, step in sorted(self.frozen_at.items())
            )
            raise DivergenceError(
                f"{len(self.frozen_at)} of {self.config.seeds} seeds diverged ({where}); "
                f"lower trainer.lr = {self.config.trainer.lr:g}"
            )


class Worlds:
    """Data streams of runs; runs of one world share them, so that its samples are drawn once."""

    def __init__(self) -> None:
        self._spaces: dict[object, list[HiddenSpace]] = {}
        self._devices: dict[str, torch.device] = {}

    def start(self, config: RunConfig) -> TrainedRun:
        """The run with its hidden spaces made and nothing trained."""
        if config.device not in self._devices:
            self._devices[config.device] = resolve_device(config.device)
        device = self._devices[config.device]
        seeds = config.seed_list
        key = (config.generator, config.hidden, tuple(seeds), device)
        if key not in self._spaces:
            self._spaces[key] = config.hidden.spaces(config.generator, seeds, device)
        streams = [
            Stream(config.generator, space, seed) for space, seed in zip(self._spaces[key], seeds)
        ]
        return TrainedRun(config, streams, device)


def train_runs(
    configs: Sequence[RunConfig],
    *,
    threads: int | None,
    progress: Progress,
    saves: Saves | None = None,
) -> Iterator[tuple[int, TrainedRun | Exception]]:
    """Train runs in stacks; yields each as soon as it is finished.

    What a run comes to does not depend on the others: one that fails yields its exception.

    Args:
        configs: the runs.
        threads: CPU threads; None is all cores.
        progress: called with the number of member-steps done since the last call.
        saves: where stacks are saved on their way, and go on if they are found there. A stack is
            kept until the run after the last of its runs is asked for.

    Yields:
        Position of the run in `configs`, with the trained run or what went wrong with it.
    """
    worlds = Worlds()
    for batch in _batches(configs):
        runs: dict[int, TrainedRun] = {}
        for index in batch:
            try:
                runs[index] = worlds.start(configs[index])
            except Exception as error:
                progress(configs[index].member_steps)
                yield index, error
        yield from _train_batch(runs, threads, progress, saves)


def _batches(configs: Sequence[RunConfig]) -> Iterator[list[int]]:
    """Positions of runs that are trained at once: up to `_most_members` seeds."""
    batch: list[int] = []
    members = 0
    for index, config in enumerate(configs):
        if batch and members + config.seeds > _most_members(config.device):
            yield batch
            batch, members = [], 0
        batch.append(index)
        members += config.seeds
    if batch:
        yield batch


def _most_members(device: str) -> int:
    """Seeds that are trained at once on the device of that name, which need not be there."""
    on_gpu = device != "cpu" and torch.cuda.is_available()
    return GPU_MAX_MEMBERS if on_gpu else MAX_MEMBERS


def _train_batch(
    runs: dict[int, TrainedRun], threads: int | None, progress: Progress, saves: Saves | None
) -> Iterator[tuple[int, TrainedRun | Exception]]:
    owners = [(index, seed) for index, run in runs.items() for seed in run.config.seed_list]
    with _kept_log() as log:
        stacks = train(
            [member for run in runs.values() for member in run.members()],
            threads=threads,
            progress=progress,
            saves=saves,
        )
        left = dict(runs)
        while True:
            try:
                stack = next(stacks)
            except StopIteration:
                return
            except Exception as error:
                yield from _train_apart(left, error, threads, progress, saves)
                return
            for position, member in enumerate(stack.index):
                index, seed = owners[member]
                runs[index].add(seed, stack, position)
            for index in [index for index, run in left.items() if run.complete]:
                run = left.pop(index)
                run.log = list(log)
                yield index, _outcome(run)


def _train_apart(
    runs: dict[int, TrainedRun],
    error: Exception,
    threads: int | None,
    progress: Progress,
    saves: Saves | None,
) -> Iterator[tuple[int, TrainedRun | Exception]]:
    """After a stack has failed as a whole: each of its runs by itself, to find who is to blame."""
    if len(runs) == 1:
        yield next(iter(runs)), error
        return
    logger.warning("training %d runs together failed (%s); training them apart", len(runs), error)
    for index, run in runs.items():
        fresh = TrainedRun(run.config, run.streams, run.device)
        yield from _train_batch({index: fresh}, threads, progress, saves)


def _outcome(run: TrainedRun) -> TrainedRun | Exception:
    try:
        run.check_converged()
    except ToysaeError as error:
        return error
    return run


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def _kept_log() -> Iterator[list[logging.LogRecord]]:
    """Everything that toysae logs within the block, for the run.log of each run."""
    keeper = _Keeper()
    package = logging.getLogger("toysae.training")
    package.addHandler(keeper)
    try:
        yield keeper.records
    finally:
        package.removeHandler(keeper)
