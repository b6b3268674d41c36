"""SAEs on disk in SAELens's format, which is also toysae's own.

A directory holds `cfg.json`, `sae_weights.safetensors` and perhaps `sparsity.safetensors` (log10 of
firing frequencies). Nothing in it is executed. Read are the forms that sae-lens 6 writes for
inference and while training, and the flat ones of versions 1 to 5; written is the inference form.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from toysae.checkpoints.alike import known_to_saelens
from toysae.checkpoints.architectures import Config, config_of, family_of, modernise, scaling_of
from toysae.checkpoints.tensors import applied_params, check_tensors, read_tensors
from toysae.errors import CheckpointError, ResultsError, ShapeError
from toysae.saes.base import SAE
from toysae.saes.folding import without_constant_factor

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
SPARSITY_FILE = "sparsity.safetensors"
SCALER_FILE = "activation_scaler.json"
#: Ends the name of a directory that is being written.
PARTIAL_SUFFIX = ".partial"
#: SAELens takes a file without a version for one of before 6 and drops its metadata.
FORMAT_VERSION = "6.0.0"


@dataclass(frozen=True)
class Checkpoint:
    """An SAE read from a directory, with what is said about it there.

    Attributes:
        sae: one member, `M = 1`, float32.
        config: `cfg.json` with the names and defaults of SAELens 6.
        metadata: `config["metadata"]`: model, hook, context, and whatever else was written.
        log_sparsity: log10 of each latent's firing frequency, `[m]`, or None where not stored.
        name: name of the directory.
        path: the directory.
    """

    sae: SAE
    config: Config
    metadata: dict[str, Any]
    log_sparsity: Tensor | None
    name: str
    path: Path


def load(
    directory: Path | str,
    *,
    device: torch.device | str = "cpu",
    scaling_factor: float | None = None,
) -> Checkpoint:
    """Read the SAE in a directory.

    The device and dtype that `cfg.json` names are those of the machine that wrote it and are not
    followed. Attention heads (`reshape_activations: hook_z`) are read flattened, `[n, heads * d]`.

    Args:
        directory: holds `cfg.json` and `sae_weights.safetensors`.
        device: where the parameters go.
        scaling_factor: factor of the scaling `expected_average_only_in`. Taken from
            `activation_scaler.json` in the directory where it is None; other scalings ignore it.

    Returns:
        The checkpoint; its SAE gives the activations and reconstructions of SAELens itself.

    Raises:
        CheckpointError: a file is missing or damaged, the architecture or scaling is unknown, or
            the tensors are not those that `cfg.json` promises.
    """
    path = Path(directory)
    if not path.is_dir():
        raise CheckpointError(
            f"{path}: no such directory; give one that holds {CONFIG_FILE} and {WEIGHTS_FILE}"
        )
    factor = _stored_factor(path) if scaling_factor is None else scaling_factor
    with _naming(path / CONFIG_FILE):
        config = modernise(_read_json(path / CONFIG_FILE))
        _check_sizes(config)
        family = family_of(config)
        scaling = scaling_of(config, factor)
    tensors = read_tensors(path / WEIGHTS_FILE, device)
    with _naming(path / WEIGHTS_FILE):
        params = applied_params(tensors, family, config)
    return Checkpoint(
        sae=SAE(family, params, scaling),
        config=config,
        metadata=config["metadata"],
        log_sparsity=_read_sparsity(path / SPARSITY_FILE, config["d_sae"], device),
        name=path.resolve().name,
        path=path,
    )


def save(
    sae: SAE,
    directory: Path | str,
    metadata: Mapping[str, Any] | None = None,
    *,
    log_sparsity: Tensor | None = None,
) -> Path:
    """Write one SAE to a new directory, all of it or nothing.

    A `ConstantFactor` scaling is folded into the weights, because the format has no place for it,
    and families of which SAELens knows a plainer form are written in that form
    (`toysae.checkpoints.alike`). `Lista`, of which it knows none, is written for toysae alone:
    SAELens refuses its architecture, `toysae_lista`.

    Args:
        sae: one member, `M = 1`.
        directory: must not exist; its parents are made.
        metadata: goes to `cfg.json`; anything that JSON holds.
        log_sparsity: log10 of each latent's firing frequency, `[m]`.

    Returns:
        The directory.

    Raises:
        ShapeError: `sae` has more than one member.
        CheckpointError: the family has no form in SAELens's format, or a parameter is not finite or
            not of the shape that the family states.
        ResultsError: the directory exists or cannot be written, or `metadata` is not JSON.
    """
    path = Path(directory)
    if sae.n_members != 1:
        raise ShapeError(f"{path}: {sae.n_members} members; save one at a time: sae.members([i])")
    if os.path.lexists(path):
        raise ResultsError(f"{path}: exists already and is never overwritten; choose a new one")
    with _naming(path):
        config, tensors = _file_contents(_as_written(sae))
        if log_sparsity is not None:
            check_tensors({"sparsity": log_sparsity}, {"sparsity": (sae.n_latents,)})
    config["metadata"] = {"sae_lens_version": FORMAT_VERSION, **(metadata or {})}
    try:
        text = json.dumps(config, indent=1)
    except (TypeError, ValueError) as error:
        raise ResultsError(f"{path}: metadata cannot be written as JSON ({error})") from error
    with _appearing_whole(path) as partial:
        (partial / CONFIG_FILE).write_text(text)
        save_file(tensors, partial / WEIGHTS_FILE)
        if log_sparsity is not None:
            save_file({"sparsity": _storable(log_sparsity)}, partial / SPARSITY_FILE)
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError("no such file; a checkpoint needs its configuration") from error
    except (ValueError, OSError) as error:
        raise CheckpointError(f"not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"holds a {type(content).__name__}; expected a JSON object")
    return content


def _check_sizes(config: Config) -> None:
    for key in ("d_in", "d_sae"):
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise CheckpointError(
                f"{key} = {config.get(key)!r}: must be a whole number, at least 1"
            )


def _stored_factor(directory: Path) -> float | None:
    """The factor that SAELens keeps beside an SAE in training."""
    path = directory / SCALER_FILE
    if not path.is_file():
        return None
    with _naming(path):
        return _read_json(path).get("scaling_factor")


def _read_sparsity(path: Path, n_latents: int, device: torch.device | str) -> Tensor | None:
    if not path.is_file():
        return None
    tensors = read_tensors(path, device)
    with _naming(path):
        check_tensors(tensors, {"sparsity": (n_latents,)})
    return tensors["sparsity"]


def _as_written(sae: SAE) -> SAE:
    """The same SAE in a form that the format has a place for, as far as there is one."""
    sae = known_to_saelens(sae)
    # The factor moves to W_enc; without one it stays, and config_of refuses the scaling.
    return without_constant_factor(sae) if "W_enc" in sae.params else sae


def _file_contents(sae: SAE) -> tuple[Config, dict[str, Tensor]]:
    check_tensors(
        {name: value[0] for name, value in sae.params.items()},
        sae.family.param_shapes(sae.d_hidden, sae.n_latents),
    )
    config = {
        **config_of(sae.family, sae.scaling),
        "d_in": sae.d_hidden,
        "d_sae": sae.n_latents,
        "dtype": "float32",
        "device": "cpu",
        "reshape_activations": "none",
    }
    return config, {name: _storable(value[0]) for name, value in sae.params.items()}


def _storable(tensor: Tensor) -> Tensor:
    """A copy of its own: safetensors refuses views and shared storage."""
    return tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the name of the file in front of what is wrong with it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


@contextmanager
def _appearing_whole(path: Path) -> Iterator[Path]:
    """A sibling directory to write to, renamed to `path` at the end and removed on any failure."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    except (OSError, SafetensorError) as error:
        raise ResultsError(f"{path}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
