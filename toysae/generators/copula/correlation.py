"""Which features correlate, and how much: tables of correlations for any number of features."""

from __future__ import annotations

import itertools
import math
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_interval
from toysae.errors import ConfigError
from toysae.generators.copula.attainable import (
    check_semidefinite,
    latents_of_firings,
    scaled,
    semidefinite_share,
)
from toysae.generators.copula.gaussian import thresholds_of
from toysae.generators.copula.latents import BlockLatents, FactorLatents, Latents
from toysae.generators.copula.low_rank import LowRank

_SYMMETRY = 1e-12
#: Published code raises smaller eigenvalues to this.
_LEAST_EIGENVALUE = 1e-6
#: A matrix on the edge of what is possible is taken this far inside.
_MARGIN = 1e-9


class Correlation(ABC):
    """A way to correlate features that fire where Gaussian latents exceed thresholds.

    The latents correlate as stated (`of_latents`), or so that what fires does (`of_firings`): a
    latent correlation of 0.5 makes indicators that fire 1 % of the time correlate by 0.12.
    Implementations are frozen dataclasses.
    """

    name: ClassVar[str]

    @abstractmethod
    def of_latents(self, probabilities: Tensor) -> Latents:
        """Latents that correlate as stated, of features with firing probabilities `[n]`.

        Raises:
            ConfigError: it does not fit `n` features, or no latents correlate like this.
        """

    @abstractmethod
    def of_firings(self, probabilities: Tensor) -> Latents:
        """Latents whose firing indicators correlate as stated (phi), for probabilities `[n]`.

        Raises:
            ConfigError: as `of_latents`, or a pair cannot fire like this; it says what can be.
        """


class Table(Correlation):
    """Correlations given number by number, within blocks of equal size."""

    @abstractmethod
    def blocks(self, n: int) -> Tensor:
        """Correlation matrices of consecutive features, float64, `[n / size, size, size]`.

        Raises:
            ConfigError: it cannot serve `n` features.
        """

    def of_latents(self, probabilities: Tensor) -> Latents:
        blocks = self.blocks(len(probabilities))
        check_semidefinite(blocks)
        return BlockLatents(thresholds_of(probabilities), blocks)

    def of_firings(self, probabilities: Tensor) -> Latents:
        blocks = latents_of_firings(self.blocks(len(probabilities)), probabilities)
        return BlockLatents(thresholds_of(probabilities), blocks)


@dataclass(frozen=True)
class Full(Table):
    """A given matrix.

    Attributes:
        matrix: rows of correlations in [-1, 1], symmetric, with ones on the diagonal.
    """

    matrix: tuple[tuple[float, ...], ...]

    name: ClassVar[str] = "full"

    def __post_init__(self) -> None:
        n = len(self.matrix)
        if n == 0 or any(len(row) != n for row in self.matrix):
            raise ConfigError(
                f"full.matrix: found {n} rows of lengths {sorted({len(r) for r in self.matrix})}; "
                "must be square"
            )
        matrix = torch.tensor(self.matrix, dtype=torch.float64)
        if not bool((matrix.abs() <= 1).all()):
            raise ConfigError("full.matrix: correlations must lie in [-1, 1]")
        if not bool((matrix.diagonal() == 1).all()):
            raise ConfigError("full.matrix: the diagonal must hold ones")
        i, j = divmod(int((matrix - matrix.T).abs().argmax()), n)
        if abs(float(matrix[i, j] - matrix[j, i])) > _SYMMETRY:
            raise ConfigError(
                f"full.matrix: found {float(matrix[i, j])} at [{i}][{j}] and "
                f"{float(matrix[j, i])} at [{j}][{i}]; must be symmetric"
            )

    def blocks(self, n: int) -> Tensor:
        if len(self.matrix) != n:
            raise ConfigError(
                f"generator.correlation.matrix: found {len(self.matrix)} rows for {n} features; "
                "give one each"
            )
        return torch.tensor(self.matrix, dtype=torch.float64)[None]


@dataclass(frozen=True)
class Pairs(Table):
    """Some pairs given one by one.

    Attributes:
        pairs: `[i, j, correlation]` each, with `i != j`; each pair once.
        others: correlation of all other pairs, in [-1, 1].
    """

    pairs: tuple[tuple[float, ...], ...]
    others: float = 0.0

    name: ClassVar[str] = "pairs"

    def __post_init__(self) -> None:
        check_interval("pairs.others", self.others, -1, 1)
        seen: set[tuple[float, float]] = set()
        for pair in self.pairs:
            if len(pair) != 3 or not all(i >= 0 and float(i).is_integer() for i in pair[:2]):
                raise ConfigError(
                    f"pairs.pairs: found {list(pair)}; must be [i, j, correlation] with indices "
                    "of features"
                )
            i, j = sorted(pair[:2])
            if i == j or (i, j) in seen:
                raise ConfigError(
                    f"pairs.pairs: found {list(pair)}; must be two features, each pair given once"
                )
            seen.add((i, j))
            check_interval("pairs.pairs", pair[2], -1, 1)

    def blocks(self, n: int) -> Tensor:
        matrix = torch.full((n, n), self.others, dtype=torch.float64).fill_diagonal_(1)
        for first, second, correlation in self.pairs:
            i, j = int(first), int(second)
            if max(i, j) >= n:
                raise ConfigError(
                    f"generator.correlation.pairs: found a pair of features {i} and {j}; must be "
                    f"below {n} (generator.n_features)"
                )
            matrix[i, j] = matrix[j, i] = correlation
        return matrix[None]


@dataclass(frozen=True)
class Hub(Table):
    """One feature correlates with all others, which do not correlate with each other.

    Attributes:
        correlation: in [-1, 1]; latents of `n` features have it up to `1 / sqrt(n - 1)` in size.
        feature: which one.
    """

    correlation: float = 0.4
    feature: int = 0

    name: ClassVar[str] = "hub"

    def __post_init__(self) -> None:
        check_interval("hub.correlation", self.correlation, -1, 1)
        check_at_least("hub.feature", self.feature, 0)

    def blocks(self, n: int) -> Tensor:
        if self.feature >= n:
            raise ConfigError(
                f"generator.correlation.feature = {self.feature}: must be below {n} "
                "(generator.n_features)"
            )
        matrix = torch.eye(n, dtype=torch.float64)
        matrix[self.feature] = matrix[:, self.feature] = self.correlation
        matrix[self.feature, self.feature] = 1
        return matrix[None]


@dataclass(frozen=True)
class Blocks(Table):
    """Consecutive features in blocks of equal size, independent of the features of other blocks.

    Serves thousands of features: time and memory go with features times `size`.

    Attributes:
        size: features of a block, `>= 1`; divides the number of features.
        within: correlation of all pairs of a block, in [-1, 1]; latents have it down to
            `-1 / (size - 1)`.
    """

    size: int = 2
    within: float = 0.5

    name: ClassVar[str] = "blocks"

    def __post_init__(self) -> None:
        check_at_least("blocks.size", self.size, 1)
        check_interval("blocks.within", self.within, -1, 1)

    def blocks(self, n: int) -> Tensor:
        if n % self.size:
            raise ConfigError(
                f"generator.correlation.size = {self.size}: must divide the number of features, {n}"
            )
        block = torch.full((self.size, self.size), self.within, dtype=torch.float64)
        return block.fill_diagonal_(1).expand(n // self.size, -1, -1)


@dataclass(frozen=True)
class Random(Table):
    """Each pair correlates or not, by a random amount with a random sign.

    The recipe of Chanin and Garriga-Alonso, "Sparse but wrong" (arXiv 2508.16560), with Python's
    random numbers as in their code: the same seed draws the same pairs, signs and strengths.

    Drawn numbers are rarely the correlations of anything: 50 features need about a seventh of the
    strengths of 0.3 to 0.9 that the paper asks for. `repair` says what becomes of them; what comes
    out is `blocks`, and `Correlated.latents` in use.

    - `shrink`: all are multiplied by the largest factor at which they are possible. Signs, zeros
      and ratios stay, strengths do not.
    - `clip`: eigenvalues are raised to at least 1e-6, and the diagonal rescaled to 1 (as in the
      published code). Strengths stay larger on average, but no number is what was drawn: pairs
      drawn as uncorrelated correlate too, and some signs flip.

    Attributes:
        low, high: least and greatest strength, `0 <= low <= high <= 1`.
        uncorrelated: share of pairs that do not correlate, in [0, 1]; rounded down to whole pairs.
        positive: share of the other pairs that correlate positively, in [0, 1]; likewise.
        repair: `shrink` or `clip`.
        seed: any integer; it belongs to the world, not to a run.
    """

    low: float = 0.3
    high: float = 0.8
    uncorrelated: float = 0.3
    positive: float = 0.5
    repair: str = "shrink"
    seed: int = 0

    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        check_interval("random.high", self.high, 0, 1)
        check_interval("random.low", self.low, 0, self.high)
        check_interval("random.uncorrelated", self.uncorrelated, 0, 1)
        check_interval("random.positive", self.positive, 0, 1)
        check_choice("random.repair", self.repair, ("clip", "shrink"))

    def blocks(self, n: int) -> Tensor:
        drawn = self.drawn(n)
        if bool((torch.linalg.eigvalsh(drawn) >= _LEAST_EIGENVALUE).all()):
            return drawn[None]
        repaired = _clipped(drawn) if self.repair == "clip" else _shrunk(drawn)
        return repaired[None]

    def drawn(self, n: int) -> Tensor:
        """The table as it is drawn, before any repair, float64, `[n, n]`."""
        numbers = random.Random(self.seed)
        pairs = list(itertools.combinations(range(n), 2))
        chosen = numbers.sample(pairs, len(pairs) - math.floor(self.uncorrelated * len(pairs)))
        n_positive = math.floor(self.positive * len(chosen))
        matrix = torch.eye(n, dtype=torch.float64)
        for place, (i, j) in enumerate(chosen):
            strength = numbers.uniform(self.low, self.high)
            matrix[i, j] = matrix[j, i] = strength if place < n_positive else -strength
        return matrix


@dataclass(frozen=True)
class CommonFactors(LowRank, Correlation):
    """Every feature depends a little on a few common factors: see `LowRank`.

    Serves any number of features: tables of all pairs are never made, and samples cost little more
    than what fires. Only latents can correlate like this, not firing indicators.
    """

    def of_latents(self, probabilities: Tensor) -> Latents:
        return FactorLatents(thresholds_of(probabilities), self.loadings(len(probabilities)))

    def of_firings(self, probabilities: Tensor) -> Latents:
        raise ConfigError(
            "generator.correlation_of = 'firing': common factors (low_rank) make latents "
            "correlate, what fires has no such form; set it to 'latent', or choose another "
            "correlation"
        )


def _shrunk(matrix: Tensor) -> Tensor:
    return scaled(matrix, (1 - _MARGIN) * semidefinite_share(matrix))


def _clipped(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    raised = (vectors * values.clamp(min=_LEAST_EIGENVALUE)) @ vectors.T
    scale = raised.diagonal().rsqrt()
    clipped = scale[:, None] * raised * scale[None, :]
    return ((clipped + clipped.T) / 2).fill_diagonal_(1)
