"""Run an experiment's command inside the test process, as `python -m` would."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]

#: A run of a moment.
SMALL = (
    "seeds=2",
    "trainer.steps=30",
    "trainer.batch_size=32",
    "measure.n_samples=100",
    "threads=1",
    "device=cpu",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, and what the interpreter prints on the way out."""

    code: int
    message: str


def run_here(command: Callable[[], None], directory: Path, *arguments: str) -> Ended:
    """Run `command` in `directory` with `arguments` as its command line."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with contextlib.chdir(directory), mock.patch.object(sys, "argv", ["program", *arguments]):
        try:
            command()
        except SystemExit as ended:
            if isinstance(ended.code, str):
                return Ended(1, ended.code)
            return Ended(ended.code or 0, "")
        finally:
            root.handlers[:], root.level = handlers, level
    return Ended(0, "")


def run_apart(module: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=directory, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def environment() -> dict[str, str]:
    """The environment of a user with the checkout on the path and one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def files(directory: Path) -> dict[str, bytes]:
    """Content of every file below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
