"""`python -m experiments.validate real=<directory or name>`."""

from __future__ import annotations

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import conf
from toysae.cli import experiment

NAMES = Path(next(iter(conf.__path__))) / "real"


@experiment("validate")
def main(config: DictConfig) -> None:
    """Measure real SAEs and say where the report is."""
    from experiments.validate.study import validate
    from experiments.validate.terminal import show

    hydra = HydraConfig.get()
    directory = Path(hydra.runtime.output_dir)
    show(validate(config, directory, list(hydra.overrides.task)), directory)


def directory_as_key(argument: str) -> str:
    """`real.directory='<path>'` for `real=<path>`: Hydra would look for a file of that name."""
    key, _, value = argument.partition("=")
    known = all((NAMES / f"{name}.yaml").is_file() for name in value.split(","))
    if key != "real" or known:
        return argument
    quoted = value.replace("'", "\\'")
    return f"real.directory='{quoted}'"


def command() -> None:
    """The command line, with directories where Hydra takes names."""
    sys.argv[1:] = map(directory_as_key, sys.argv[1:])
    main()


if __name__ == "__main__":
    command()
