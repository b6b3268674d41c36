"""What a run leaves behind that could not be finished."""

from __future__ import annotations

import traceback
from pathlib import Path

from omegaconf import DictConfig

from toysae.errors import ToysaeError
from toysae.results.files import write_json
from toysae.results.layout import FAILURE, write_config


def record_failure(path: Path, config: DictConfig, error: Exception) -> None:
    """Write the configuration and what went wrong to the directory of the run.

    An error that toysae did not raise on purpose keeps its traceback.
    """
    path.mkdir(parents=True, exist_ok=True)
    write_config(path, config)
    expected = isinstance(error, ToysaeError)
    write_json(
        path / FAILURE,
        {
            "status": "failed",
            "error": str(error) if expected else f"{type(error).__name__}: {error}",
            "traceback": None if expected else "".join(traceback.format_exception(error)),
        },
    )
