"""A run directory: made once, never overwritten, finished by `done.json`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from toysae.results.files import Row, write_csv, write_json
from toysae.results.layout import (
    DONE,
    LOG,
    METRICS,
    STACKS,
    check_new,
    config_hash,
    write_config,
)
from toysae.results.provenance import provenance


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

    def log(self, record: logging.LogRecord) -> None:
        """Add a line of before this directory was opened to `run.log`."""
        self._handler.handle(record)

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


def open_run(
    path: Path, config: DictConfig, overrides: list[str], device: torch.device
) -> RunDirectory:
    """Start a run in `path`, which must not hold one.

    Its own stack may still lie there.

    Raises:
        ResultsError: the directory holds files already.
    """
    check_new(path, besides=STACKS)
    path.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(path)
    write_config(path, config)
    run.json(
        "provenance.json", {**provenance(overrides, device), "config_hash": config_hash(config)}
    )
    return run
