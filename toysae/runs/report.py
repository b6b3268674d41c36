"""Measure a trained run and write its directory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from toysae.checkpoints.saelens import save
from toysae.metrics.uncertainty import seed_interval
from toysae.results.files import Row
from toysae.results.layout import NULLS, NULLS_STRUCTURE, config_hash
from toysae.results.measurements import EvaluationWorld, Measurement
from toysae.results.null_measurements import (
    TRAINED,
    measure_each,
    null_rows,
    structure_rows,
    with_nulls,
)
from toysae.results.recovery_measurements import measure_recovery
from toysae.results.run import RunDirectory, open_run
from toysae.results.wandb_mirror import mirror
from toysae.runs.training import TrainedRun
from toysae.training.initial import untrained

#: A summary entry with this ending is the chance level of the one without it.
CHANCE = "_chance"

#: As SAELens, which stores log10(frequency + 1e-10).
_NEVER_FIRED = 1e-10


def report_run(run: TrainedRun, config: DictConfig, directory: Path, overrides: list[str]) -> None:
    """Measure every seed, then write everything to a new run directory, `done.json` last."""
    measured: dict[int, Measurement] = {}
    nulls: dict[int, list[Row]] = {}
    structure: dict[int, list[Row]] = {}
    for place, seed in enumerate(run.config.seed_list):
        world = _world(run, seed)
        if place >= run.config.measure.null_seeds:
            measured[seed] = measure_recovery(run.saes[seed], world)
            continue
        initial = {"initial_weights": untrained([run.members()[place]])}
        saes = with_nulls(run.saes[seed], world, seed, initial)
        each = measure_each(saes, world)
        measured[seed], nulls[seed] = each[TRAINED], null_rows(each)
        structure[seed] = structure_rows(saes, world, seed)
    files = open_run(directory, config, overrides, run.device)
    try:
        for record in run.log:
            files.log(record)
        _write(files, run, config, measured)
        if nulls:
            files.table(NULLS, _by_seed(nulls))
            files.table(NULLS_STRUCTURE, _by_seed(structure))
        files.done(config_hash=config_hash(config), training_seconds=run.seconds)
    finally:
        files.close()
    if run.config.logger is not None:
        mirror(directory, run.config.logger)


def summarise(measurements: Sequence[Measurement]) -> dict[str, dict[str, Any]]:
    """Mean and 95 % interval over seeds of every number, with its chance level where it has one.

    A number that is undefined for some seed has no mean: which seeds are missing is never random.
    The count `undefined` says how many are.
    """
    summaries = [measurement.summary for measurement in measurements]
    means: dict[str, dict[str, Any]] = {}
    for name in summaries[0]:
        values = [summary[name] for summary in summaries]
        undefined = sum(math.isnan(value) for value in values)
        if undefined:
            entry: dict[str, Any] = {"mean": math.nan, "low": math.nan, "high": math.nan}
        else:
            interval = seed_interval(values)
            entry = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        means[name] = {**entry, "seeds": len(values), "undefined": undefined}
    for name in [name for name in means if name.endswith(CHANCE)]:
        means[name.removesuffix(CHANCE)]["chance"] = means.pop(name)["mean"]
    return means


def _world(run: TrainedRun, seed: int) -> EvaluationWorld:
    stream = run.streams[seed - run.config.first_seed]
    return EvaluationWorld.sample(replace(stream, split="evaluation"), run.config.measure.n_samples)


def _write(
    files: RunDirectory,
    run: TrainedRun,
    config: DictConfig,
    measured: dict[int, Measurement],
) -> None:
    """Everything but the nulls and `done.json`."""
    files.metrics(summarise(list(measured.values())))
    files.table("features.csv", _by_seed({s: m.features for s, m in measured.items()}))
    files.table("latents.csv", _by_seed({s: m.latents for s, m in measured.items()}))
    files.table("history.csv", run.history)
    identity = config_hash(config)
    for seed, measurement in measured.items():
        density = torch.tensor([row["density"] for row in measurement.latents])
        save(
            run.saes[seed],
            files.path / "checkpoints" / f"seed_{seed}",
            {"toysae_seed": seed, "toysae_config_hash": identity},
            log_sparsity=torch.log10(density + _NEVER_FIRED),
        )


def _by_seed(tables: Mapping[int, Sequence[Row]]) -> list[Row]:
    return [{"seed": seed, **row} for seed, table in tables.items() for row in table]
