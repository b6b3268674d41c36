"""Sweeps whose jobs merge into stacks.

A task is split once, where jobs can be trained together:

    train(configs, directory) -> (index, outcome) as each is ready; an outcome may be an exception
    report(config, outcome)   -> the files and the return value of one job

`directory` is that of the one job or of the sweep: `train` may keep there what is unfinished. It is
asked for the next outcome only after the last one has been reported.

A job by itself is a sweep of one, so there is one way to run a job.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, configure_log, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from toysae.cli import guarded
from toysae.errors import ConfigError

logger = logging.getLogger(__name__)

Train = Callable[[Sequence[DictConfig], Path], Iterator[tuple[int, Any]]]
Report = Callable[[DictConfig, Any], Any]


class Stackable:
    """A task that Hydra runs job by job, and that the stacked launcher runs all at once.

    Attributes:
        train: yields the outcome of every job.
        report: turns one outcome into files.
    """

    def __init__(self, train: Train, report: Report) -> None:
        functools.update_wrapper(self, report)
        self.train = train
        self.report = report

    def __call__(self, config: DictConfig) -> Any:
        """One job by itself."""
        directory = Path(HydraConfig.get().runtime.output_dir)
        if self.is_finished(config, directory):
            return None
        outcomes = self.train([config], directory)
        _, outcome = next(outcomes)
        returned = None if isinstance(outcome, Exception) else self.report(config, outcome)
        list(outcomes)  # only now need nothing be kept of the training
        if isinstance(outcome, Exception):
            raise outcome
        logger.info("results: %s", os.path.relpath(directory))
        return returned

    def is_finished(self, config: DictConfig, directory: Path) -> bool:
        """Whether an earlier sweep has done this job; see `toysae.results.resume`.

        Raises:
            ConfigError: `resume` is neither true nor false.
        """
        from toysae.results.resume import is_finished

        if not isinstance(config.resume, bool):
            raise ConfigError(f"resume = {config.resume!r}: must be true or false")
        finished = is_finished(directory, config, resume=config.resume)
        if finished:
            logger.info("finished before: %s", os.path.relpath(directory))
        return finished

    def finish(self, config: DictConfig, outcome: Any) -> Any:
        """Report an outcome, or raise it."""
        if isinstance(outcome, Exception):
            raise outcome
        return self.report(config, outcome)


def stackable(train: Train) -> Callable[[Report], Stackable]:
    """Make `report` a task whose jobs can be trained together by `train`."""
    return lambda report: Stackable(train, report)


def launch_stacked(
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
    job_overrides: Sequence[Sequence[str]],
    first_job: int,
) -> list[JobReturn]:
    """Run the jobs of a sweep: train all together, report each as soon as it is trained.

    Files, callbacks and failures are those of Hydra's basic launcher. A job that fails leaves the
    others alone; finished jobs of an interrupted sweep are skipped where the configuration says
    `resume: true`.

    Args:
        context, config, task: as Hydra hands them to a launcher.
        job_overrides: overrides of each job.
        first_job: number of the first job.

    Returns:
        What Hydra's `run_job` says of each job, in the order of the jobs.

    Raises:
        ConfigError: the task is not stackable.
    """
    split = _stackable_in(task)
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
    jobs = [
        _Job(context, config, split, list(overrides), number)
        for number, overrides in enumerate(job_overrides, first_job)
    ]
    pending = [job for job in jobs if not job.settled_before()]
    logger.info("%d jobs, %d of them to be trained", len(jobs), len(pending))
    trained = split.train([job.task_config for job in pending], Path(config.hydra.sweep.dir))
    for index, outcome in trained:
        pending[index].finish(outcome)
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    return [job.returned for job in jobs if job.returned is not None]


def _stackable_in(task: TaskFunction) -> Stackable:
    """The split task beneath its decorators."""
    inner: Any = task
    while not isinstance(inner, Stackable):
        if not hasattr(inner, "__wrapped__"):
            raise ConfigError(
                "hydra/launcher = stacked: this experiment is no stack of jobs; "
                "use hydra/launcher=basic"
            )
        inner = inner.__wrapped__
    return inner


class _Job:
    """One job of a stacked sweep."""

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        task: Stackable,
        overrides: list[str],
        number: int,
    ) -> None:
        self.returned: JobReturn | None = None
        self._context = context
        self._task = task
        self._config = context.config_loader.load_sweep_config(config, overrides)
        with open_dict(self._config):
            self._config.hydra.job.id = number
            self._config.hydra.job.num = number

    @property
    def task_config(self) -> DictConfig:
        """The configuration as the task sees it."""
        return OmegaConf.masked_copy(self._config, [str(k) for k in self._config if k != "hydra"])

    def settled_before(self) -> bool:
        """Whether there is nothing to train: the job is finished, or may not use its directory."""
        directory = Path(self._config.hydra.sweep.dir) / str(self._config.hydra.sweep.subdir)
        try:
            finished = self._task.is_finished(self.task_config, directory)
        except Exception as error:
            self.finish(error)
            return True
        if finished:
            self._run(lambda config: None)
        return finished

    def finish(self, outcome: Any) -> None:
        """Report what came out, as an ordinary job of Hydra's."""
        self._run(guarded(lambda config: self._task.finish(config, outcome)))

    def _run(self, task: TaskFunction) -> None:
        self.returned = run_job(
            task_function=task,
            config=self._config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self._context,
        )
