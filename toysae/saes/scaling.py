"""Scaling of activations before an SAE reads them, undone on what it reconstructs.

The kinds of SAELens (`normalize_activations`), each a frozen dataclass with one method. All of them
are affine on every sample: what `scale` divided by and subtracted, `Scaled.undo` puts back.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.checks import check_positive

LAYER_NORM_EPSILON = 1e-5


class Scaled(NamedTuple):
    """Scaled activations and the way back.

    Attributes:
        x: what the SAE reads, of the shape of the input.
        factor: undoing multiplies by it; broadcasts against `x`.
        offset: undoing then adds it; broadcasts against `x`.
    """

    x: Tensor
    factor: Tensor
    offset: Tensor

    def undo(self, reconstruction: Tensor) -> Tensor:
        """`reconstruction * factor + offset`: from the scaled space to that of the input."""
        return reconstruction * self.factor + self.offset


class Scaling(ABC):
    """A rule that scales every activation vector by itself."""

    @abstractmethod
    def scale(self, x: Tensor) -> Scaled:
        """Scale activations `x [..., d]` along the last axis."""


@dataclass(frozen=True)
class NoScaling(Scaling):
    """Activations as they are (SAELens: `none`)."""

    def scale(self, x: Tensor) -> Scaled:
        """`x` itself."""
        return Scaled(x, x.new_ones(()), x.new_zeros(()))


@dataclass(frozen=True)
class LayerNorm(Scaling):
    """`(x - mean) / (std + 1e-5)` for each vector, `std` unbiased (SAELens: `layer_norm`).

    Undone with `std` alone, as in SAELens. A constant vector is read as 0 and reconstructed as its
    mean.
    """

    def scale(self, x: Tensor) -> Scaled:
        """Mean 0 and (up to the 1e-5) unbiased standard deviation 1 along the last axis."""
        mean = x.mean(dim=-1, keepdim=True)
        std = x.std(dim=-1, keepdim=True)
        return Scaled((x - mean) / (std + LAYER_NORM_EPSILON), std, mean)


@dataclass(frozen=True)
class ConstantNorm(Scaling):
    """`sqrt(d) x / ||x||` for each vector (SAELens: `constant_norm_rescale`).

    A zero vector is read as 0 and reconstructed as 0 (SAELens: NaN).
    """

    def scale(self, x: Tensor) -> Scaled:
        """Norm `sqrt(d)` along the last axis."""
        factor = x.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        scaled = torch.where(factor == 0, torch.zeros_like(x), x / factor)
        return Scaled(scaled, factor, torch.zeros_like(factor))


@dataclass(frozen=True)
class ConstantFactor(Scaling):
    """`factor * x`, one factor for all vectors (SAELens: `expected_average_only_in`).

    With `factor = sqrt(d) / E||x||` over the training activations the average vector gets norm
    `sqrt(d)`: "Circuits Updates - April 2024", Anthropic.

    Attributes:
        factor: greater than 0.

    Raises:
        ConfigError: `factor` is not greater than 0.
    """

    factor: float

    def __post_init__(self) -> None:
        check_positive("scaling.factor", self.factor)

    def scale(self, x: Tensor) -> Scaled:
        """`factor * x`."""
        return Scaled(x * self.factor, x.new_tensor(1 / self.factor), x.new_zeros(()))
