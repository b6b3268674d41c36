"""Features that fire where correlated Gaussian latents exceed thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.copula.correlation import Blocks, Correlation
from toysae.generators.copula.gaussian import both_exceed, thresholds_of
from toysae.generators.copula.latents import Latents
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.truth import PairMoments, Truth


@dataclass(frozen=True)
class Correlated(Generator):
    """Feature `i` fires iff `z_i > Phi^-1(1 - p_i)`, for jointly normal `z` (a Gaussian copula).

    Magnitudes are independent of each other and of what else fires.

    Attributes:
        n_features: `>= 1`.
        probability: firing probability of each feature, in [0, 1].
        magnitude: law of how strongly a feature fires.
        correlation: which features correlate, and how much.
        correlation_of: what correlates as stated: `firing`, the firing indicators (phi), for which
            the correlations of the latents are solved; or `latent`, the latents, as in "Sparse but
            wrong" (arXiv 2508.16560) and SAELens, where rare features then fire together far less
            than the number suggests.
    """

    n_features: int = 8
    probability: Profile = profiles.Constant(0.1)
    magnitude: Magnitude = magnitudes.Uniform()
    correlation: Correlation = Blocks()
    correlation_of: str = "firing"

    name: ClassVar[str] = "correlated"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        check_choice("generator.correlation_of", self.correlation_of, ("firing", "latent"))
        self._magnitudes  # noqa: B018  (what is impossible is refused at construction)
        self.latents  # noqa: B018

    @cached_property
    def latents(self) -> Latents:
        """The Gaussian latents, whose correlations are those in use."""
        if self.correlation_of == "latent":
            return self.correlation.of_latents(self._probabilities)
        return self.correlation.of_firings(self._probabilities)

    @cached_property
    def _probabilities(self) -> Tensor:
        return profiles.probabilities("generator.probability", self.probability, self.n_features)

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        return Magnitudes.of(self.magnitude, self.n_features)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        offsets, features = (t.cpu() for t in self.latents.fire(draws, n))
        u = draws.uniform("magnitude", (len(features),)).cpu()
        values = self._magnitudes.at(u, features)
        return SparseCoefficients(offsets, features, values, self.n_features).to(draws.device)

    def truth(self) -> Truth:
        p = self._probabilities
        names = tuple(f"f{i}" for i in range(self.n_features))
        mean, square = p * self._magnitudes.mean, p * self._magnitudes.square
        return Truth(names, {}, p, mean, square, self._pair_moments)

    def _pair_moments(self, features: Tensor) -> PairMoments:
        p = self._probabilities[features]
        together = p[:, None] * p[None, :]
        correlations = self.latents.correlations(features)
        i, j = correlations.nonzero(as_tuple=True)
        i, j = i[i <= j], j[i <= j]
        thresholds = thresholds_of(p)
        joint = both_exceed(thresholds[i], thresholds[j], correlations[i, j])
        together[i, j] = together[j, i] = joint
        same = features[:, None] == features[None, :]
        together = torch.where(same, p, together)
        mean, square = self._magnitudes.mean[features], self._magnitudes.square[features]
        products = together * torch.where(same, square, mean[:, None] * mean[None, :])
        return PairMoments.exact(together, products)
