"""What is trained: one record a run, and the members that they become."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from experiments.composed_features.config import StudyConfig
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.training.member import Member

#: Where a run starts: its family's own draw, or a dictionary of true features or of diagonals.
STARTS = ("random", "truth", "diagonals")

#: At one-hot fraction 1 the amplitude laws are one and the same world.
ONE_HOT_LAW = "one-hot"


@dataclass(frozen=True)
class World:
    """Where an SAE is trained.

    Attributes:
        geometry: name of the hidden space.
        law: name of the amplitude law.
        one_hot: fraction of one-hot samples.
        boost: of the pair (x1, y1).
    """

    geometry: str
    law: str
    one_hot: float
    boost: float = 0.0


@dataclass(frozen=True)
class Run:
    """One SAE of the study.

    Attributes:
        world: its data.
        space_world: the world whose hidden space it uses (its own, except in the crossing).
        protocol, lr, l1, n_latents, steps, start, seed: how it is trained.
    """

    world: World
    space_world: World
    protocol: str
    lr: float
    l1: float
    n_latents: int
    steps: int
    start: str
    seed: int


def plan(study: StudyConfig) -> list[Run]:
    """Every run of the study, once: the parts share some."""
    return list(dict.fromkeys(_all_parts(study)))


def _all_parts(study: StudyConfig) -> Iterator[Run]:
    reference = study.reference
    for name, protocol in study.protocols.items():
        width, steps = protocol.sae.n_latents, protocol.trainer.steps
        for geometry in protocol.geometries:
            yield from _cells(study, name, geometry, study.grid.lr, study.grid.l1, width)
            control = World(geometry, ONE_HOT_LAW, 1.0)
            for seed in study.seed_list(study.control_seeds):
                yield Run(control, control, name, reference.lr, reference.l1, width, steps,
                          "random", seed)  # fmt: skip
            for law, boost, seed in product(study.laws, study.boosts, study.seed_list()):
                world = World(geometry, law, 0.0, boost)
                yield Run(world, world, name, reference.lr, reference.l1, width, steps,
                          "random", seed)  # fmt: skip
    for width in study.widths:
        yield from _cells(study, "plain", "antipodal", [reference.lr], [reference.l1], width)
    for geometry in study.crossing.geometries:
        for law, q, start, seed in product(
            study.laws, study.crossing.one_hot, STARTS, study.seed_list()
        ):
            # One hidden space for all q, so that only the data change along the curve.
            yield Run(World(geometry, law, q), World(geometry, law, 0.0), "plain",
                      reference.lr, study.crossing.l1, study.crossing.n_latents,
                      study.crossing.steps, start, seed)  # fmt: skip


def _cells(
    study: StudyConfig,
    protocol: str,
    geometry: str,
    lrs: Sequence[float],
    l1s: Sequence[float],
    width: int,
) -> Iterator[Run]:
    steps = study.protocols[protocol].trainer.steps
    for q in study.grid.one_hot:
        for law in study.laws if q < 1 else (ONE_HOT_LAW,):
            world = World(geometry, law, q)
            for lr, l1, seed in product(lrs, l1s, study.seed_list()):
                yield Run(world, world, protocol, lr, l1, width, steps, "random", seed)


def make_spaces(
    study: StudyConfig, runs: Sequence[Run], device: torch.device, threads: int | None
) -> Iterator[dict[tuple[World, int], HiddenSpace]]:
    """Hidden spaces of all worlds and seeds that the runs use, one world after another.

    Worlds are made side by side: a toy model is too small to keep more than one core busy.
    """
    seeds: dict[World, set[int]] = {}
    for run in runs:
        seeds.setdefault(run.space_world, set()).add(run.seed)

    def make(world: World) -> dict[tuple[World, int], HiddenSpace]:
        needed = sorted(seeds[world])
        made = study.geometries[world.geometry].spaces(generator_of(study, world), needed, device)
        return {(world, seed): space for seed, space in zip(needed, made)}

    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        yield from pool.map(make, seeds)
    finally:
        pool.shutdown(cancel_futures=True)


def make_member(study: StudyConfig, run: Run, space: HiddenSpace) -> Member:
    """The SAE that a run trains."""
    protocol = study.protocols[run.protocol]
    start = None if run.start == "random" else _dictionary(study, run.start, space)
    return Member(
        sae=replace(protocol.sae, l1=run.l1, n_latents=run.n_latents),
        trainer=replace(protocol.trainer, lr=run.lr, steps=run.steps),
        stream=Stream(generator_of(study, run.world), space, run.seed),
        seed=run.seed,
        initial_decoder=None if start is None else _fill(start, run.n_latents),
    )


def generator_of(study: StudyConfig, world: World) -> ComposedSets:
    """The generator of a world."""
    law = world.law if world.law in study.laws else next(iter(study.laws))
    return study.world(law, world.one_hot, world.boost)


def diagonals(study: StudyConfig, space: HiddenSpace) -> Tensor:
    """Unit directions of all sums `x_i + y_j`, `[n_x n_y, d]`."""
    n_x = study.generator.sizes[0]
    unit = space.directions / space.directions.norm(dim=1, keepdim=True)
    sums = (unit[:n_x, None, :] + unit[None, n_x:, :]).flatten(0, 1)
    return sums / sums.norm(dim=1, keepdim=True)


def _dictionary(study: StudyConfig, start: str, space: HiddenSpace) -> Tensor:
    if start == "truth":
        return space.directions / space.directions.norm(dim=1, keepdim=True)
    return diagonals(study, space)


def _fill(rows: Tensor, n_latents: int) -> Tensor:
    """Repeat rows in turn until there are `n_latents`."""
    return rows.repeat(math.ceil(n_latents / len(rows)), 1)[:n_latents].contiguous()
