"""The tensors of a SAELens checkpoint: read, checked, and brought to the form that is applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from toysae.checkpoints.architectures import BATCH_TOPK, Config
from toysae.errors import CheckpointError
from toysae.saes.base import Params, SAEFamily, Shapes
from toysae.saes.folding import with_unit_decoder

#: Names that one and the same tensor had in different versions.
_FINETUNING = ("scaling_factor", "finetuning_scaling_factor")


def read_tensors(path: Path, device: torch.device | str) -> dict[str, Tensor]:
    """All tensors of a safetensors file as float32 on `device`.

    Raises:
        CheckpointError: the file is missing, truncated or not a safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint needs its weights")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); download or copy it again"
        ) from error
    return {name: tensor.to(device, torch.float32) for name, tensor in tensors.items()}


def applied_params(tensors: Mapping[str, Tensor], family: SAEFamily, config: Config) -> Params:
    """Parameters with a member axis `M = 1` out of the tensors of a file.

    Two things that a file may hold are folded into the weights. A `scaling_factor` (a factor per
    latent, applied to the activations before decoding; in old files) is multiplied into the
    decoder rows, all ones are dropped. The training form of BatchTopK becomes the JumpReLU SAE
    that SAELens saves for inference: `topk_threshold` is the threshold of every latent, and where
    activations were compared after multiplying by decoder norms, the norms move to the encoder.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape, or not finite; or there is
            a `scaling_factor` that the configuration does not speak of.
    """
    check_tensors(tensors, _file_shapes(tensors, family, config))
    params = _with_finetuning(dict(tensors), config)
    if "topk_threshold" in params:
        params = _batch_topk_as_jumprelu(params, bool(config.get("rescale_acts_by_decoder_norm")))
    return {name: tensor[None] for name, tensor in params.items()}


def check_tensors(tensors: Mapping[str, Tensor], shapes: Shapes) -> None:
    """Raise `CheckpointError` unless `tensors` are exactly those of `shapes`, and finite."""
    missing = sorted(shapes.keys() - tensors.keys())
    if missing:
        raise CheckpointError(
            f"tensor {', '.join(missing)} is missing; found {', '.join(sorted(tensors))}"
        )
    unknown = sorted(tensors.keys() - shapes.keys())
    if unknown:
        raise CheckpointError(
            f"tensor {', '.join(unknown)} is unknown; expected {', '.join(sorted(shapes))}"
        )
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != tuple(shape):
            raise CheckpointError(
                f"tensor {name} has shape {list(tensors[name].shape)}; expected {list(shape)}"
            )
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(
                f"tensor {name} holds NaN or infinite values; the SAE diverged or is damaged"
            )


def _file_shapes(tensors: Mapping[str, Tensor], family: SAEFamily, config: Config) -> Shapes:
    shapes = dict(family.param_shapes(config["d_in"], config["d_sae"]))
    if config["architecture"] in BATCH_TOPK:
        del shapes["threshold"]
        shapes["topk_threshold"] = ()
    shapes.update({name: (config["d_sae"],) for name in _FINETUNING if name in tensors})
    return shapes


def _with_finetuning(params: Params, config: Config) -> Params:
    for name in _FINETUNING:
        factor = params.pop(name, None)
        if factor is None or torch.allclose(factor, torch.ones_like(factor)):
            continue
        if not config.get("finetuning_scaling_factor"):
            raise CheckpointError(
                f"tensor {name} is not all ones, but finetuning_scaling_factor is not true in "
                "cfg.json; set it there to have the factor applied"
            )
        params["W_dec"] = params["W_dec"] * factor[:, None]
    return params


def _batch_topk_as_jumprelu(params: Params, rescale_by_decoder_norm: bool) -> Params:
    threshold = params.pop("topk_threshold")
    if rescale_by_decoder_norm:
        params = with_unit_decoder(params)
    return {**params, "threshold": threshold.expand_as(params["b_enc"]).clone()}
