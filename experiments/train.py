"""Train SAEs of one configuration with several seeds, and hold them against the truth.

The command lines are at the top of `conf/train.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from toysae.cli import experiment
from toysae.sweeps import stackable

if TYPE_CHECKING:
    from toysae.runs.training import TrainedRun


def train(
    configs: Sequence[DictConfig], directory: Path
) -> Iterator[tuple[int, TrainedRun | Exception]]:
    """Train the runs that the configurations describe, together where they can be.

    Unfinished stacks are saved in `directory`, and go on if they are found there.
    """
    from toysae.device import one_torch_thread
    from toysae.errors import ConfigError
    from toysae.progress import progress
    from toysae.results.layout import STACKS
    from toysae.runs.config import RunConfig, parse, parse_save_every, parse_threads
    from toysae.runs.training import train_runs
    from toysae.training.saved import Saves

    one_torch_thread()
    runs: dict[int, RunConfig] = {}
    threads, save_every = None, 0.0
    for index, config in enumerate(configs):
        try:
            threads, save_every = parse_threads(config), parse_save_every(config)
            runs[index] = parse(config)
        except ConfigError as error:
            yield index, error
    positions = list(runs)
    saves = Saves(directory / STACKS, save_every)
    with progress(sum(run.member_steps for run in runs.values()), "training") as advance:
        for index, outcome in train_runs(
            list(runs.values()), threads=threads, progress=advance, saves=saves
        ):
            yield positions[index], outcome


@experiment("train")
@stackable(train)
def main(config: DictConfig, run: TrainedRun) -> None:
    """Measure one trained run and write its directory; by itself, show what it found."""
    from toysae.results.summary import print_summary
    from toysae.runs.report import report_run

    hydra = HydraConfig.get()
    directory = Path(hydra.runtime.output_dir)
    report_run(run, config, directory, list(hydra.overrides.task))
    if hydra.mode == RunMode.RUN:
        print_summary(directory)


if __name__ == "__main__":
    main()
