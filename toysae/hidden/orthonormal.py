"""Every feature has a dimension of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from toysae.checks import check_at_least
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig, HiddenSpace


@dataclass(frozen=True)
class Orthonormal(HiddenConfig):
    """Orthonormal feature directions, randomly rotated (Haar measure) by the seed.

    Attributes:
        d_hidden: dimension, at least the number of features.
    """

    d_hidden: int = 4

    name: ClassVar[str] = "orthonormal"

    def __post_init__(self) -> None:
        check_at_least("hidden.d_hidden", self.d_hidden, 1)

    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        """One rotation a seed.

        Raises:
            ConfigError: more features than dimensions.
        """
        if self.d_hidden < generator.n_features:
            raise ConfigError(
                f"hidden.d_hidden = {self.d_hidden}: orthonormal directions for "
                f"{generator.n_features} features need at least {generator.n_features} dimensions"
            )
        return [
            HiddenSpace(self._rotation(seed)[: generator.n_features].to(device)) for seed in seeds
        ]

    def _rotation(self, seed: int) -> torch.Tensor:
        gaussian = Draws(seed, ("hidden",)).normal("rotation", (self.d_hidden, self.d_hidden))
        q, r = torch.linalg.qr(gaussian)
        return q * r.diagonal().sign()
