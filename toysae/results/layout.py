"""Which files a run directory holds, and what makes two runs the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from toysae.errors import ResultsError
from toysae.results.files import write_text

CONFIG = "config.yaml"
METRICS = "metrics.json"
NULLS = "nulls.csv"
NULLS_STRUCTURE = "nulls_structure.csv"
DONE = "done.json"
FAILURE = "failed.json"
LOG = "run.log"

#: Folder of unfinished stacks, in the directory of a run or a sweep; it goes with the last.
STACKS = ".stacks"

#: Keys that say how a run is carried out and not what it is; they are not recorded.
EXECUTION_KEYS = ("resume", "save_every", "threads")


def recorded(config: DictConfig) -> DictConfig:
    """The part of a configuration that identifies a run, resolved."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return OmegaConf.create({k: v for k, v in values.items() if k not in EXECUTION_KEYS})


def config_hash(config: DictConfig) -> str:
    """Identity of a configuration; the order of its keys does not matter."""
    text = OmegaConf.to_yaml(recorded(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_new(path: Path, *, besides: str = "") -> None:
    """Raise `ResultsError` if the directory holds anything, but for what is called `besides`."""
    held = sorted(p.name for p in path.iterdir() if p.name != besides) if path.is_dir() else []
    if held:
        names = ", ".join(held[:3]) + (" ..." if len(held) > 3 else "")
        raise ResultsError(
            f"{path}: holds {names} already; nothing is overwritten: continue with resume=true "
            "where the experiment has it, or choose another directory"
        )


def write_config(path: Path, config: DictConfig) -> None:
    """Write `config.yaml` into the directory `path`."""
    write_text(path / CONFIG, OmegaConf.to_yaml(recorded(config)))
