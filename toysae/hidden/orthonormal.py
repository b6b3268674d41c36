"""Every feature has a dimension of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.hidden.haar import rotation
from toysae.hidden.linear import LinearHidden


@dataclass(frozen=True)
class Orthonormal(LinearHidden):
    """Orthonormal feature directions, randomly rotated (Haar measure) by the seed.

    Attributes:
        d_hidden: dimension, at least the number of features.
        bias_norm, noise, readout: as of `LinearHidden`.
    """

    name: ClassVar[str] = "orthonormal"

    def directions(self, n_features: int, draws: Draws) -> Tensor:
        if self.d_hidden < n_features:
            raise ConfigError(
                f"hidden.d_hidden = {self.d_hidden}: orthonormal directions for "
                f"{n_features} features need at least {n_features} dimensions"
            )
        return rotation(draws, self.d_hidden)[:n_features]
