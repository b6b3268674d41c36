"""Features that fire independently of each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from toysae.checks import check_at_least
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.blocks import Blocks
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.truth import Truth


@dataclass(frozen=True)
class Independent(Generator):
    """Each feature fires with its own probability, whatever the others do.

    The cost of sampling grows with what fires: a million features are no slower than a hundred of
    the same expected L0. (Elhage et al., "Toy Models of Superposition", 2022, have it with one
    probability for all and uniform magnitudes.)

    Attributes:
        n_features: `>= 1`.
        probability: firing probability of each feature, in [0, 1].
        magnitude: law of how strongly a feature fires.
    """

    n_features: int = 128
    probability: Profile = profiles.Constant(0.1)
    magnitude: Magnitude = magnitudes.Uniform()

    name: ClassVar[str] = "independent"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        self._blocks  # noqa: B018  (bad profiles are refused at construction)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        return self._blocks.sample(draws, n)

    def truth(self) -> Truth:
        return self._blocks.truth(tuple(f"f{i}" for i in range(self.n_features)), {})

    @cached_property
    def _blocks(self) -> Blocks:
        one_each = torch.ones(self.n_features, dtype=torch.int64)
        return Blocks(
            patterns=one_each,
            probabilities=profiles.probabilities(
                "generator.probability", self.probability, self.n_features
            ),
            sizes=one_each,
            features=torch.arange(self.n_features),
            correlations=torch.zeros(self.n_features, dtype=torch.float64),
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )
