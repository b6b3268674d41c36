"""Least squares of many targets on one set of columns."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.diagnostics._column_space import ColumnSpace


def least_squares(space: ColumnSpace, targets: Tensor) -> Tensor:
    """The shortest of the coefficient vectors that fit each target best, `[k, targets]`.

    Args:
        space: decomposed columns.
        targets: `[N, targets]`, about the same origin as the columns.
    """
    explained = space.left.T @ targets
    solution = space.right @ (explained / space.singular_values[:, None]) / space.units[:, None]
    null = torch.linalg.qr(space.null / space.units[:, None]).Q
    return solution - null @ (null.T @ solution)
