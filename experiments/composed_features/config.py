"""The study's configuration, checked before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from omegaconf import DictConfig

from toysae.checks import check_at_least, check_interval, check_positive
from toysae.config import build, build_generator, build_hidden, build_sae, build_trainer
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenConfig
from toysae.saes.relu import ReLU
from toysae.training.trainer import Trainer

MIN_SEEDS = 2


@dataclass(frozen=True)
class Grid:
    """Learning rates, L1 coefficients and one-hot fractions that are crossed.

    Attributes:
        lr: learning rates, each `> 0`.
        l1: L1 coefficients, each `>= 0`.
        one_hot: one-hot fractions, in [0, 1]; must hold 0 and 1 (the positive control).
    """

    lr: tuple[float, ...]
    l1: tuple[float, ...]
    one_hot: tuple[float, ...]

    def __post_init__(self) -> None:
        for lr in self.lr:
            check_positive("grid.lr", lr)
        for l1 in self.l1:
            check_at_least("grid.l1", l1, 0)
        for q in self.one_hot:
            check_interval("grid.one_hot", q, 0, 1)
        if not {0.0, 1.0} <= set(self.one_hot):
            raise ConfigError(
                f"grid.one_hot = {list(self.one_hot)}: must hold 0 (composed data) and 1 (the "
                "positive control)"
            )


@dataclass(frozen=True)
class Crossing:
    """The sweep over the one-hot fraction, from three starting points.

    Attributes:
        geometries: where to sweep.
        one_hot: one-hot fractions, ascending, in [0, 1].
        n_latents: width; the analytic crossing is for 4.
        l1: L1 coefficient; the analytic crossing is its limit at 0.
        steps: optimiser steps; starts at a dictionary need fewer than random ones.
    """

    geometries: tuple[str, ...]
    one_hot: tuple[float, ...]
    n_latents: int
    l1: float
    steps: int

    def __post_init__(self) -> None:
        for q in self.one_hot:
            check_interval("crossing.one_hot", q, 0, 1)
        if list(self.one_hot) != sorted(set(self.one_hot)):
            raise ConfigError(f"crossing.one_hot = {list(self.one_hot)}: must be ascending")
        check_at_least("crossing.n_latents", self.n_latents, 1)
        check_at_least("crossing.l1", self.l1, 0)
        check_at_least("crossing.steps", self.steps, 1)


@dataclass(frozen=True)
class Cell:
    """One setting of the grid."""

    lr: float
    l1: float

    def __post_init__(self) -> None:
        check_positive("reference.lr", self.lr)
        check_at_least("reference.l1", self.l1, 0)


@dataclass(frozen=True)
class Protocol:
    """One way to train, and the geometries it is used on."""

    sae: ReLU
    trainer: Trainer
    geometries: tuple[str, ...]


@dataclass(frozen=True)
class StudyConfig:
    """Everything the study is made of; see `conf/composed_features.yaml`."""

    generator: ComposedSets
    geometries: dict[str, HiddenConfig]
    protocols: dict[str, Protocol]
    laws: dict[str, float]
    grid: Grid
    reference: Cell
    crossing: Crossing
    boosts: tuple[float, ...]
    widths: tuple[int, ...]
    seeds: int
    control_seeds: int
    first_seed: int
    evaluation_samples: int
    diagnostic_samples: int

    def world(self, law: str, one_hot: float, boost: float) -> ComposedSets:
        """The generator of one world."""
        return replace(
            self.generator,
            amplitude_correlation=self.laws[law],
            one_hot_fraction=one_hot,
            boosted_pairs=(("x1", "y1"),) if boost > 0 else (),
            boost=boost,
        )

    def seed_list(self, n: int | None = None) -> list[int]:
        """The study's seeds, or the first `n` from its first seed on."""
        return list(range(self.first_seed, self.first_seed + (n or self.seeds)))


def parse(config: DictConfig) -> StudyConfig:
    """Check the whole configuration.

    Raises:
        ConfigError: anything that cannot be run, naming the key.
    """
    generator = build_generator(config.generator)
    if not isinstance(generator, ComposedSets):
        raise ConfigError(f"generator.name = {generator.name!r}: this study needs composed_sets")
    names = [f.name for f in fields(StudyConfig)]
    scalars: dict[str, Any] = {name: config[name] for name in names if name in config}
    study = build(
        "",
        {
            **scalars,
            "generator": generator,
            "geometries": {
                k: build_hidden(node, f"geometries.{k}") for k, node in config.geometries.items()
            },
            "protocols": {
                k: _protocol(f"protocols.{k}", node) for k, node in config.protocols.items()
            },
            "grid": build("grid", config.grid, Grid),
            "crossing": build("crossing", config.crossing, Crossing),
            "reference": build("reference", config.reference, Cell),
        },
        StudyConfig,
    )
    _check(study)
    return study


def _protocol(key: str, node: DictConfig) -> Protocol:
    sae = build_sae(node.sae, f"{key}.sae")
    if not isinstance(sae, ReLU):
        raise ConfigError(f"{key}.sae.name = {sae.name!r}: this study needs relu")
    return Protocol(sae, build_trainer(node.trainer, f"{key}.trainer"), tuple(node.geometries))


def _check(study: StudyConfig) -> None:
    check_at_least("seeds", study.seeds, MIN_SEEDS)
    check_at_least("control_seeds", study.control_seeds, MIN_SEEDS)
    check_at_least("first_seed", study.first_seed, 0)
    check_at_least("evaluation_samples", study.evaluation_samples, 100)
    check_at_least("diagnostic_samples", study.diagnostic_samples, 100)
    for correlation in study.laws.values():
        check_interval("laws", correlation, 0, 1)
    for boost in study.boosts:
        check_interval("boosts", boost, 0, 1)
    for width in study.widths:
        check_at_least("widths", width, 1)
    for group, needed in (
        ("geometries", {"antipodal", "orthonormal"}),
        ("protocols", {"plain"}),
        ("crossing.geometries", {"antipodal"}),
    ):
        held = study.crossing.geometries if "." in group else getattr(study, group)
        if not needed <= set(held):
            raise ConfigError(
                f"{group} = {', '.join(sorted(held))}: must hold {', '.join(sorted(needed))}"
            )
    used = {f"protocols.{name}": protocol.geometries for name, protocol in study.protocols.items()}
    for key, geometries in {**used, "crossing": study.crossing.geometries}.items():
        for geometry in geometries:
            if geometry not in study.geometries:
                raise ConfigError(
                    f"{key}.geometries: {geometry!r} is unknown; known: "
                    f"{', '.join(sorted(study.geometries))}"
                )
    if study.reference.lr not in study.grid.lr or study.reference.l1 not in study.grid.l1:
        raise ConfigError(
            f"reference = (lr {study.reference.lr}, l1 {study.reference.l1}): must be in grid"
        )
