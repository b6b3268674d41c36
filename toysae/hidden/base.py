"""Hidden spaces: where features live, as an SAE sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.generators.base import Generator
from toysae.generators.coefficients import Coefficients


@dataclass(frozen=True, eq=False)
class HiddenSpace:
    """A linear map from features to hidden activations.

    Attributes:
        directions: direction of each feature, `[n_features, d]`.
    """

    directions: Tensor

    @property
    def d_hidden(self) -> int:
        """Dimension of the hidden activations."""
        return self.directions.shape[1]

    def embed(self, coefficients: Coefficients) -> Tensor:
        """Hidden activations `[n, d]` of `n` samples."""
        return coefficients.combine(self.directions)


class HiddenConfig(ABC):
    """A way to make hidden spaces for a generator; implementations are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        """One hidden space a seed; made together, so that a trained one is a stack."""
