"""A few features with an explicit law: which of them fire together, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from toysae.checks import check_at_least, check_interval
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.blocks import TOLERANCE, Blocks
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.truth import Truth


@dataclass(frozen=True)
class JointTable(Generator):
    """Patterns of features with the probability of each.

    The default has `P(f0) = 0.25`, `P(f1 | f0) = 0.2` and `P(f1 | not f0) = 0.1`, a toy of feature
    hedging (Chanin et al., arXiv 2505.11756): `f0` alone 0.2, both 0.05, `f1` alone 0.075.

    Attributes:
        n_features: `>= 1`.
        patterns: each a list of the features that fire, and no other does. What is not listed
            does not happen; that nothing fires is not listed.
        probabilities: of each pattern; what they leave to 1 is the probability that nothing fires.
        amplitude_correlation: correlation of the magnitudes of two features that both fire, where
            they have one law; in [0, 1]. At 1 they are one number.
        magnitude: law of how strongly a feature fires.
    """

    n_features: int = 2
    patterns: tuple[tuple[int, ...], ...] = ((0,), (0, 1), (1,))
    probabilities: tuple[float, ...] = (0.2, 0.05, 0.075)
    amplitude_correlation: float = 0.0
    magnitude: Magnitude = magnitudes.Uniform()

    name: ClassVar[str] = "joint_table"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        check_interval("generator.amplitude_correlation", self.amplitude_correlation, 0, 1)
        self._check_patterns()
        self._blocks  # noqa: B018  (bad probabilities and magnitudes are refused at construction)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        return self._blocks.sample(draws, n)

    def truth(self) -> Truth:
        return self._blocks.truth(tuple(f"f{i}" for i in range(self.n_features)), {})

    @cached_property
    def _blocks(self) -> Blocks:
        table = profiles.Array(self.probabilities)
        probabilities = profiles.probabilities(
            "generator.probabilities", table, len(self.probabilities)
        )
        if float(probabilities.sum()) > 1 + TOLERANCE:
            raise ConfigError(
                f"generator.probabilities: sum to {float(probabilities.sum()):.6g}; patterns "
                "exclude each other, so they can sum to at most 1"
            )
        return Blocks(
            patterns=torch.tensor([len(self.patterns)]),
            probabilities=probabilities,
            sizes=torch.tensor([len(pattern) for pattern in self.patterns], dtype=torch.int64),
            features=torch.tensor([f for p in self.patterns for f in p], dtype=torch.int64),
            correlations=torch.tensor([self.amplitude_correlation], dtype=torch.float64),
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )

    def _check_patterns(self) -> None:
        if len(self.patterns) != len(self.probabilities):
            raise ConfigError(
                f"generator.probabilities: found {len(self.probabilities)} for "
                f"{len(self.patterns)} generator.patterns; give one each"
            )
        seen = set()
        for k, pattern in enumerate(self.patterns):
            key, found = f"generator.patterns[{k}]", list(pattern)
            if not pattern:
                raise ConfigError(
                    f"{key} = []: leave it out; what the others leave to 1 is its probability"
                )
            if not all(0 <= feature < self.n_features for feature in pattern):
                raise ConfigError(
                    f"{key} = {found}: features must be 0 to {self.n_features - 1} "
                    "(generator.n_features)"
                )
            if len(set(pattern)) < len(pattern):
                raise ConfigError(f"{key} = {found}: must hold each feature at most once")
            if frozenset(pattern) in seen:
                raise ConfigError(f"{key} = {found}: is listed before; add the probabilities up")
            seen.add(frozenset(pattern))
