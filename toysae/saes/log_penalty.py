"""ReLU SAE with a logarithmic penalty: `phi(u) = log(1 + u / epsilon)` in `toysae.saes.rectified`.

The penalty of Candes, Wakin and Boyd, "Enhancing sparsity by reweighted l1 minimization" (2008).
The gradient `1 / (epsilon + u)` is that of an L1 penalty whose weight falls with the activation.
For activations far below `epsilon` it is L1 with factor `sparsity / epsilon`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_positive
from toysae.saes.rectified import ConcavePenalty


@dataclass(frozen=True)
class Log(ConcavePenalty):
    """ReLU SAE with logarithmic penalty.

    Attributes:
        epsilon: activation up to which the penalty is about linear, `> 0`.
    """

    epsilon: float = 0.1

    name: ClassVar[str] = "log"
    penalty_name: ClassVar[str] = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sae.epsilon", self.epsilon)

    def penalty_parameter(self, progress: Tensor) -> Tensor:
        return torch.full_like(progress, self.epsilon)

    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        return torch.log1p(activations / parameter)
