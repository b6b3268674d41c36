"""`python -m experiments.describe generator=<name>`."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from toysae.cli import experiment


@experiment("describe")
def main(config: DictConfig) -> None:
    """Describe a generator, and say where the report is."""
    from experiments.describe.study import describe
    from experiments.describe.terminal import show

    hydra = HydraConfig.get()
    directory = Path(hydra.runtime.output_dir)
    show(describe(config, directory, list(hydra.overrides.task)), directory)


if __name__ == "__main__":
    main()
