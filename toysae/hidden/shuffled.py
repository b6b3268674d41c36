"""A hidden space without features: every coordinate as it is, and none with another.

Each coordinate of the hidden activations is permuted over the samples of a block, by itself. Its
distribution stays and all dependence between coordinates goes. An SAE trained on it is a null: what
it finds is not in the data.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from toysae.draws import Draws
from toysae.generators.coefficients import Coefficients
from toysae.hidden.base import HiddenSpace


@dataclass(frozen=True, eq=False)
class Shuffled(HiddenSpace):
    """A hidden space whose observations are shuffled, coordinate by coordinate.

    `embed` still says where the features lie, and directions stay those of the world: SAEs that
    were trained on shuffled samples are measured on samples that are not.
    """

    def observe(self, coefficients: Coefficients, draws: Draws) -> Tensor:
        """Hidden activations `[n, d]` of `n` samples with noise, each column in its own order."""
        hidden = super().observe(coefficients, draws)
        order = draws.uniform("shuffle", tuple(hidden.shape)).argsort(dim=0)
        return hidden.gather(0, order)


def shuffled(space: HiddenSpace) -> Shuffled:
    """The same space, shuffled."""
    return Shuffled(space.directions, space.bias, space.noise, space.readout)
