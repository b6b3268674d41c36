"""ReLU SAE with an approximation of L0: `phi(u) = u / (u + epsilon)` in `toysae.saes.rectified`.

Farrell, "Experiments with an alternative method to promote sparsity in sparse autoencoders" (2024).
The penalty counts activations well above `epsilon` as one, and is L1 with factor
`sparsity / epsilon` far below. `epsilon` falls in steps during training, so that the count grows
sharper; the default is the schedule of neverix's saex, whose `recip` penalty follows Farrell: 0.2
until 10,000 steps, 0.1 until 20,000, 0.05 until the end at 100,000.

Farrell combines it with the term `toysae.saes.terms.frequency_shortfall`, against dead latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_positive
from toysae.errors import ConfigError
from toysae.saes.rectified import ConcavePenalty


@dataclass(frozen=True)
class L0(ConcavePenalty):
    """ReLU SAE with approximate L0 penalty.

    Attributes:
        epsilons: the activations that count as half a firing, one after the other, each `> 0`.
        epsilons_from: fraction of the training from which each holds: begins with 0, rises, and
            stays below 1.
    """

    epsilons: tuple[float, ...] = (0.2, 0.1, 0.05)
    epsilons_from: tuple[float, ...] = (0.0, 0.1, 0.2)

    name: ClassVar[str] = "l0"
    penalty_name: ClassVar[str] = "l0"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epsilons or len(self.epsilons) != len(self.epsilons_from):
            raise ConfigError(
                f"sae.epsilons has {len(self.epsilons)} values and sae.epsilons_from has "
                f"{len(self.epsilons_from)}: give one fraction for each epsilon, at least one"
            )
        for i, epsilon in enumerate(self.epsilons):
            check_positive(f"sae.epsilons[{i}]", epsilon)
        starts = (*self.epsilons_from, 1.0)
        if starts[0] != 0 or not all(a < b for a, b in pairwise(starts)):
            raise ConfigError(
                f"sae.epsilons_from = {list(self.epsilons_from)}: must begin with 0, rise, and "
                "stay below 1"
            )

    def penalty_parameter(self, progress: Tensor) -> Tensor:
        epsilon = torch.full_like(progress, self.epsilons[0])
        for value, start in zip(self.epsilons[1:], self.epsilons_from[1:]):
            epsilon = epsilon.masked_fill(progress >= start, value)
        return epsilon

    def phi(self, activations: Tensor, parameter: Tensor) -> Tensor:
        return activations / (activations + parameter)
