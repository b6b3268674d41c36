"""Groups of equal size: all features of a group together, or at most one of them.

Groups are independent of each other. Feature `g * size + i` is member `i` of group `g`. With two
features a group, probability `1 - S` and uniform magnitudes, `groups_together` and
`groups_exactly_one` are the correlated and the anticorrelated features of "Toy Models of
Superposition" (Elhage et al., 2022) as Anders et al. (2024) draw them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.blocks import TOLERANCE, Blocks
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.truth import Truth


@dataclass(frozen=True)
class _Groups(Generator):
    """What the three laws below share."""

    n_groups: int = 8
    size: int = 2
    magnitude: Magnitude = magnitudes.Uniform()

    def __post_init__(self) -> None:
        check_at_least("generator.n_groups", self.n_groups, 1)
        check_at_least("generator.size", self.size, 1)
        self._blocks  # noqa: B018  (impossible requests are refused at construction)

    @property
    def n_features(self) -> int:
        return self.n_groups * self.size

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        return self._blocks.sample(draws, n)

    def truth(self) -> Truth:
        names = tuple(f"g{g}_{i}" for g in range(self.n_groups) for i in range(self.size))
        starts = range(0, self.n_features, self.size)
        groups = {f"group_{g}": range(at, at + self.size) for g, at in enumerate(starts)}
        return self._blocks.truth(names, groups)

    @cached_property
    @abstractmethod
    def _blocks(self) -> Blocks:
        """One block a group."""

    def _exclusive(self, marginals: Tensor) -> Blocks:
        """Blocks of which at most one feature fires.

        Args:
            marginals: of each feature, float64, `[n_groups, size]`; at most 1 a group.
        """
        return Blocks(
            patterns=torch.full((self.n_groups,), self.size),
            probabilities=marginals.flatten(),
            sizes=torch.ones(self.n_features, dtype=torch.int64),
            features=torch.arange(self.n_features),
            correlations=torch.zeros(self.n_groups, dtype=torch.float64),
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )


@dataclass(frozen=True)
class GroupsTogether(_Groups):
    """All features of a group fire, or none.

    Attributes:
        n_groups: number of groups, `>= 1`.
        size: features of a group, `>= 1`.
        magnitude: law of how strongly a feature fires.
        probability: that a group fires, one number a group: the marginal of each of its features.
        amplitude_correlation: correlation of the magnitudes of two features of a group, where they
            have one law; in [0, 1]. At 1 they are one number.
    """

    probability: Profile = profiles.Constant(0.1)
    amplitude_correlation: float = 0.0

    name: ClassVar[str] = "groups_together"

    def __post_init__(self) -> None:
        check_interval("generator.amplitude_correlation", self.amplitude_correlation, 0, 1)
        super().__post_init__()

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(
            patterns=torch.ones(self.n_groups, dtype=torch.int64),
            probabilities=profiles.probabilities(
                "generator.probability", self.probability, self.n_groups
            ),
            sizes=torch.full((self.n_groups,), self.size),
            features=torch.arange(self.n_features),
            correlations=torch.full(
                (self.n_groups,), self.amplitude_correlation, dtype=torch.float64
            ),
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )


@dataclass(frozen=True)
class GroupsExactlyOne(_Groups):
    """A group that is on has exactly one feature firing; one that is off has none.

    Attributes:
        n_groups: number of groups, `>= 1`.
        size: features of a group, `>= 1`.
        magnitude: law of how strongly a feature fires.
        probability: that a group is on, one number a group; 1 gives one-hot groups.
        weights: of the members, one number a member, the same in every group, `>= 0`; a group that
            is on chooses in their proportion.
    """

    probability: Profile = profiles.Constant(0.1)
    weights: Profile = profiles.Constant(1.0)

    name: ClassVar[str] = "groups_exactly_one"

    @cached_property
    def _blocks(self) -> Blocks:
        probability = profiles.probabilities(
            "generator.probability", self.probability, self.n_groups
        )
        weights = profiles.numbers("generator.weights", self.weights, self.size)
        if not bool((weights >= 0).all() & (weights > 0).any()):
            raise ConfigError(
                f"generator.weights: found values from {float(weights.min()):.4g} to "
                f"{float(weights.max()):.4g}; must be at least 0, and not all 0"
            )
        return self._exclusive(probability.outer(weights / weights.sum()))


@dataclass(frozen=True)
class GroupsAtMostOne(_Groups):
    """At most one feature of a group fires, each with the marginal that is asked for.

    Attributes:
        n_groups: number of groups, `>= 1`.
        size: features of a group, `>= 1`.
        magnitude: law of how strongly a feature fires.
        probability: of each feature, one number a feature; at most 1 in sum over a group.
    """

    probability: Profile = profiles.Constant(0.1)

    name: ClassVar[str] = "groups_at_most_one"

    @cached_property
    def _blocks(self) -> Blocks:
        marginals = profiles.probabilities(
            "generator.probability", self.probability, self.n_features
        ).reshape(self.n_groups, self.size)
        busiest, group = marginals.sum(1).max(0)
        if busiest > 1 + TOLERANCE:
            raise ConfigError(
                f"generator.probability: group {int(group)} sums to {float(busiest):.4g}; its "
                "features exclude each other, so it can sum to at most 1 (equal ones: at most "
                f"{1 / self.size:.4g} each)"
            )
        return self._exclusive(marginals)
