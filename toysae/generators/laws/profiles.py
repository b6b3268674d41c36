"""Laws that give every feature a number: firing probabilities, or parameters of magnitudes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError


class Profile(ABC):
    """One number a feature, as a function of its place; implementations are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def values(self, n: int) -> Tensor:
        """Numbers of features `0` to `n - 1`, float64, `[n]`.

        Raises:
            ConfigError: the profile cannot serve `n` features.
        """


@dataclass(frozen=True)
class Constant(Profile):
    """The same for all.

    Attributes:
        value: any number.
    """

    value: float

    name: ClassVar[str] = "constant"

    def values(self, n: int) -> Tensor:
        return torch.full((n,), self.value, dtype=torch.float64)


@dataclass(frozen=True)
class Linear(Profile):
    """From `start` at the first feature to `end` at the last, in equal steps.

    Attributes:
        start, end: any numbers.
    """

    start: float
    end: float

    name: ClassVar[str] = "linear"

    def values(self, n: int) -> Tensor:
        return torch.linspace(self.start, self.end, n, dtype=torch.float64)


@dataclass(frozen=True)
class Zipf(Profile):
    """A power law of the rank: `first / (i + 1)^exponent` for feature `i`.

    Attributes:
        first: number of feature 0, `> 0`.
        exponent: `>= 0`.
    """

    first: float
    exponent: float = 1.0

    name: ClassVar[str] = "zipf"

    def __post_init__(self) -> None:
        check_positive("zipf.first", self.first)
        check_at_least("zipf.exponent", self.exponent, 0)

    def values(self, n: int) -> Tensor:
        return self.first * _ranks(n) ** -self.exponent


@dataclass(frozen=True)
class RescaledZipf(Profile):
    """`1 / rank^exponent`, shifted and stretched so that it goes from `high` to `low`.

    Not a power law unless `low = high / n^exponent`. It is what SAELens and SynthSAEBench call
    Zipfian (arXiv 2602.14687), and is here to reproduce them.

    Attributes:
        high: number of the first feature.
        low: number of the last feature.
        exponent: `> 0`.
    """

    high: float
    low: float
    exponent: float = 1.0

    name: ClassVar[str] = "rescaled_zipf"

    def __post_init__(self) -> None:
        check_positive("rescaled_zipf.exponent", self.exponent)

    def values(self, n: int) -> Tensor:
        power = _ranks(n) ** -self.exponent
        lowest = power[-1] if n else power
        share = (power - lowest) / (1 - lowest) if n > 1 else torch.ones_like(power)
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class Geometric(Profile):
    """`decay^i` for feature `i`, scaled to a given first number or to a given sum.

    Attributes:
        decay: in (0, 1].
        first: number of feature 0, `> 0`; or null.
        total: sum over all features, `> 0`, such as an expected L0; or null. Exactly one is given.
    """

    decay: float
    first: float | None = None
    total: float | None = None

    name: ClassVar[str] = "geometric"

    def __post_init__(self) -> None:
        check_positive("geometric.decay", self.decay)
        check_interval("geometric.decay", self.decay, 0, 1)
        if (self.first is None) == (self.total is None):
            raise ConfigError(
                f"geometric: found first = {self.first}, total = {self.total}; "
                "give exactly one of them"
            )
        for key, value in (("first", self.first), ("total", self.total)):
            if value is not None:
                check_positive(f"geometric.{key}", value)

    def values(self, n: int) -> Tensor:
        power = self.decay ** torch.arange(n, dtype=torch.float64)
        return power * (self.first or (self.total or 0.0) / float(power.sum()))


@dataclass(frozen=True)
class UniformRandom(Profile):
    """Drawn once for every feature, uniformly between two numbers.

    Attributes:
        low, high: ends, `low <= high`.
        seed: of the draw, `>= 0`; it belongs to the world, not to a run.
    """

    low: float
    high: float
    seed: int = 0

    name: ClassVar[str] = "uniform_random"

    def __post_init__(self) -> None:
        check_at_least("uniform_random.seed", self.seed, 0)
        check_at_least("uniform_random.high", self.high, self.low)

    def values(self, n: int) -> Tensor:
        uniform = Draws(self.seed, ("profile",)).uniform("uniform_random", (n,)).double()
        return self.low + (self.high - self.low) * uniform


@dataclass(frozen=True)
class FoldedNormal(Profile):
    """Drawn once for every feature: the absolute value of a normal number.

    Attributes:
        mean, std: of the normal number before it is folded; `std >= 0`.
        seed: of the draw, `>= 0`; it belongs to the world, not to a run.
    """

    mean: float
    std: float
    seed: int = 0

    name: ClassVar[str] = "folded_normal"

    def __post_init__(self) -> None:
        check_at_least("folded_normal.std", self.std, 0)
        check_at_least("folded_normal.seed", self.seed, 0)

    def values(self, n: int) -> Tensor:
        normal = Draws(self.seed, ("profile",)).normal("folded_normal", (n,)).double()
        return (self.mean + self.std * normal).abs()


@dataclass(frozen=True)
class Array(Profile):
    """Given one by one.

    Attributes:
        items: one number a feature.
    """

    items: tuple[float, ...]

    name: ClassVar[str] = "array"

    def values(self, n: int) -> Tensor:
        if len(self.items) != n:
            raise ConfigError(f"found {len(self.items)} numbers for {n} features; give one each")
        return torch.tensor(self.items, dtype=torch.float64)


def probabilities(key: str, profile: Profile, n: int) -> Tensor:
    """Firing probabilities of `n` features, `[n]`.

    Raises:
        ConfigError: not all within [0, 1], or another number of them; it names `key`.
    """
    values = numbers(key, profile, n)
    if n and not bool(((values >= 0) & (values <= 1)).all()):
        raise ConfigError(
            f"{key}: found values from {float(values.min()):.4g} to {float(values.max()):.4g}; "
            "probabilities must lie in [0, 1]"
        )
    return values


def numbers(key: str, profile: Profile, n: int) -> Tensor:
    """Numbers of `n` features, `[n]`; an error names `key`."""
    try:
        values = profile.values(n)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    if not bool(values.isfinite().all()):
        raise ConfigError(f"{key}: found numbers that are not finite; all must be")
    return values


def _ranks(n: int) -> Tensor:
    return torch.arange(1, n + 1, dtype=torch.float64)
