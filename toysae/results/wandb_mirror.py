"""A copy of a finished run directory in Weights & Biases; the files stay the truth."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from omegaconf import OmegaConf

from toysae.checks import check_choice
from toysae.errors import ConfigError
from toysae.results.files import read_csv
from toysae.results.layout import CONFIG, METRICS
from toysae.results.table import flatten

logger = logging.getLogger(__name__)

WANDB_MODES = ("offline", "online")


@dataclass(frozen=True)
class Wandb:
    """A copy of the run's files in Weights & Biases.

    Attributes:
        project: its project.
        entity: its owner; None is the default of the account.
        group: what groups the runs; None is the name of the directory above the run.
        mode: `offline` or `online`.
    """

    project: str
    entity: str | None
    group: str | None
    mode: str

    def __post_init__(self) -> None:
        check_choice("logger.mode", self.mode, WANDB_MODES)
        if importlib.util.find_spec("wandb") is None:
            raise ConfigError(
                "logger.name = 'wandb': the package wandb is not installed; "
                "pip install 'toysae[wandb]', or logger=none"
            )


def mirror(directory: Path, settings: Wandb) -> None:
    """Copy configuration, history and metrics of a finished run.

    The history of each seed is one series, `error/seed_0` and so on, over the training step; the
    number of samples at each step is one for all.
    A failure here is logged and leaves the run finished: the copy can be made again.
    """
    import wandb

    try:
        with wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=settings.group or directory.absolute().parent.name,
            name=directory.name,
            job_type="train",
            mode=cast(Literal["offline", "online"], settings.mode),
            dir=directory,
            config=_config(directory),
            settings=wandb.Settings(silent=True, console="off"),
        ) as run:
            for step, values in _history(directory).items():
                run.log(values, step=step)
            run.summary.update(flatten(json.loads((directory / METRICS).read_text())))
    except Exception:
        logger.exception("%s: not copied to Weights & Biases", directory)


def _config(directory: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(directory / CONFIG))


def _history(directory: Path) -> dict[int, dict[str, float]]:
    """Values of all seeds by training step, without those that were not measured there."""
    steps: dict[int, dict[str, float]] = {}
    for row in read_csv(directory / "history.csv"):
        values = steps.setdefault(int(row["step"]), {})
        for key, value in row.items():
            if key == "samples":
                values[key] = float(value)
            elif key not in ("seed", "step") and not math.isnan(float(value)):
                values[f"{key}/seed_{row['seed']}"] = float(value)
    return dict(sorted(steps.items()))
