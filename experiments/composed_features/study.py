"""Run the study: hidden spaces, training, measurement; every finished part goes to disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
from experiments.composed_features.worlds import (
    describe_world,
    share_along_components,
    toy_model_row,
)
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.hidden.toy_model import TrainedToyModel
from toysae.progress import progress
from toysae.results.measurements import EvaluationWorld, measure_member
from toysae.results.null_measurements import TRAINED, measure_each, null_rows, with_nulls
from toysae.results.run import RunDirectory
from toysae.saes.base import SAE
from toysae.training.stack import TrainedStack, train

logger = logging.getLogger(__name__)

Row = dict[str, Any]


class StudyResult:
    """Everything that findings and figures are made of.

    Attributes:
        study: the configuration.
        runs: one row a trained SAE: what it was, and its summary measurements; the column `run`
            is its position here.
        reference_cells: one row a reference-cell SAE: trust in its coefficients, and PCs.
        reference_features, reference_latents: their rows a true feature, and a latent.
        reference_nulls: their numbers beside those of SAEs that learned nothing, or everything.
        worlds: one row a world and seed.
        toy_models: one row a trained toy model.
        spaces: hidden space of each world and seed.
    """

    def __init__(self, study: StudyConfig) -> None:
        self.study = study
        self.runs: list[Row] = []
        self.reference_cells: list[Row] = []
        self.reference_features: list[Row] = []
        self.reference_latents: list[Row] = []
        self.reference_nulls: list[Row] = []
        self.worlds: list[Row] = []
        self.toy_models: list[Row] = []
        self.spaces: dict[tuple[World, int], HiddenSpace] = {}
        self._trained: list[tuple[Run, SAE]] = []
        self._evaluation: dict[tuple[World, World, int], EvaluationWorld] = {}

    def add(self, run: Run, sae: SAE, facts: Row) -> Row:
        """Append one trained SAE; returns its row."""
        row = {"run": len(self.runs), **_identity(run), **facts}
        self.runs.append(row)
        self._trained.append((run, sae))
        return row

    def sae_of(self, row: Mapping[str, Any]) -> SAE:
        """The SAE (`M = 1`) of a row of `runs`."""
        return self._trained[row["run"]][1]

    def evaluation_of(self, row: Mapping[str, Any]) -> EvaluationWorld:
        """The samples that a row of `runs` was measured on."""
        return self.evaluation(self._trained[row["run"]][0])

    def evaluation(self, run: Run) -> EvaluationWorld:
        """Evaluation samples of the world of a run, drawn when first asked for."""
        key = (run.world, run.space_world, run.seed)
        if key not in self._evaluation:
            space = self.spaces[run.space_world, run.seed]
            stream = Stream(generator_of(self.study, run.world), space, run.seed, "evaluation")
            self._evaluation[key] = EvaluationWorld.sample(stream, self.study.evaluation_samples)
        return self._evaluation[key]


def run_study(
    study: StudyConfig, directory: RunDirectory, device: torch.device, threads: int | None
) -> StudyResult:
    """Train and measure every run of the study."""
    runs = plan(study)
    result = StudyResult(study)
    _prepare_spaces(study, runs, result, directory, device, threads)
    _describe_worlds(study, result, directory)
    members = [make_member(study, run, result.spaces[run.space_world, run.seed]) for run in runs]
    total = sum(member.trainer.steps for member in members)
    logger.info("%d SAEs to train", len(members))
    with progress(total, "training SAEs") as advance:
        for number, stack in enumerate(train(members, threads=threads, progress=advance)):
            stack_runs = [runs[i] for i in stack.index]
            _save_stack(directory, number, stack)
            _measure(stack, stack_runs, result)
            directory.table("runs.csv", result.runs)
            directory.table("reference_cells.csv", result.reference_cells)
            directory.table("reference_features.csv", result.reference_features)
            directory.table("reference_latents.csv", result.reference_latents)
            directory.table("reference_nulls.csv", result.reference_nulls)
    return result


def _prepare_spaces(
    study: StudyConfig,
    runs: Sequence[Run],
    result: StudyResult,
    directory: RunDirectory,
    device: torch.device,
    threads: int | None,
) -> None:
    worlds = {run.space_world for run in runs}
    with progress(len(worlds), "hidden spaces") as advance:
        for made in make_spaces(study, runs, device, threads):
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


def _measure(stack: TrainedStack, runs: Sequence[Run], result: StudyResult) -> None:
    study = result.study
    for position, run in enumerate(runs):
        sae = stack.sae.members([position])
        world = result.evaluation(run)
        summary = measure_member(sae, world).summary
        facts = {
            "diverged_at": int(stack.frozen_at[position]),
            "loss": summary["error"] + run.l1 * summary["penalty"],
            **summary,
        }
        row = result.add(run, sae, facts)
        cell = (run.lr, run.l1, run.start, run.n_latents)
        width = study.protocols[run.protocol].sae.n_latents
        if cell == (study.reference.lr, study.reference.l1, "random", width):
            result.reference_cells.append(
                {
                    "run": row["run"],
                    **_identity(run),
                    **trust_in_coefficients(sae, world, run.seed),
                    "share_along_components": share_along_components(sae, world),
                }
            )
            nulls = measure_each(with_nulls(sae, world, run.seed), world)
            result.reference_nulls += [
                {"run": row["run"], **_identity(run), **null} for null in null_rows(nulls)
            ]
            trained = nulls[TRAINED]
            result.reference_features += [{"run": row["run"], **f} for f in trained.features]
            result.reference_latents += [{"run": row["run"], **f} for f in trained.latents]


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
        "steps": run.steps,
        "start": run.start,
        "seed": run.seed,
    }


def _save_stack(directory: RunDirectory, number: int, stack: TrainedStack) -> None:
    """Parameters and history of one stack, in the order of its rows in runs.csv."""
    tensors: dict[str, Tensor] = {
        **{name: p.contiguous() for name, p in stack.sae.params.items()},
        "history_steps": stack.history_steps,
        **{f"history_{name}": values.float() for name, values in stack.history.items()},
    }
    path = directory.path / f"stack_{number:02d}.safetensors"
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.rename(path)
