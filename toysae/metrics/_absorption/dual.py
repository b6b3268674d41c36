"""Vectors that read single features out of their sums."""

from __future__ import annotations

import torch
from torch import Tensor


def dual_vectors(features: Tensor) -> Tensor:
    """Rows of `pinv(F)^T`, `[n, d]`: `<f_i, f_j^dual>` is 1 for `i = j` and 0 else.

    So where features are linearly independent; where they are not, the nearest to it. Reading a
    feature with its own direction instead counts the interference of the others.
    """
    return torch.linalg.pinv(features).T
