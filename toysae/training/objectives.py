"""What reconstructions are for: the activations themselves, or what follows them.

Braun, Taylor, Goldowsky-Dill and Sharkey, "Identifying functionally important features with
end-to-end sparse dictionary learning" (2024, arXiv 2405.12241), in a hidden space with a readout
`y = act(h A + b)`. Sums over outputs and dimensions, means over samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from toysae.hidden.base import HiddenSpace
from toysae.training.trainer import Trainer


class Objective(ABC):
    """The error of a reconstruction."""

    @abstractmethod
    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Error of each sample, `[M, n]`.

        Args:
            x: hidden activations `[M or 1, n, d]`.
            reconstruction: `[M, n, d]`.
        """


class Local(Objective):
    """`||x_hat - x||^2`."""

    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        return (reconstruction - x).square().sum(-1)


def build_objective(trainer: Trainer, spaces: Sequence[HiddenSpace]) -> Objective:
    """The objective of a stack whose members live in `spaces`."""
    return Local()
