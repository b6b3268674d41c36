"""A run directory: made once, never overwritten, finished by `done.json`."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from toysae.errors import ResultsError
from toysae.results.files import Row, write_csv, write_json, write_text
from toysae.results.provenance import provenance

DONE = "done.json"
METRICS = "metrics.json"
CONFIG = "config.yaml"
LOG = "run.log"


class RunDirectory:
    """Files of one run.

    Opened by `open_run`. Everything is written to a temporary sibling and renamed; `done.json`
    comes last, so that its presence says that the rest is complete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started = time.time()
        self._handler = logging.FileHandler(path / LOG)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(self._handler)

    def json(self, name: str, value: Any) -> None:
        """Write `name` as JSON."""
        write_json(self.path / name, value)

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Write `name` as CSV."""
        write_csv(self.path / name, rows)

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Write the scalars of the run, `metrics.json`."""
        self.json(METRICS, values)

    def done(self, **facts: Any) -> None:
        """Mark the run as complete."""
        self.json(DONE, {"status": "completed", "seconds": time.time() - self._started, **facts})
        self.close()

    def close(self) -> None:
        """Stop logging into this directory."""
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()


def config_hash(config: DictConfig) -> str:
    """Identity of a resolved configuration."""
    text = OmegaConf.to_yaml(config, resolve=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_run(
    path: Path, config: DictConfig, overrides: list[str], device: torch.device
) -> RunDirectory:
    """Start a run in `path`, which must not hold one.

    Raises:
        ResultsError: the directory holds files already.
    """
    existing = sorted(p.name for p in path.iterdir()) if path.is_dir() else []
    if existing:
        raise ResultsError(
            f"{path}: holds {', '.join(existing[:3])}{' ...' if len(existing) > 3 else ''} already; "
            "nothing is overwritten: choose another hydra.run.dir, or remove it"
        )
    path.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(path)
    write_text(path / CONFIG, OmegaConf.to_yaml(config, resolve=True))
    run.json("provenance.json", {**provenance(overrides, device), "config_hash": config_hash(config)})
    return run
