"""What dense and sparse columns share where they are taken block by block."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.errors import ConfigError


def check_threshold(threshold: float) -> None:
    """Raises `ConfigError` for what is no threshold of an absolute correlation."""
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold={threshold}: allowed are values from 0 to below 1")


def shifted_inverse(block: Tensor, shift: float) -> Tensor:
    """Diagonal of `(B - shift)⁻¹`; infinite where that is not positive definite."""
    eigenvalues, vectors = torch.linalg.eigh(block)
    left = eigenvalues - shift
    if bool((left <= len(block) * torch.finfo(torch.float64).eps).any()):
        return torch.full_like(eigenvalues, torch.inf)
    return (vectors.square() / left).sum(1)
