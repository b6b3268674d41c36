"""Hidden spaces: where features live, as an SAE sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.coefficients import Coefficients
from toysae.hidden.readout import Readout


@dataclass(frozen=True, eq=False)
class HiddenSpace:
    """An affine map from features to hidden activations, noise on it, and what is read off it.

    `h = c F + bias + noise * z` with `z` standard normal, drawn afresh for every sample and
    coordinate.

    Attributes:
        directions: direction `F` of each feature, `[n_features, d]`.
        bias: `[d]`, or None for none.
        noise: standard deviation of the noise on every coordinate, `>= 0`; 0 is none.
        readout: what follows the hidden layer, or None where nothing does.
    """

    directions: Tensor
    bias: Tensor | None = None
    noise: float = 0.0
    readout: Readout | None = None

    @property
    def d_hidden(self) -> int:
        """Dimension of the hidden activations."""
        return self.directions.shape[1]

    def embed(self, coefficients: Coefficients) -> Tensor:
        """Hidden activations `[n, d]` of `n` samples, without noise."""
        hidden = coefficients.combine(self.directions)
        return hidden if self.bias is None else hidden + self.bias

    def observe(self, coefficients: Coefficients, draws: Draws) -> Tensor:
        """Hidden activations `[n, d]` of `n` samples, with the noise of `draws`."""
        hidden = self.embed(coefficients)
        if self.noise == 0:
            return hidden
        return hidden + self.noise * draws.normal("hidden", tuple(hidden.shape))


class HiddenConfig(ABC):
    """A way to make hidden spaces for a generator; implementations are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        """One hidden space a seed; made together, so that a trained one is a stack."""
