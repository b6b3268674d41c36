"""Checks that every metric makes on what it is given, and the one precision that all compute in."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toysae.errors import DataError, ShapeError

_UNIT_TOLERANCE = 4e-3


def finite(value: Tensor, name: str) -> Tensor:
    """`value` in float64 and without a gradient; refuses NaN and infinity."""
    value = value.detach().to(torch.float64)
    refuse_non_finite(value, name)
    return value


def refuse_non_finite(value: Tensor, name: str) -> None:
    """Raises `DataError` where `value` holds NaN or infinity."""
    n_bad = int((~torch.isfinite(value)).sum())
    if n_bad:
        raise DataError(
            f"{name}: {n_bad} of {value.numel()} values are NaN or infinite; "
            "only finite values can be measured, so drop or repair them first"
        )


def refuse_infinite(value: Tensor, name: str) -> None:
    """Raises `DataError` where `value` holds infinity; NaN stands for "undefined" and may pass."""
    refuse_non_finite(value[~torch.isnan(value)], name)


def refuse_nan(thresholds: float | Tensor, name: str) -> None:
    """Raises `DataError` where a threshold of a score is NaN, which no score is above."""
    found = torch.as_tensor(thresholds)
    n_bad = int(torch.isnan(found).sum())
    if n_bad:
        raise DataError(f"{name}: {n_bad} of {found.numel()} are NaN; no score is above that")


def require_weights(weights: Tensor, name: str) -> None:
    """Raises `DataError` unless all `weights` are finite and at least 0."""
    refuse_non_finite(weights, name)
    if bool((weights < 0).any()):
        raise DataError(f"{name} go down to {float(weights.min())}: expected at least 0")


def require_axes(value: Tensor, name: str, axes: str) -> None:
    """Raises `ShapeError` where `value` has not the two axes that `axes` names."""
    if value.ndim != 2:
        raise ShapeError(f"{name} has shape {tuple(value.shape)}: expected two axes, {axes}")


def vectors(value: Tensor, name: str) -> Tensor:
    """A finite float64 dictionary `[rows, dimensions]` with at least one dimension."""
    require_axes(value, name, "[rows, dimensions]")
    if value.shape[1] == 0:
        raise ShapeError(f"{name} has shape {tuple(value.shape)}: vectors need a dimension")
    rows = finite(value, name)
    _warn_if_transposed(rows, name)
    return rows


def _warn_if_transposed(rows: Tensor, name: str) -> None:
    """Warns where the columns of a dictionary have unit length and its rows have not.

    A single column proves nothing, nor do columns with one entry: those of axes have length 1 too.
    """
    if not _unit_length(rows, 0) or _unit_length(rows, 1):
        return
    n_entries = (rows != 0).sum(dim=0)
    if int((n_entries > 0).sum()) > 1 and not bool((n_entries == 1).any()):
        warnings.warn(
            f"{name} of shape {tuple(rows.shape)}: its columns have unit length and its rows have "
            "not, as if it were transposed; rows are vectors, so pass W_enc.T",
            UserWarning,
            stacklevel=2,
        )


def _unit_length(rows: Tensor, dim: int) -> bool:
    """Whether all vectors along `dim` that are not zero have length 1, to bfloat16's rounding."""
    length = torch.linalg.vector_norm(rows, dim=dim)
    return bool((((length - 1).abs() < _UNIT_TOLERANCE) | (length == 0)).all())


def require_same_width(a: Tensor, b: Tensor, names: tuple[str, str]) -> None:
    """Raises `ShapeError` where the rows of two dictionaries live in different spaces."""
    if a.shape[1] != b.shape[1]:
        raise ShapeError(
            f"{names[0]} has rows of {a.shape[1]} dimensions and {names[1]} of {b.shape[1]}: "
            "they must be equal (rows are vectors; pass W_enc transposed)"
        )


def require_same_samples(a: Tensor, b: Tensor, names: tuple[str, str]) -> None:
    """Raises `ShapeError` where two tables do not have one row for each of the same samples."""
    if a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"{names[0]} has {a.shape[0]} samples and {names[1]} has {b.shape[0]}: "
            "both must come from the same samples, one row each"
        )


def require_bool(value: Tensor, name: str, shape: tuple[int, ...]) -> None:
    """Raises unless `value` is a bool tensor of the given shape."""
    if value.dtype != torch.bool:
        raise DataError(
            f"{name} has dtype {value.dtype}: expected torch.bool, a comparison's result"
        )
    if tuple(value.shape) != shape:
        raise ShapeError(f"{name} has shape {tuple(value.shape)}: expected {list(shape)}")


def numbers(values: ArrayLike | Tensor, name: str) -> NDArray[np.float64]:
    """A finite float64 array with one axis, one number a seed."""
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 1:
        raise ShapeError(f"{name} has shape {array.shape}: expected one axis, one number a seed")
    refuse_non_finite(torch.from_numpy(array), name)
    return array
