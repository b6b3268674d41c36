"""Where a result comes from: code, versions, machine, command."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("toysae", "numpy", "scipy", "scikit-learn", "hydra-core", "numba")


def provenance(overrides: list[str], device: torch.device) -> dict[str, Any]:
    """Everything needed to say which code made a result, and with which command."""
    return {
        "command": [Path(sys.argv[0]).name, *overrides],
        "git": _git(),
        "python": platform.python_version(),
        # Its own word says which build it is, as in 2.13.0+cpu: numbers depend on that.
        "packages": {name: _version(name) for name in _PACKAGES}
        | {"torch": str(torch.__version__)},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Commit, and a hash of the uncommitted changes; None outside a git checkout."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
        return result.stdout

    try:
        commit = git("rev-parse", "HEAD").strip()
        difference = git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None
    dirty = hashlib.sha256(difference.encode()).hexdigest()[:16] if difference else None
    return {"commit": commit, "uncommitted_changes": dirty}
