"""The configuration of a run, checked before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from toysae.checks import check_at_least
from toysae.config import build, build_generator, build_hidden, build_sae, build_trainer
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig
from toysae.results.layout import recorded
from toysae.results.wandb_mirror import Wandb
from toysae.saes.trainable import TrainableFamily
from toysae.training.trainer import Trainer


@dataclass(frozen=True)
class Measure:
    """How a trained SAE is measured.

    Attributes:
        n_samples: evaluation samples, `>= 100`.
        null_seeds: of so many seeds the null SAEs are measured too, `>= 0`.
    """

    n_samples: int
    null_seeds: int = 1

    def __post_init__(self) -> None:
        check_at_least("measure.n_samples", self.n_samples, 100)
        check_at_least("measure.null_seeds", self.null_seeds, 0)


@dataclass(frozen=True)
class RunConfig:
    """What `conf/train.yaml` describes, without how it is carried out.

    Attributes:
        generator, hidden: the world.
        sae, trainer: what is trained, and how.
        measure: how it is measured.
        logger: where a copy of the results goes, or None.
        seeds: number of SAEs that differ in their seed only, `>= 1`.
        first_seed: their seeds are this and the following, `>= 0`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    generator: Generator
    hidden: HiddenConfig
    sae: TrainableFamily
    trainer: Trainer
    measure: Measure
    logger: Wandb | None
    seeds: int
    first_seed: int
    device: str

    def __post_init__(self) -> None:
        check_at_least("seeds", self.seeds, 1)
        check_at_least("first_seed", self.first_seed, 0)

    @property
    def seed_list(self) -> list[int]:
        """The seeds."""
        return list(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def member_steps(self) -> int:
        """Optimiser steps over all seeds."""
        return self.seeds * self.trainer.steps


def parse(config: DictConfig) -> RunConfig:
    """Check the whole configuration of a run.

    Raises:
        ConfigError: anything that cannot be run, naming the key.
    """
    return build(
        "",
        {
            **recorded(config),
            "generator": build_generator(config.generator),
            "hidden": build_hidden(config.hidden),
            "sae": build_sae(config.sae),
            "trainer": build_trainer(config.trainer),
            "measure": build("measure", config.measure, Measure),
            "logger": _logger(config.logger),
        },
        RunConfig,
    )


def parse_threads(config: DictConfig) -> int | None:
    """Number of CPU threads, or None for all cores.

    Raises:
        ConfigError: neither null nor a whole number of at least 1.
    """
    threads = config.threads
    if threads is not None and not (type(threads) is int and threads >= 1):
        raise ConfigError(f"threads = {threads!r}: must be a whole number of at least 1, or null")
    return threads


def parse_save_every(config: DictConfig) -> float:
    """Seconds between two savings of an unfinished stack.

    Raises:
        ConfigError: no number of at least 0.
    """
    every = config.save_every
    if not (type(every) in (int, float) and every >= 0):
        raise ConfigError(f"save_every = {every!r}: must be a number of seconds of at least 0")
    return float(every)


def _logger(node: Any) -> Wandb | None:
    values = dict(node)
    name = values.pop("name", None)
    if name == "none":
        return None
    if name == "wandb":
        return build("logger", values, Wandb)
    raise ConfigError(f"logger.name = {name!r}: known names are none, wandb")
