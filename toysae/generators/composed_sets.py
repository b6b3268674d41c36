"""Sets of one-hot features, composed: the world of Anders et al. (2024), for any number of sets.

"Sparse autoencoders find composed features in small toy models", Anders, Neo, Hoelscher-Obermaier
and Howard, March 2024. A sample holds exactly one feature of each set or, in a fraction of samples,
one feature alone. There, two sets x and y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import (
    Coefficients,
    DenseCoefficients,
    SparseCoefficients,
)
from toysae.generators.sets.boosted_tables import Pair
from toysae.generators.sets.composed_outcomes import Outcomes
from toysae.generators.sets.projections import projection_kurtosis
from toysae.generators.sets.set_blocks import Block, blocks_of, frozen_table, frozen_weights
from toysae.generators.truth import PairMoments, Truth

#: Up to this many features, coefficients are drawn as a tensor, else as a list of firings.
_MOST_DENSE_FEATURES = 64


@dataclass(frozen=True)
class ComposedSets(Generator):
    """One feature of each set: `sizes[0]` of the first to choose from, `sizes[1]` of the second...

    The amplitude of the first set is `a ~ U(0, 1)`, that of every other one `(1 - f) b + f a` with
    a `b ~ U(0, 1)` of its own, `f = amplitude_correlation`: 0 is independent, 1 is shared. A
    feature that is alone has amplitude `U(0, 1)`.

    Features are called x1, x2, ... and y1, y2, ... where there are two sets; otherwise s1_1, s1_2,
    ... in the first, s2_1, ... in the second and so on.

    Attributes:
        sizes: number of features in each set, each `>= 1`.
        weights: probabilities of the members of each set, where sets are independent; a list a set,
            each summing to 1. Null is uniform.
        table: joint probabilities, lists nested as deep as there are sets, summing to 1; instead
            of `weights`. Null is independent sets.
        boosted_pairs: names of features of two different sets that fire together more often, such
            as `[[x1, y1]]`.
        boost: of those pairs, in [0, 1]: 0 leaves the table, at 1 they co-occur as often as
            marginals allow. Marginals are kept (`boosted_tables.boost_pairs`).
        one_hot_fraction: fraction of samples that hold a single feature, each of all features
            equally likely; in [0, 1].
        amplitude_correlation: `f` above, in [0, 1].
    """

    sizes: tuple[int, ...] = (2, 2)
    weights: tuple[tuple[float, ...], ...] | None = None
    table: Any = None
    boosted_pairs: tuple[tuple[str, ...], ...] = ()
    boost: float = 0.0
    one_hot_fraction: float = 0.0
    amplitude_correlation: float = 0.0

    name: ClassVar[str] = "composed_sets"

    def __post_init__(self) -> None:
        if not self.sizes:
            raise ConfigError("generator.sizes: is empty; give the size of at least one set")
        for size in self.sizes:
            check_at_least("generator.sizes", size, 1)
        check_interval("generator.amplitude_correlation", self.amplitude_correlation, 0, 1)
        check_interval("generator.one_hot_fraction", self.one_hot_fraction, 0, 1)
        check_interval("generator.boost", self.boost, 0, 1)
        if self.boost > 0 and not self.boosted_pairs:
            raise ConfigError(
                f"generator.boost = {self.boost}: needs generator.boosted_pairs, such as "
                f"[[{self.names[0]}, {self.names[-1]}]]"
            )
        if self.weights is not None and self.table is not None:
            raise ConfigError("generator.weights: must be null where generator.table is given")
        if self.table is not None:
            object.__setattr__(self, "table", frozen_table(self.table, self.sizes))
        if self.weights is not None:
            object.__setattr__(self, "weights", frozen_weights(self.weights, self.sizes))
        self.blocks  # noqa: B018  (an impossible boost is refused at construction)

    @property
    def n_features(self) -> int:
        return sum(self.sizes)

    @cached_property
    def first_features(self) -> tuple[int, ...]:
        """Index of the first feature of each set."""
        return tuple(sum(self.sizes[:k]) for k in range(len(self.sizes)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(
            f"{of_set}{member}"
            for of_set, size in zip(self._prefixes, self.sizes)
            for member in range(1, size + 1)
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Groups of sets that are independent of each other, with their tables after the boost."""
        return blocks_of(self.sizes, self.weights, self.table, self._pairs(), self.boost)

    @property
    def _prefixes(self) -> tuple[str, ...]:
        if len(self.sizes) == 2:
            return "x", "y"
        return tuple(f"s{k}_" for k in range(1, len(self.sizes) + 1))

    def _pairs(self) -> list[Pair]:
        place = {name: feature for feature, name in enumerate(self.names)}
        pairs = []
        for names in self.boosted_pairs:
            if len(names) != 2 or not set(names) <= place.keys():
                raise ConfigError(
                    f"generator.boosted_pairs: found {list(names)}; must be two names out of "
                    f"{self.names[0]} ... {self.names[-1]}, of different sets"
                )
            first, second = sorted(place[name] for name in names)
            ends = [int(self._set_of[feature]) for feature in (first, second)]
            if ends[0] == ends[1]:
                raise ConfigError(
                    f"generator.boosted_pairs: {list(names)} are of one set, of which exactly one "
                    "fires; must be of different sets"
                )
            i, j = first - self.first_features[ends[0]], second - self.first_features[ends[1]]
            pairs.append(Pair(ends[0], i, ends[1], j))
        return pairs

    @cached_property
    def _set_of(self) -> Tensor:
        """Set of each feature, `[n_features]`."""
        return torch.arange(len(self.sizes)).repeat_interleave(torch.tensor(self.sizes))

    @cached_property
    def _outcomes(self) -> Outcomes:
        return Outcomes.of(self.blocks, self.sizes, self.one_hot_fraction)

    def sample(self, draws: Draws, n: int) -> Coefficients:
        dense = self.n_features <= _MOST_DENSE_FEATURES
        if draws.device.type != "cpu":
            uniform = draws.uniform("samples", (len(self.blocks) + len(self.sizes), n))
            numbers, shortfalls = uniform[: len(self.blocks)], uniform[len(self.blocks) :]
            outcomes = self._outcomes.to(draws.device)
            firings = outcomes.firings(numbers, shortfalls, self.amplitude_correlation)
            return DenseCoefficients(firings.dense()) if dense else firings
        state = draws.kernel_state("samples")
        return self._fill(state, n) if dense else self._list(state, n)

    def _fill(self, state: np.ndarray, n: int) -> DenseCoefficients:
        from toysae.generators.sets.composed_kernel import fill

        values = torch.zeros(n, self.n_features)
        fill(values.numpy(), state, *self._kernel_arguments)
        return DenseCoefficients(values)

    def _list(self, state: np.ndarray, n: int) -> SparseCoefficients:
        from toysae.generators.sets.composed_kernel import list_firings

        offsets = torch.empty(n + 1, dtype=torch.int64)
        features = torch.empty(n * len(self.sizes), dtype=torch.int64)
        values = torch.empty(n * len(self.sizes))
        list_firings(
            offsets.numpy(), features.numpy(), values.numpy(), state, *self._kernel_arguments
        )
        end = int(offsets[-1])
        return SparseCoefficients(offsets, features[:end], values[:end], self.n_features)

    @cached_property
    def _kernel_arguments(self) -> tuple[Any, ...]:
        outcomes = self._outcomes
        return (
            np.float32(self.amplitude_correlation),
            outcomes.cumulative.numpy(),
            outcomes.starts.numpy(),
            outcomes.members.numpy(),
            outcomes.n_together,
            outcomes.set_of.numpy(),
            len(self.sizes),
        )

    def truth(self) -> Truth:
        q, f = self.one_hot_fraction, self.amplitude_correlation
        alone = q / self.n_features
        together = (1 - q) * torch.cat([self._member_weights(k) for k in range(len(self.sizes))])
        marginals = together + alone
        # Moments of amplitudes: E[a^2] = 1/3, and c = (1 - f) b + f a in the other sets.
        squares = (1 / 3, ((1 - f) ** 2 + f**2) / 3 + f * (1 - f) / 2)
        with_first = (1 - f) / 4 + f / 3
        of_others = (1 - f) ** 2 / 4 + f * (1 - f) / 2 + f**2 / 3
        other = self._set_of > 0
        square = together * torch.tensor(squares, dtype=torch.float64)[other.long()] + alone / 3

        def pair_moments(features: Tensor) -> PairMoments:
            same = features[:, None] == features[None, :]
            both_other = other[features][:, None] & other[features][None, :]
            pairs = (1 - q) * self._pair_probabilities(features)
            products = torch.where(both_other, of_others * pairs, with_first * pairs)
            return PairMoments.exact(
                torch.where(same, marginals[features], pairs),
                torch.where(same, square[features], products),
            )

        return Truth(self.names, self._groups(), marginals, marginals / 2, square, pair_moments)

    def projection_kurtosis(self, weights: Tensor) -> Tensor:
        """Exact kurtosis `E[p^4] / E[p^2]^2` of `p = coefficients . weights`, for two sets.

        About the origin, as `toysae.diagnostics.moments.projection_kurtosis` estimates it.

        Args:
            weights: `[k, n_features]`, such as lines in the hidden space times the directions of
                the features, transposed.

        Returns:
            `[k]` float64; NaN where a projection is always 0.

        Raises:
            ConfigError: not two sets.
        """
        if len(self.sizes) != 2:
            raise ConfigError(
                f"generator.sizes = {list(self.sizes)}: the kurtosis is known for two sets; "
                "estimate it from samples"
            )
        if len(self.blocks) == 1:
            table = torch.from_numpy(self.blocks[0].margin(0, 1))
        else:
            table = self._member_weights(0).outer(self._member_weights(1))
        first, second = weights.double().split(list(self.sizes), dim=1)
        return projection_kurtosis(
            table, first, second, self.one_hot_fraction, self.amplitude_correlation
        )

    def _member_weights(self, k: int) -> Tensor:
        """Probabilities of the members of a set, where all sets fire."""
        block = next(block for block in self.blocks if k in block.sets)
        return torch.from_numpy(block.margin(k))

    def _pair_probabilities(self, features: Tensor) -> Tensor:
        """How often two features of different sets fire, where all sets do; 0 in one set."""
        of_set = self._set_of[features]
        member = features - torch.tensor(self.first_features)[of_set]
        places = [(of_set == k).nonzero()[:, 0] for k in range(len(self.sizes))]
        p = torch.empty(len(features), dtype=torch.float64)
        for k, rows in enumerate(places):
            p[rows] = self._member_weights(k)[member[rows]]
        apart = of_set[:, None] != of_set[None, :]
        probabilities = torch.where(apart, p[:, None] * p[None, :], 0.0)
        for block in self.blocks:
            for k, other in combinations(block.sets, 2):
                rows, columns = places[k][:, None], places[other][None, :]
                cells = torch.from_numpy(block.margin(k, other))[member[rows], member[columns]]
                probabilities[rows, columns] = cells
                probabilities[columns.T, rows.T] = cells.T
        return probabilities

    def _groups(self) -> dict[str, Sequence[int]]:
        labels = "xy" if len(self.sizes) == 2 else range(1, len(self.sizes) + 1)
        groups: dict[str, Sequence[int]] = {
            f"set_{label}": tuple(range(first, first + size))
            for label, first, size in zip(labels, self.first_features, self.sizes)
        }
        if self.boosted_pairs:
            boosted = {self.names.index(name) for pair in self.boosted_pairs for name in pair}
            groups["boosted"] = tuple(sorted(boosted))
        return groups
