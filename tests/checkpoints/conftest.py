"""A small SAE of every family that can be written, and a checkpoint to damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from toysae.checkpoints.saelens import save
from toysae.saes.base import SAE, SAEFamily
from toysae.saes.relu import ReLU
from toysae.saes.scaling import NoScaling, Scaling

MakeSAE = Callable[..., SAE]


@pytest.fixture(scope="session")
def make_sae() -> MakeSAE:
    def make(
        family: SAEFamily,
        *,
        d_hidden: int = 4,
        n_latents: int = 6,
        scaling: Scaling | None = None,
        seed: int = 0,
    ) -> SAE:
        generator = torch.Generator().manual_seed(seed)
        shapes = family.param_shapes(d_hidden, n_latents)
        params = {
            name: torch.randn(1, *shape, generator=generator) for name, shape in shapes.items()
        }
        return SAE(family, params, scaling or NoScaling())

    return make


class CheckpointFiles:
    """The two files of a checkpoint, to be changed by a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_file = directory / "cfg.json"
        self.weights_file = directory / "sae_weights.safetensors"

    def change_config(self, **changes: Any) -> None:
        config = json.loads(self.config_file.read_text())
        self.config_file.write_text(json.dumps({**config, **changes}))

    def change_tensors(self, **changes: torch.Tensor | None) -> None:
        tensors = {**load_file(self.weights_file), **changes}
        kept = {name: value.clone() for name, value in tensors.items() if value is not None}
        self.weights_file.unlink()
        save_file(kept, self.weights_file)


@pytest.fixture
def files(tmp_path: Path, make_sae: MakeSAE) -> CheckpointFiles:
    """A ReLU SAE with d = 4 and m = 6."""
    return CheckpointFiles(save(make_sae(ReLU(n_latents=6)), tmp_path / "relu"))
