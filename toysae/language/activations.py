"""Recorded activations of a language model, as a tensor with one row a token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from toysae.errors import DataError

TENSOR_NAME = "activations"
_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def load_activations(path: Path | str, d_hidden: int | None = None) -> Tensor:
    """Activations `[N, d]` as float32 from `.npy` or `.safetensors`; nothing in it is executed.

    A safetensors file must hold one tensor, or one that is named `activations`.

    Args:
        path: a file of float16 or float32 (in safetensors also bfloat16).
        d_hidden: the `d` that is expected, or None for any.

    Returns:
        Activations `[N, d]`, `N >= 1`, all finite.

    Raises:
        DataError: the file is missing, damaged, of another kind, dtype or shape, empty, or holds
            NaN or infinite values.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a .npy or .safetensors file of activations")
    if path.suffix not in _READERS:
        raise DataError(f"{path}: ends in {path.suffix!r}; must end in {' or '.join(_READERS)}")
    activations = _READERS[path.suffix](path)
    expected = f"[N, {'d' if d_hidden is None else d_hidden}] with N >= 1"
    if (
        activations.ndim != 2
        or activations.numel() == 0
        or d_hidden not in (None, activations.shape[1])
    ):
        raise DataError(f"{path}: shape {list(activations.shape)}; expected {expected}")
    if activations.dtype not in _DTYPES:
        raise DataError(f"{path}: {activations.dtype}; expected float16, bfloat16 or float32")
    damaged = int((~torch.isfinite(activations)).any(dim=1).sum())
    if damaged:
        raise DataError(
            f"{path}: {damaged} of {len(activations)} rows hold NaN or infinite values; record "
            "them again or remove them"
        )
    return activations.to(torch.float32)


def _read_npy(path: Path) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a readable .npy file of numbers ({error})") from error


def _read_safetensors(path: Path) -> Tensor:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a readable .safetensors file ({error})") from error
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    if TENSOR_NAME not in tensors:
        raise DataError(
            f"{path}: holds the tensors {', '.join(sorted(tensors))}; expected one, or one named "
            f"{TENSOR_NAME}"
        )
    return tensors[TENSOR_NAME]


_READERS = {".npy": _read_npy, ".safetensors": _read_safetensors}
