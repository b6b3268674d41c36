"""What numbers were measured on, and workers that measure them."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toysae.draws import CPU
from toysae.results.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Code, packages, system and processor."""
    about = provenance([], CPU)
    about.pop("command")
    return {**about, "machine": platform.machine(), "cores": os.cpu_count(), "cpu": _cpu()}


def measure(command: Sequence[str], threads: int = 1) -> dict[str, Any]:
    """What a worker prints, run with so many OpenMP threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def saelens_python(given: str | None) -> str | None:
    """The interpreter that has sae-lens: the given one, else this one if it has it."""
    if given is not None:
        return given
    return sys.executable if importlib.util.find_spec("sae_lens") else None


def _cpu() -> str:
    """Model of the processor where the system says it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
