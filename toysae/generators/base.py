"""What a generator of sparse features is, and the truth that it states about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from toysae.draws import Draws


@dataclass(frozen=True)
class Coefficients:
    """How strongly each feature fires on each sample.

    Attributes:
        values: `[n, n_features]`, non-negative; 0 where a feature does not fire.
    """

    values: Tensor

    def dense(self) -> Tensor:
        """`[n, n_features]` as one dense tensor."""
        return self.values


@dataclass(frozen=True)
class Truth:
    """What is true of a generator's samples, exactly.

    Attributes:
        names: one a feature.
        marginals: firing probability of each feature, `[n_features]`, float64.
        pair_probabilities: probability that two features fire together, `[n_features, n_features]`;
            the diagonal holds the marginals.
        mean: expected coefficient, `[n_features]`.
        second_moment: `E[c_i c_j]`, `[n_features, n_features]`.
        groups: named sets of feature indices.
    """

    names: tuple[str, ...]
    marginals: Tensor
    pair_probabilities: Tensor
    mean: Tensor
    second_moment: Tensor
    groups: Mapping[str, tuple[int, ...]]

    @property
    def covariance(self) -> Tensor:
        """Covariance of the coefficients, `[n_features, n_features]`."""
        return self.second_moment - self.mean[:, None] * self.mean[None, :]

    @property
    def l0(self) -> float:
        """Expected number of features that fire on a sample."""
        return float(self.marginals.sum())


class Generator(ABC):
    """A law of which features fire, and how strongly.

    Implementations are frozen dataclasses whose fields are the configuration. What `truth` states
    is what `sample` does.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features."""

    @abstractmethod
    def sample(self, draws: Draws, n: int) -> Coefficients:
        """Coefficients of `n` samples, on the device of `draws`; a function of its key alone."""

    @abstractmethod
    def truth(self) -> Truth:
        """The exact facts about these samples."""
