"""Eigenvalues and eigenvectors of a matrix of second moments."""

from __future__ import annotations

import torch
from torch import Tensor


def spectrum_of(moments: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues `[d]`, descending, and eigenvectors as rows `[d, d]`.

    Args:
        moments: `[d, d]`, symmetric.
        size: larger side of the data; eigenvalues below `size` roundings of the largest are 0.
    """
    eigenvalues, vectors = torch.linalg.eigh(moments)
    eigenvalues, vectors = eigenvalues.flip(0), vectors.flip(1)
    noise = eigenvalues[0] * size * torch.finfo(torch.float64).eps
    return torch.where(eigenvalues > noise, eigenvalues, 0.0), vectors.T.contiguous()
