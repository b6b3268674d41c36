"""Run the study: hidden spaces, training, measurement; every finished part goes to disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from experiments.composed_features.coefficients import trust_in_coefficients
from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import (
    Run,
    World,
    generator_of,
    make_member,
    make_spaces,
    plan,
)
from experiments.composed_features.worlds import describe_world, toy_model_row
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.hidden.toy_model import TrainedToyModel
from toysae.progress import progress
from toysae.results.measurements import EvaluationWorld, measure_member
from toysae.results.run import RunDirectory
from toysae.saes.base import SAE
from toysae.training.stack import TrainedStack, train

logger = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass
class StudyResult:
    """Everything that findings and figures are made of.

    Attributes:
        runs: one row a trained SAE: what it was, and its summary measurements.
        saes: the SAE of each row (`M = 1`).
        coefficients: one row a reference-cell SAE: trust in its coefficients.
        worlds: one row a world and seed.
        toy_models: one row a trained toy model.
        spaces: hidden space of each world and seed.
    """

    runs: list[Row] = field(default_factory=list)
    saes: list[SAE] = field(default_factory=list)
    coefficients: list[Row] = field(default_factory=list)
    worlds: list[Row] = field(default_factory=list)
    toy_models: list[Row] = field(default_factory=list)
    spaces: dict[tuple[World, int], HiddenSpace] = field(default_factory=dict)


def run_study(
    study: StudyConfig, directory: RunDirectory, device: torch.device, threads: int | None
) -> StudyResult:
    """Train and measure every run of the study."""
    runs = plan(study)
    result = StudyResult()
    _prepare_spaces(study, runs, result, directory, device)
    _describe_worlds(study, result, directory)
    members = [make_member(study, run, result.spaces[run.space_world, run.seed], device) for run in runs]
    total = sum(member.trainer.steps for member in members)
    logger.info("%d SAEs to train", len(members))
    evaluation = _EvaluationWorlds(study, result)
    with progress(total, "training SAEs") as advance:
        for number, stack in enumerate(train(members, threads=threads, progress=advance)):
            stack_runs = [runs[i] for i in stack.index]
            _save_stack(directory, number, stack)
            _measure(study, stack, stack_runs, evaluation, result)
            directory.table("runs.csv", result.runs)
            directory.table("coefficients.csv", result.coefficients)
    return result


def _prepare_spaces(
    study: StudyConfig,
    runs: Sequence[Run],
    result: StudyResult,
    directory: RunDirectory,
    device: torch.device,
) -> None:
    worlds = {run.space_world for run in runs}
    with progress(len(worlds), "hidden spaces") as advance:
        for made in make_spaces(study, runs, device):
            result.spaces.update(made)
            result.toy_models += [
                toy_model_row(world, seed, space)
                for (world, seed), space in made.items()
                if isinstance(space, TrainedToyModel)
            ]
            advance(1)
    directory.table("toy_models.csv", result.toy_models)


def _describe_worlds(study: StudyConfig, result: StudyResult, directory: RunDirectory) -> None:
    seeds = set(study.seed_list())
    with progress(len(result.spaces), "moments of the data") as advance:
        for (world, seed), space in result.spaces.items():
            if seed in seeds:
                result.worlds.append(describe_world(study, world, seed, space))
            advance(1)
    directory.table("worlds.csv", result.worlds)


class _EvaluationWorlds:
    """Evaluation samples of each world and seed, drawn when first asked for."""

    def __init__(self, study: StudyConfig, result: StudyResult) -> None:
        self._study = study
        self._result = result
        self._worlds: dict[tuple[World, World, int], EvaluationWorld] = {}

    def of(self, run: Run) -> EvaluationWorld:
        key = (run.world, run.space_world, run.seed)
        if key not in self._worlds:
            space = self._result.spaces[run.space_world, run.seed]
            stream = Stream(generator_of(self._study, run.world), space, run.seed, "evaluation")
            self._worlds[key] = EvaluationWorld.sample(stream, self._study.evaluation_samples)
        return self._worlds[key]


def _measure(
    study: StudyConfig,
    stack: TrainedStack,
    runs: Sequence[Run],
    evaluation: _EvaluationWorlds,
    result: StudyResult,
) -> None:
    for position, run in enumerate(runs):
        sae = stack.sae.members([position])
        world = evaluation.of(run)
        row = _identity(run)
        summary = measure_member(sae, world).summary
        loss = summary["error"] + run.l1 * summary["penalty"]
        diverged = int(stack.frozen_at[position])
        result.runs.append({**row, "diverged_at": diverged, "loss": loss, **summary})
        result.saes.append(sae)
        own_reference = (run.lr, run.l1, run.start) == (study.reference.lr, study.reference.l1, "random")
        if own_reference and run.n_latents == study.protocols[run.protocol].sae.n_latents:
            result.coefficients.append({**row, **trust_in_coefficients(sae, world, run.seed)})


def _identity(run: Run) -> Row:
    return {
        "geometry": run.world.geometry,
        "law": run.world.law,
        "one_hot": run.world.one_hot,
        "boost": run.world.boost,
        "own_space": run.space_world == run.world,
        "protocol": run.protocol,
        "lr": run.lr,
        "l1": run.l1,
        "n_latents": run.n_latents,
        "start": run.start,
        "seed": run.seed,
    }


def _save_stack(directory: RunDirectory, number: int, stack: TrainedStack) -> None:
    """Parameters and history of one stack, in the order of its rows in runs.csv."""
    tensors: dict[str, Tensor] = {
        **{name: p.contiguous() for name, p in stack.sae.params.items()},
        "history_steps": stack.history_steps,
        "history_error": stack.error.float(),
        "history_penalty": stack.penalty.float(),
    }
    path = directory.path / f"stack_{number:02d}.safetensors"
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.rename(path)
