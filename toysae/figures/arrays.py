"""From what callers have (tensors, arrays, lists) to float64 arrays of a stated shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toysae.errors import ShapeError

Values: TypeAlias = ArrayLike | Tensor
Array: TypeAlias = NDArray[np.float64]


def as_array(values: Values, name: str, *shape: int | str) -> Array:
    """`values` as a float64 array on the CPU, after checking its shape.

    Args:
        values: tensor of any device and dtype, array or nested list.
        name: what the error message calls it.
        *shape: one entry an axis: an exact size, or a letter for any size.

    Raises:
        ShapeError: the number of axes or an exact size differs.
    """
    array = np.asarray(
        values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values,
        dtype=np.float64,
    )
    fits = array.ndim == len(shape) and all(
        isinstance(wanted, str) or wanted == found for wanted, found in zip(shape, array.shape)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in shape)
        raise ShapeError(f"{name} of shape {list(array.shape)}: expected [{wanted}]")
    return array


def check_names(names: Sequence[str], name: str, count: int) -> list[str]:
    """`names` as a list of `count` strings.

    Raises:
        ShapeError: there are more or fewer.
    """
    if len(names) != count:
        raise ShapeError(f"{len(names)} {name}: expected {count}, one for each row drawn")
    return list(names)
