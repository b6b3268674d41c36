"""Dictionaries whose agreement is known by hand."""

from __future__ import annotations

import math

import numpy as np
import torch

from .draw import tensor

# Two copies of one vector, against the vector and its opposite.
TWICE, OPPOSITE = tensor([[1], [1]]), tensor([[1], [-1]])

# Four vectors around the first of four orthogonal ones, in eight dimensions.
_AXES = torch.eye(8, dtype=torch.float64)
LOCAL, END_TO_END = 0.9 * _AXES[0] + math.sqrt(0.19) * _AXES[1:5], _AXES[[0, 5, 6, 7]]

# Cosines [[.6, -1, 0], [.96, -.8, 3/13], [0, 0, 12/13], [.36, -.6, 9.6/13]].
FOUR = tensor([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0.6, 0, 0.8]])
THREE = tensor([[3, 4, 0], [-2, 0, 0], [0, 5, 12]])

# Cosines [[.9, .8], [.85, .1]]: taking .9 first leaves .1.
_GIVEN_UP = torch.from_numpy(
    np.linalg.cholesky(
        [[1, 0.6, 0.9, 0.8], [0.6, 1, 0.85, 0.1], [0.9, 0.85, 1, 0.55], [0.8, 0.1, 0.55, 1]]
    )
)
FIRST_GIVEN_UP = _GIVEN_UP[:2], _GIVEN_UP[2:]
