"""The one table of a sweep, rebuilt from the files of its runs at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from toysae.results.files import write_csv
from toysae.results.layout import CONFIG, DONE, FAILURE, METRICS

TABLE = "results.csv"

COMPLETED = "completed"
FAILED = "failed"
UNFINISHED = "unfinished"  # running, or killed


@dataclass(frozen=True)
class RunRecord:
    """What the files of one run say.

    Attributes:
        name: path of its directory, relative to the directory that was scanned.
        status: `completed`, `failed` or `unfinished` (running, or killed).
        failure: message of a failed run, else empty.
        config: configuration, one entry a leaf (`sae.l1`); lists are leaves.
        metrics: one entry a number (`l0`, `l0.low`); None where undefined.
    """

    name: str
    status: str
    failure: str
    config: dict[str, Any]
    metrics: dict[str, Any]


def read_runs(directory: Path) -> list[RunRecord]:
    """Every run in `directory` and below, in natural order of their names (`2` before `10`)."""
    paths = sorted((path.parent for path in directory.rglob(CONFIG)), key=_natural)
    return [_read_run(path, directory) for path in paths]


def rows(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """One row a run: name, status, failure, configuration (what varies first), metrics."""
    varying, constant = split_by_variation(runs)
    metrics = dict.fromkeys(key for run in runs for key in run.metrics)
    return [
        {
            "run": run.name,
            "status": run.status,
            "failure": run.failure,
            **{key: run.config.get(key) for key in (*varying, *constant)},
            **{key: run.metrics.get(key) for key in metrics},
        }
        for run in runs
    ]


def write_table(directory: Path, runs: Sequence[RunRecord]) -> Path:
    """Write `results.csv` into `directory`, replacing an earlier one."""
    write_csv(directory / TABLE, rows(runs))
    return directory / TABLE


def split_by_variation(runs: Sequence[RunRecord]) -> tuple[list[str], list[str]]:
    """Configuration keys whose value differs between runs, and all others."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    varies = {key: len({repr(run.config.get(key)) for run in runs}) > 1 for key in keys}
    return [k for k in keys if varies[k]], [k for k in keys if not varies[k]]


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings under dotted keys; an empty mapping has none."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, inner in value.items():
        leaves.update(flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
    return leaves


def _read_run(path: Path, root: Path) -> RunRecord:
    failure = _read_json(path / FAILURE)
    if (path / DONE).is_file():
        status = COMPLETED
    else:
        status = FAILED if failure else UNFINISHED
    config = OmegaConf.to_container(OmegaConf.load(path / CONFIG))
    return RunRecord(
        name=str(path.relative_to(root)),
        status=status,
        failure=failure.get("error", ""),
        config=flatten(config),
        metrics=_metric_columns(_read_json(path / METRICS)),
    )


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _metric_columns(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Means under the name of the metric, what belongs to them under `<metric>.<what>`."""
    return {key.removesuffix(".mean"): value for key, value in flatten(metrics).items()}


def _natural(path: Path) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in path.parts]
