"""The truth that a generator states about its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from toysae.errors import ConfigError

#: Tables over all pairs are made up to this many features (134 MB each).
MOST_FEATURES_IN_PAIRS = 4096


@dataclass(frozen=True, eq=False)
class PairMoments:
    """Second-order facts about some features, float64, `[k, k]`.

    Attributes:
        probabilities: probability that both fire; the diagonal holds the marginals.
        products: `E[c_i c_j]`.
        probabilities_error: standard error of `probabilities`; 0 where they are exact.
        products_error: standard error of `products`; 0 where they are exact.
    """

    probabilities: Tensor
    products: Tensor
    probabilities_error: Tensor
    products_error: Tensor

    @classmethod
    def exact(cls, probabilities: Tensor, products: Tensor) -> PairMoments:
        """Moments known in closed form."""
        none = torch.zeros_like(probabilities)
        return cls(probabilities, products, none, none)


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a generator's samples.

    Numbers are exact where a closed form is known; otherwise they are Monte Carlo estimates, which
    the standard errors say.

    Attributes:
        names: one a feature.
        groups: named sets of feature indices.
        marginals: firing probability of each feature, `[n_features]`, float64.
        mean: expected coefficient `E[c_i]`, `[n_features]`, float64.
        square: `E[c_i^2]`, `[n_features]`, float64.
        pair_moments: second-order facts about the features of an index tensor `[k]`.
        marginals_error, mean_error, square_error: standard errors of the above, or None where
            they are exact.
        parents: parent of each feature in the tree, -1 for a root, `[n_features]`; None where
            there is no tree.
    """

    names: Sequence[str]
    groups: Mapping[str, Sequence[int]]
    marginals: Tensor
    mean: Tensor
    square: Tensor
    pair_moments: Callable[[Tensor], PairMoments]
    marginals_error: Tensor | None = None
    mean_error: Tensor | None = None
    square_error: Tensor | None = None
    parents: Tensor | None = None

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.marginals)

    @property
    def exact(self) -> bool:
        """Whether marginals are exact, and not estimates."""
        return self.marginals_error is None

    @property
    def l0(self) -> float:
        """Expected number of features that fire on a sample."""
        return float(self.marginals.sum())

    @cached_property
    def pairs(self) -> PairMoments:
        """Second-order facts about all features.

        Raises:
            ConfigError: more than 4,096 features.
        """
        if self.n_features > MOST_FEATURES_IN_PAIRS:
            raise ConfigError(
                f"a table over the pairs of {self.n_features:,} features: made for up to "
                f"{MOST_FEATURES_IN_PAIRS:,}; ask for the features of interest (pair_moments)"
            )
        return self.pair_moments(torch.arange(self.n_features))

    @property
    def pair_probabilities(self) -> Tensor:
        """Probability that two features fire together, `[n_features, n_features]`."""
        return self.pairs.probabilities

    @property
    def second_moment(self) -> Tensor:
        """`E[c_i c_j]`, `[n_features, n_features]`."""
        return self.pairs.products

    @property
    def covariance(self) -> Tensor:
        """Covariance of the coefficients, `[n_features, n_features]`."""
        return self.second_moment - self.mean[:, None] * self.mean[None, :]


def firing_correlation(probabilities: Tensor) -> Tensor:
    """Phi, the correlation of firing indicators, from pair probabilities.

    Args:
        probabilities: `[k, k]`, marginals on the diagonal.

    Returns:
        `[k, k]` in [-1, 1]; NaN for a feature that never or always fires.
    """
    p = probabilities.diagonal()
    spread = (p * (1 - p)).clamp(min=0).sqrt()
    phi = (probabilities - p[:, None] * p[None, :]) / (spread[:, None] * spread[None, :])
    return torch.where(phi.isfinite(), phi.clamp(-1, 1), torch.nan)
