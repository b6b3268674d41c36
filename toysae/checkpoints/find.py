"""Find the checkpoints below a directory."""

from __future__ import annotations

from pathlib import Path

from toysae.checkpoints.saelens import CONFIG_FILE, PARTIAL_SUFFIX, WEIGHTS_FILE
from toysae.errors import CheckpointError


def find_checkpoints(root: Path | str) -> list[Path]:
    """Directories that hold `cfg.json`, at any depth below `root` or `root` itself, sorted.

    Directories that a killed writer left half written are passed over.

    Raises:
        CheckpointError: `root` is not a directory, or no checkpoint is found.
    """
    root = Path(root)
    if not root.is_dir():
        raise CheckpointError(f"{root}: no such directory; give one that holds checkpoints")
    found = sorted(
        file.parent for file in root.rglob(CONFIG_FILE) if not _is_partial(file.relative_to(root))
    )
    if not found:
        raise CheckpointError(
            f"{root}: no checkpoint in it or below; looked for directories that hold {CONFIG_FILE} "
            f"and {WEIGHTS_FILE}"
        )
    return found


def _is_partial(file: Path) -> bool:
    return any(part.endswith(PARTIAL_SUFFIX) for part in file.parts)
