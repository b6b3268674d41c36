"""ReLU SAE with a saturating penalty: `phi(u) = tanh(scale u)` in `toysae.saes.rectified`.

Jermyn, Templeton, Batson and Bricken, "Tanh penalty in dictionary learning", in "Circuits Updates -
February 2024", Anthropic, where `scale` is 1. The gradient `scale / cosh^2(scale u)` vanishes for
large activations: they are counted, not shrunk. They report better error and L0 than with L1, and
features that are harder to interpret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_positive
from toysae.saes.rectified import ConcavePenalty


@dataclass(frozen=True)
class Tanh(ConcavePenalty):
    """ReLU SAE with tanh penalty.

    Attributes:
        scale: one over the activation from which on the penalty saturates, `> 0`.
    """

    scale: float = 1.0

    name: ClassVar[str] = "tanh"
    penalty_name: ClassVar[str] = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sae.scale", self.scale)

    def penalty_parameter(self, progress: Tensor) -> Tensor:
        return torch.full_like(progress, self.scale)

    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        return torch.tanh(parameter * activations)
