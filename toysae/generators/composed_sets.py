"""Two sets of one-hot features, composed: the world of Anders et al. (2024).

"Sparse autoencoders find composed features in small toy models", Anders, Neo, Hoelscher-Obermaier
and Howard, March 2024. A sample holds exactly one feature of set x and exactly one of set y, or,
in a fraction of samples, one feature of either set alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import Coefficients, DenseCoefficients
from toysae.generators.truth import PairMoments, Truth

# Tables are probabilities typed by hand or computed in float64.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ComposedSets(Generator):
    """One of `sizes[0]` x-features together with one of `sizes[1]` y-features.

    Amplitudes are `a ~ U(0, 1)` for the x-feature and `(1 - f) b + f a` with `b ~ U(0, 1)` for the
    y-feature, `f = amplitude_correlation`: 0 is independent, 1 is shared. A feature that is alone
    has amplitude `U(0, 1)`.

    Attributes:
        sizes: number of features in set x and set y, each `>= 1`.
        amplitude_correlation: `f` above, in [0, 1].
        one_hot_fraction: fraction of samples that hold a single feature, each of all features
            equally likely; in [0, 1].
        boosted_pair: indices `[i, j]` of an x- and a y-feature that occur together more often.
        boost: in [0, 1]; 0 leaves the table, 1 makes the pair co-occur as often as its marginals
            allow. Marginals are kept; a table for which they cannot be is refused.
        table: joint probabilities `[sizes[0]][sizes[1]]` that sum to 1; null is uniform.
    """

    sizes: tuple[int, ...] = (2, 2)
    amplitude_correlation: float = 0.0
    one_hot_fraction: float = 0.0
    boosted_pair: tuple[int, ...] | None = None
    boost: float = 0.0
    table: tuple[tuple[float, ...], ...] | None = None

    name: ClassVar[str] = "composed_sets"

    def __post_init__(self) -> None:
        if len(self.sizes) != 2:
            raise ConfigError(
                f"generator.sizes = {list(self.sizes)}: must hold two numbers, the sizes of "
                "set x and set y"
            )
        for size in self.sizes:
            check_at_least("generator.sizes", size, 1)
        check_interval("generator.amplitude_correlation", self.amplitude_correlation, 0, 1)
        check_interval("generator.one_hot_fraction", self.one_hot_fraction, 0, 1)
        check_interval("generator.boost", self.boost, 0, 1)
        self._check_pair()
        self._check_table()
        self.joint_table  # noqa: B018  (an impossible boost is refused at construction)

    @property
    def n_features(self) -> int:
        return sum(self.sizes)

    @cached_property
    def joint_table(self) -> Tensor:
        """Probability of each pair (x_i, y_j) among composed samples, float64, after the boost."""
        n_x, n_y = self.sizes
        if self.table is None:
            base = torch.full((n_x, n_y), 1 / (n_x * n_y), dtype=torch.float64)
        else:
            base = torch.tensor(self.table, dtype=torch.float64)
        if self.boosted_pair is None or self.boost == 0:
            return base
        boosted = boost_pair(base, self.boosted_pair[0], self.boosted_pair[1], self.boost)
        drift = float((boosted.sum(0) - base.sum(0)).abs().max())
        if drift > _TOLERANCE:
            raise ConfigError(
                f"generator.boost = {self.boost}: boosting pair {list(self.boosted_pair)} of this "
                f"table moves a marginal by {drift:.3g}; allowed for tables whose rows are "
                f"proportional to each other outside column {self.boosted_pair[1]} (such as the "
                "uniform one), or boost = 0"
            )
        return boosted

    @cached_property
    def _outcomes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of every possible outcome: cumulative probability, and which x and y fire (-1: none)."""
        n_x, n_y = self.sizes
        q = self.one_hot_fraction
        alone = torch.full((self.n_features,), q / self.n_features, dtype=torch.float64)
        probability = torch.cat([(1 - q) * self.joint_table.flatten(), alone])
        x, y = torch.arange(n_x), torch.arange(n_x, n_x + n_y)
        x_of = torch.cat([x.repeat_interleave(n_y), x, torch.full_like(y, -1)])
        y_of = torch.cat([y.repeat(n_x), torch.full_like(x, -1), y])
        possible = probability > 0  # an impossible outcome must not catch a rounding error
        cumulative = probability[possible].cumsum(0).float()[:-1]
        return cumulative, x_of[possible], y_of[possible]

    def sample(self, draws: Draws, n: int) -> Coefficients:
        outcome, first, second = draws.uniform("samples", (3, n))
        # Amplitudes are in (0, 1]: a feature that fires is never 0.
        arguments = (outcome, 1 - first, 1 - second, *self._outcomes)
        if draws.device.type != "cpu":
            return DenseCoefficients(self._fill(*(t.to(draws.device) for t in arguments)))
        from toysae.generators.composed_kernel import fill

        values = torch.zeros(n, self.n_features)
        correlation = np.float32(self.amplitude_correlation)
        fill(values.numpy(), correlation, *(t.numpy() for t in arguments))
        return DenseCoefficients(values)

    def _fill(
        self,
        outcome: Tensor,
        first: Tensor,
        second: Tensor,
        cumulative: Tensor,
        x_of: Tensor,
        y_of: Tensor,
    ) -> Tensor:
        """What `composed_kernel.fill` does, in torch operations, on any device."""
        drawn = torch.searchsorted(cumulative, outcome, right=True)
        x, y = x_of[drawn], y_of[drawn]
        f = self.amplitude_correlation
        composed = (x >= 0) & (y >= 0)
        second = torch.where(composed, (1 - f) * second + f * first, second)
        values = outcome.new_zeros(len(outcome), self.n_features)
        for feature, amplitude in ((x, first), (y, second)):
            fires = (feature >= 0).nonzero()[:, 0]
            values[fires, feature[fires]] = amplitude[fires]
        return values

    def truth(self) -> Truth:
        n_x, n_y = self.sizes
        q, f, table = self.one_hot_fraction, self.amplitude_correlation, self.joint_table
        alone = q / self.n_features
        marginals = torch.cat([(1 - q) * table.sum(1), (1 - q) * table.sum(0)]) + alone
        pairs = torch.diag(marginals)
        pairs[:n_x, n_x:] = (1 - q) * table
        pairs[n_x:, :n_x] = pairs[:n_x, n_x:].T
        square_y = ((1 - f) ** 2 + f**2) / 3 + f * (1 - f) / 2
        product = (1 - f) / 4 + f / 3
        squares = torch.cat([marginals[:n_x] / 3, (marginals[n_x:] - alone) * square_y + alone / 3])
        second_moment = pairs * product
        second_moment.diagonal().copy_(squares)
        names = tuple(f"x{i + 1}" for i in range(n_x)) + tuple(f"y{j + 1}" for j in range(n_y))
        groups = {"set_x": tuple(range(n_x)), "set_y": tuple(range(n_x, n_x + n_y))}
        if self.boosted_pair is not None:
            groups["boosted"] = (self.boosted_pair[0], n_x + self.boosted_pair[1])

        def pair_moments(features: Tensor) -> PairMoments:
            block = (features[:, None], features[None, :])
            return PairMoments.exact(pairs[block], second_moment[block])

        return Truth(names, groups, marginals, marginals / 2, squares, pair_moments)

    def _check_pair(self) -> None:
        if self.boosted_pair is None:
            if self.boost > 0:
                raise ConfigError(
                    f"generator.boost = {self.boost}: needs generator.boosted_pair = [i, j]"
                )
            return
        in_range = len(self.boosted_pair) == 2 and all(
            0 <= index < size for index, size in zip(self.boosted_pair, self.sizes)
        )
        if not in_range:
            raise ConfigError(
                f"generator.boosted_pair = {list(self.boosted_pair)}: must be [i, j] with "
                f"0 <= i < {self.sizes[0]} and 0 <= j < {self.sizes[1]}"
            )

    def _check_table(self) -> None:
        if self.table is None:
            return
        shape = (len(self.table), *{len(row) for row in self.table})
        if shape != tuple(self.sizes):
            raise ConfigError(
                f"generator.table: found rows of lengths {[len(row) for row in self.table]}, "
                f"must be {self.sizes[0]} rows of {self.sizes[1]} numbers (generator.sizes)"
            )
        entries = [p for row in self.table for p in row]
        if not all(0 <= p <= 1 for p in entries):
            raise ConfigError(f"generator.table = {entries}: entries must lie in [0, 1]")
        if abs(sum(entries) - 1) > _TOLERANCE:
            raise ConfigError(f"generator.table: entries sum to {sum(entries):.6g}, must sum to 1")


def boost_pair(table: Tensor, i: int, j: int, boost: float) -> Tensor:
    """Raise the probability of cell `(i, j)` by `boost` times what its row and column leave.

    The rest of row `i` and of column `j` shrinks so that their sums stay; the remaining block is
    rescaled row by row so that row sums stay. Column sums stay too where no row is empty there and
    all are proportional to each other outside column `j`; the caller checks. (Published code of
    Anders et al., 2024.)

    Args:
        table: joint probabilities `[n_x, n_y]`.
        i, j: the boosted cell.
        boost: in [0, 1].

    Returns:
        The boosted table, `[n_x, n_y]`.
    """
    row_rest = table[i].sum() - table[i, j]
    column_rest = table[:, j].sum() - table[i, j]
    gain = boost * torch.minimum(row_rest, column_rest)
    if gain == 0:
        return table.clone()
    boosted = table.clone()
    boosted[i] *= 1 - gain / row_rest
    boosted[:, j] *= 1 - gain / column_rest
    boosted[i, j] = table[i, j] + gain
    others = torch.arange(table.shape[1]) != j
    for row in range(table.shape[0]):
        block = table[row, others].sum()
        if row != i and block > 0:
            target = table[row].sum() - boosted[row, j]
            boosted[row, others] = table[row, others] * (target / block)
    return boosted
