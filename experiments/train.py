"""Train SAEs of one configuration with several seeds, and hold them against the truth.

The command lines are at the top of `conf/train.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from toysae.cli import experiment
from toysae.sweeps import stackable

if TYPE_CHECKING:
    from toysae.runs.training import TrainedRun


def train(configs: Sequence[DictConfig]) -> Iterator[tuple[int, TrainedRun | Exception]]:
    """Train the runs that the configurations describe, together where they can be."""
    from toysae.device import one_torch_thread
    from toysae.errors import ConfigError
    from toysae.progress import progress
    from toysae.runs.config import RunConfig, parse, parse_threads
    from toysae.runs.training import train_runs

    one_torch_thread()
    runs: dict[int, RunConfig] = {}
    threads = None
    for index, config in enumerate(configs):
        try:
            threads = parse_threads(config)
            runs[index] = parse(config)
        except ConfigError as error:
            yield index, error
    positions = list(runs)
    with progress(sum(run.member_steps for run in runs.values()), "training") as advance:
        for index, outcome in train_runs(list(runs.values()), threads=threads, progress=advance):
            yield positions[index], outcome


@experiment("train")
@stackable(train)
def main(config: DictConfig, run: TrainedRun) -> None:
    """Measure one trained run and write its directory."""
    from toysae.runs.report import report_run

    hydra = HydraConfig.get()
    report_run(run, config, Path(hydra.runtime.output_dir), list(hydra.overrides.task))


if __name__ == "__main__":
    main()
