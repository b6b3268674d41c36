"""Whether a run has still to be done in a directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from toysae.errors import ResultsError
from toysae.results.layout import CONFIG, DONE, STACKS, check_new, config_hash, recorded
from toysae.results.table import flatten


def is_finished(path: Path, config: DictConfig, *, resume: bool) -> bool:
    """Whether `path` holds this very run, complete. If not, the directory is left ready for it.

    What an interrupted or failed attempt at this very run has left is removed, but for stacks in
    training, which go on.

    Args:
        path: directory of the run; need not exist.
        config: configuration of the run.
        resume: whether the directory may hold this run already.

    Raises:
        ResultsError: the directory holds files although nothing is to be resumed, files of another
            configuration, or files that are not a run's.
    """
    if not resume:
        check_new(path)
    held_names = {p.name for p in path.iterdir()} if path.is_dir() else set()
    if held_names <= {STACKS}:
        return False
    if not (path / CONFIG).is_file():
        raise ResultsError(f"{path}: holds files but no {CONFIG}; only a run can be resumed")
    held = OmegaConf.load(path / CONFIG)
    assert isinstance(held, DictConfig)
    if config_hash(held) != config_hash(config):
        raise ResultsError(
            f"{path}: holds a run with another {_differing_keys(held, config)}; "
            "resume with the same configuration, or choose another directory"
        )
    if (path / DONE).is_file():
        return True
    for entry in path.iterdir():
        if entry.name != STACKS:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if not held_names & {STACKS}:
        path.rmdir()
    return False


def _differing_keys(first: DictConfig, second: DictConfig) -> str:
    a, b = (flatten(OmegaConf.to_container(recorded(config))) for config in (first, second))
    missing: Any = object()
    return ", ".join(k for k in {**a, **b} if a.get(k, missing) != b.get(k, missing))
