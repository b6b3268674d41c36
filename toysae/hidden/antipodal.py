"""Two features an axis: what toy models learn for features that exclude each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.hidden.haar import rotation
from toysae.hidden.linear import LinearHidden


@dataclass(frozen=True)
class Antipodal(LinearHidden):
    """Features `2k` and `2k + 1` are `+f` and `-f` along orthonormal axes, rotated by the seed.

    The exact form of the storage that Elhage et al. (2022, "Toy Models of Superposition") and
    Anders et al. (2024) report. Of an odd number of features, the last has its axis alone.

    Attributes:
        d_hidden: dimension, at least half the number of features.
        bias_norm, noise, readout: as of `LinearHidden`.
    """

    d_hidden: int = 2

    name: ClassVar[str] = "antipodal"

    def directions(self, n_features: int, draws: Draws) -> Tensor:
        axes = (n_features + 1) // 2
        if self.d_hidden < axes:
            raise ConfigError(
                f"hidden.d_hidden = {self.d_hidden}: antipodal pairs of {n_features} features "
                f"need at least {axes} dimensions"
            )
        sign = 1 - 2 * (torch.arange(n_features) % 2)
        pairs = rotation(draws, self.d_hidden)[:axes].repeat_interleave(2, dim=0)
        return sign[:, None] * pairs[:n_features]
