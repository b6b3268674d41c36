"""Rotations and frames without a preferred direction (Haar measure)."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.draws import Draws


def rotation(draws: Draws, d: int) -> Tensor:
    """A random rotation or reflection of `d` dimensions, `[d, d]`."""
    return _orthonormal_columns(draws.normal("rotation", (d, d)))


def frame(draws: Draws, name: str, n: int, d: int) -> Tensor:
    """`n` random orthonormal rows of `d` dimensions, `n <= d`, `[n, d]`."""
    return _orthonormal_columns(draws.normal(name, (d, n))).T


def _orthonormal_columns(gaussian: Tensor) -> Tensor:
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal().sign()
