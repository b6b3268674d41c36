"""ReLU SAE with an L1 penalty on its latents: `phi(u) = u` in `toysae.saes.rectified`.

The penalty is that of Sharkey, Braun and Millidge, "Taking features out of superposition with
sparse autoencoders" (2022), summed over latents and averaged over samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from toysae.checks import check_at_least
from toysae.saes.rectified import Rectified


@dataclass(frozen=True)
class ReLU(Rectified):
    """ReLU SAE with L1 penalty.

    Attributes:
        l1: factor of the penalty, `>= 0`. May differ between members of a stack.
    """

    l1: float = 0.1

    name: ClassVar[str] = "relu"
    penalty_name: ClassVar[str] = "l1"
    member_fields: ClassVar[tuple[str, ...]] = (*Rectified.member_fields, "l1")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.l1", self.l1, 0)

    @property
    def coefficient(self) -> float:
        return self.l1

    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        return activations
