"""What every diagnostic accepts: finite tensors or arrays, computed with in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toysae.errors import ConfigError, DataError, ShapeError

ArrayLike = Tensor | np.ndarray


def as_tensor(values: ArrayLike) -> Tensor:
    """`values` in the type that they are stored in, without a gradient."""
    # The copy keeps torch from warning about read-only arrays such as memory maps.
    return values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.array(values))


def as_matrix(values: ArrayLike, name: str) -> Tensor:
    """`values` as a finite float64 matrix with at least one row and one column."""
    matrix = as_tensor(values).to(torch.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ShapeError(f"{name} of shape {tuple(matrix.shape)}: expected a non-empty matrix")
    return _finite(matrix, name)


def as_vector(values: ArrayLike, name: str, length: int) -> Tensor:
    """`values` as a finite float64 vector of the given length."""
    return _finite(_of_length(values, name, length), name)


def as_raw_vector(values: ArrayLike, name: str, length: int) -> Tensor:
    """`values` as a float64 vector of the given length, in which NaN says undefined."""
    vector = _of_length(values, name, length)
    if bool(vector.isinf().any()):
        raise DataError(f"{name} holds infinite values: NaN says that a value is undefined")
    return vector


def n_values(values: ArrayLike, name: str) -> int:
    """Length of `values`, which must have one axis."""
    given = as_tensor(values)
    if given.ndim != 1:
        raise ShapeError(f"{name} of shape {tuple(given.shape)}: expected one axis")
    return len(given)


def as_standard_errors(values: ArrayLike, length: int) -> Tensor:
    """Float64 `[length]` of at least 0: NaN says undefined, infinity that nothing is known."""
    errors = _of_length(values, "standard_errors", length)
    if bool((errors < 0).any()):
        raise DataError(
            f"standard_errors down to {float(errors.nan_to_num().min()):g}: expected at least 0"
        )
    return errors


def as_spectrum(eigenvalues: Tensor) -> Tensor:
    """`eigenvalues` as a finite float64 vector of at least one number, none of them negative."""
    spectrum = as_tensor(eigenvalues).to(torch.float64)
    if spectrum.ndim != 1 or len(spectrum) == 0:
        raise ShapeError(
            f"eigenvalues of shape {tuple(spectrum.shape)}: expected one axis with at least one"
        )
    if bool((_finite(spectrum, "eigenvalues") < 0).any()):
        raise DataError(
            f"eigenvalues down to {float(spectrum.min()):g}: expected variances, at least 0; set "
            "what is below by rounding to 0"
        )
    return spectrum


def as_numbers_between(values: ArrayLike, name: str, low: float, high: float) -> Tensor:
    """`values` as a float64 vector of any length, all of them from `low` to `high`."""
    given = as_tensor(values)
    if given.ndim != 1:
        raise ShapeError(f"{name} of shape {tuple(given.shape)}: expected one axis, such as [0.1]")
    chosen = as_vector(given, name, len(given))
    if bool(((chosen < low) | (chosen > high)).any()):
        raise ConfigError(f"{name}={chosen.tolist()}: allowed are values from {low:g} to {high:g}")
    return chosen


def as_directions(values: ArrayLike, d_hidden: int) -> Tensor:
    """Rows of `values [k, d_hidden]` at unit length; a zero row becomes NaN."""
    rows = as_matrix(values, "directions")
    if rows.shape[1] != d_hidden:
        raise ShapeError(f"directions of shape {tuple(rows.shape)}: expected [k, {d_hidden}]")
    return rows / rows.norm(dim=1, keepdim=True)


def resolution(values: ArrayLike) -> float:
    """Relative rounding error of the numbers in `values`, from the type they are stored in."""
    dtype = as_tensor(values).dtype
    return torch.finfo(dtype if dtype.is_floating_point else torch.float64).eps


def center(values: Tensor) -> tuple[Tensor, Tensor]:
    """`values [N, ...]` minus their mean over samples, and that mean.

    Shifting by the first sample before makes a constant column exactly zero, whatever its value.
    """
    shifted = values - values[0]
    mean = shifted.mean(0)
    return shifted - mean, values[0] + mean


def _of_length(values: ArrayLike, name: str, length: int) -> Tensor:
    vector = as_tensor(values).to(torch.float64)
    if vector.shape != (length,):
        raise ShapeError(f"{name} of shape {tuple(vector.shape)}: expected [{length}]")
    return vector


def _finite(values: Tensor, name: str) -> Tensor:
    if not torch.isfinite(values).all():
        raise DataError(f"{name} holds NaN or infinite values: drop or repair them first")
    return values
