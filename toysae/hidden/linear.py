"""What hidden spaces with given unit directions share: bias, noise and readout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from toysae.checks import check_at_least
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig, HiddenSpace
from toysae.hidden.readout import ReadoutConfig


@dataclass(frozen=True)
class LinearHidden(HiddenConfig):
    """Unit feature directions in a space of `d_hidden` dimensions; everything drawn by the seed.

    Spaces are drawn on the CPU: the same on every device.

    Attributes:
        d_hidden: dimension, `>= 1`.
        bias_norm: norm of a bias in a random direction, `>= 0`; 0 is no bias.
        noise: standard deviation of Gaussian noise on every coordinate of every sample, `>= 0`.
        readout: outputs that follow, or null for none.
    """

    d_hidden: int = 4
    bias_norm: float = 0.0
    noise: float = 0.0
    readout: ReadoutConfig | None = None

    def __post_init__(self) -> None:
        check_at_least("hidden.d_hidden", self.d_hidden, 1)
        check_at_least("hidden.bias_norm", self.bias_norm, 0)
        check_at_least("hidden.noise", self.noise, 0)
        if self.readout is not None:
            self.readout.resolved_rank(self.d_hidden)

    @abstractmethod
    def directions(self, n_features: int, draws: Draws) -> Tensor:
        """Unit directions `[n_features, d_hidden]` of one space.

        Raises:
            ConfigError: this geometry has no room for so many features.
        """

    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        """One space a seed, whatever the company.

        Raises:
            ConfigError: this geometry has no room for the generator's features.
        """
        return [
            self._space(generator.n_features, Draws(seed, ("hidden",)), device) for seed in seeds
        ]

    def _space(self, n_features: int, draws: Draws, device: torch.device) -> HiddenSpace:
        bias = readout = None
        if self.bias_norm > 0:
            direction = normalize(draws.normal("bias", (self.d_hidden,)), dim=0)
            bias = (self.bias_norm * direction).to(device)
        if self.readout is not None:
            readout = self.readout.readout(self.d_hidden, draws).to(device)
        directions = self.directions(n_features, draws).to(device)
        return HiddenSpace(directions, bias, self.noise, readout)
