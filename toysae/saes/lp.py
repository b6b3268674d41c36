"""ReLU SAE with an L_p penalty, `0 < p <= 1`; `p = 1/2` is the square root.

    phi(u) = u^p                for u >= delta = 1e-6
    phi(u) = u delta^(p - 1)    for u <  delta

in `toysae.saes.rectified`. The gradient of `u^p` is infinite at 0; the chord below `delta` (the
default of `trainer.fire_threshold`, below which a latent does not count as firing) keeps it at most
`delta^(p - 1)`. A silent latent has penalty 0 and gradient 0.

The square root is that of Riggs and Brinkmann, "Improving SAE's by Sqrt()-ing L1 & Removing Lowest
Activating Features" (2024). The powers are summed over latents; `lp_norm` of SAELens is the norm
`(sum_j u_j^p)^(1/p)` of a sample instead, which is the same for `p = 1` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_interval, check_positive
from toysae.saes.rectified import ConcavePenalty

#: `delta`: below it the penalty is a straight line.
SMALLEST = 1e-6


@dataclass(frozen=True)
class Lp(ConcavePenalty):
    """ReLU SAE with L_p penalty.

    Attributes:
        p: exponent, in (0, 1].
    """

    p: float = 0.5

    name: ClassVar[str] = "lp"
    penalty_name: ClassVar[str] = "lp"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sae.p", self.p)
        check_interval("sae.p", self.p, 0, 1)

    def penalty_parameter(self, progress: Tensor) -> Tensor:
        return torch.full_like(progress, self.p)

    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        return activations * activations.clamp_min(SMALLEST) ** (parameter - 1)
