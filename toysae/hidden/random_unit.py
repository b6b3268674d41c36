"""Features in superposition, left to chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import normalize

from toysae.draws import Draws
from toysae.hidden.linear import LinearHidden


@dataclass(frozen=True)
class RandomUnit(LinearHidden):
    """Independent directions, uniform on the unit sphere; any number of them.

    Cosines of two have mean 0 and variance `1 / d_hidden`. The directions of the first features do
    not depend on how many follow.

    Attributes:
        d_hidden, bias_norm, noise, readout: as of `LinearHidden`.
    """

    name: ClassVar[str] = "random"

    def directions(self, n_features: int, draws: Draws) -> Tensor:
        return random_unit(n_features, self.d_hidden, draws)


def random_unit(n: int, d: int, draws: Draws) -> Tensor:
    """Independent directions, uniform on the unit sphere, `[n, d]`."""
    return normalize(draws.normal("directions", (n, d)), dim=1)
