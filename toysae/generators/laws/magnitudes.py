"""Magnitude laws: how strongly a feature fires, given that it does.

Every law is given by its quantile function, so that features can share a draw: at correlation
`rho` a group draws one quantile for all of its features with probability `rho`, and one each
otherwise. Marginal laws are kept whatever `rho`, and for features of one law `rho` is exactly the
correlation of their magnitudes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from toysae.errors import ConfigError
from toysae.generators.laws.profiles import Constant as ConstantProfile
from toysae.generators.laws.profiles import Profile, numbers

#: Firings that are worked on at once, so that the float64 in between stay in the cache.
_CACHED_FIRINGS = 2**15

_QUADRATURE_NODES = 256
_FARTHEST_SCORE = 8.0


class Magnitude(ABC):
    """A family of laws on the positive numbers, one law a feature.

    Implementations are frozen dataclasses whose fields are profiles of their parameters.
    """

    name: ClassVar[str]

    @abstractmethod
    def parameters(self, n: int) -> tuple[Tensor, ...]:
        """Numbers that define the law of each of `n` features, float64, `[n]` each.

        Raises:
            ConfigError: outside their range.
        """

    @abstractmethod
    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        """The value below which lies a share `u` of magnitudes; `u` in (0, 1), float64."""

    @abstractmethod
    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and mean square."""

    @abstractmethod
    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        """`E[q_i(u) q_j(u)]`: mean product of two features that share their quantile."""


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """A magnitude law for given features.

    Attributes:
        law: the family.
        parameters: one tensor `[n_features]` a parameter.
    """

    law: Magnitude
    parameters: tuple[Tensor, ...]

    @classmethod
    def of(cls, law: Magnitude, n_features: int) -> Magnitudes:
        """The law resolved for `n_features` features.

        Raises:
            ConfigError: parameters outside their range; it names the key of a generator.
        """
        try:
            return cls(law, law.parameters(n_features))
        except ConfigError as error:
            raise ConfigError(f"generator.{error}") from None

    def at(self, u: Tensor, features: Tensor) -> Tensor:
        """Magnitudes of firings, float32, `> 0`, `[firings]`.

        Args:
            u: uniform numbers in `[0, 1)`, `[firings]`.
            features: which feature fires, `[firings]`.
        """
        values = torch.empty(len(u), dtype=torch.float32)
        for start in range(0, len(u), _CACHED_FIRINGS):
            part = slice(start, start + _CACHED_FIRINGS)
            values[part] = self._at(u[part], features[part])
        return values.clamp_(min=torch.finfo(torch.float32).tiny)

    def _at(self, u: Tensor, features: Tensor) -> Tensor:
        # The middle of the cell of the grid that uniform numbers lie on: never 0, never 1.
        middle = 2.0 ** (-25 if u.dtype == torch.float32 else -54)
        inside = (u.double() + middle).clamp_(max=1 - 2.0**-53)
        return self.law.quantile(inside, *(p[features] for p in self.parameters))

    @property
    def mean(self) -> Tensor:
        """Mean magnitude of each feature, `[n_features]`."""
        return self.law.moments(*self.parameters)[0]

    @property
    def square(self) -> Tensor:
        """Mean squared magnitude of each feature, `[n_features]`."""
        return self.law.moments(*self.parameters)[1]

    def product(self, first: Tensor, second: Tensor, correlation: Tensor | float) -> Tensor:
        """Mean product of the magnitudes of two different features that both fire.

        Args:
            first, second: feature indices, of one shape.
            correlation: probability that they share their quantile.
        """
        apart = self.mean[first] * self.mean[second]
        shared = self.law.shared_product(
            tuple(p[first] for p in self.parameters), tuple(p[second] for p in self.parameters)
        )
        return apart + correlation * (shared - apart)


@dataclass(frozen=True)
class Constant(Magnitude):
    """Always the same.

    Attributes:
        value: magnitude, `> 0`.
    """

    value: Profile = ConstantProfile(1.0)

    name: ClassVar[str] = "constant"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        return (_above("value", self.value, n, 0),)

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        return parameters[0].expand(u.shape)

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return parameters[0], parameters[0].square()

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        return first[0] * second[0]


@dataclass(frozen=True)
class Uniform(Magnitude):
    """Uniform between two numbers.

    Attributes:
        low: lower end, `>= 0`.
        high: upper end, `> low`.
    """

    low: Profile = ConstantProfile(0.0)
    high: Profile = ConstantProfile(1.0)

    name: ClassVar[str] = "uniform"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        low = _at_least("low", self.low, n, 0)
        high = numbers("magnitude.high", self.high, n)
        if not bool((high > low).all()):
            raise ConfigError("magnitude.high: must be greater than magnitude.low of each feature")
        return low, high

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        low, high = parameters
        return low + (high - low) * u

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        low, high = parameters
        return (low + high) / 2, (low.square() + low * high + high.square()) / 3

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        (a, b), (c, d) = first, second
        return a * c + (a * (d - c) + c * (b - a)) / 2 + (b - a) * (d - c) / 3


@dataclass(frozen=True)
class Exponential(Magnitude):
    """Exponential.

    Attributes:
        mean: `> 0`.
    """

    mean: Profile = ConstantProfile(1.0)

    name: ClassVar[str] = "exponential"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        return (_above("mean", self.mean, n, 0),)

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        return -torch.log1p(-u) * parameters[0]

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return parameters[0], 2 * parameters[0].square()

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        return 2 * first[0] * second[0]


@dataclass(frozen=True)
class HalfNormal(Magnitude):
    """Absolute value of a normal number of mean 0.

    Attributes:
        std: of the normal number, `> 0`.
    """

    std: Profile = ConstantProfile(1.0)

    name: ClassVar[str] = "half_normal"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        return (_above("std", self.std, n, 0),)

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        return -_ndtri((1 - u) / 2) * parameters[0]

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return parameters[0] * (2 / np.pi) ** 0.5, parameters[0].square()

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        return first[0] * second[0]


@dataclass(frozen=True)
class LogNormal(Magnitude):
    """Exponential of a normal number.

    Attributes:
        log_mean, log_std: of that normal number; `log_std >= 0`.
    """

    log_mean: Profile = ConstantProfile(0.0)
    log_std: Profile = ConstantProfile(0.5)

    name: ClassVar[str] = "log_normal"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        log_mean = numbers("magnitude.log_mean", self.log_mean, n)
        return log_mean, _at_least("log_std", self.log_std, n, 0)

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        log_mean, log_std = parameters
        return torch.exp(log_mean + log_std * _ndtri(u))

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_mean, log_std = parameters
        variance = log_std.square()
        return torch.exp(log_mean + variance / 2), torch.exp(2 * (log_mean + variance))

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        return torch.exp(first[0] + second[0] + (first[1] + second[1]).square() / 2)


@dataclass(frozen=True)
class TruncatedNormal(Magnitude):
    """A normal number given that it is positive.

    Unlike a rectified normal number, it never turns a firing into a non-firing.

    Attributes:
        mean, std: of the normal number before truncation; `std >= 0`, and `mean > 0` where
            `std = 0`. `mean / std` must be at least -8.
    """

    mean: Profile = ConstantProfile(1.0)
    std: Profile = ConstantProfile(0.5)

    name: ClassVar[str] = "truncated_normal"

    def parameters(self, n: int) -> tuple[Tensor, ...]:
        mean, std = numbers("magnitude.mean", self.mean, n), _at_least("std", self.std, n, 0)
        if not bool(((mean >= -8 * std) & ((std > 0) | (mean > 0))).all()):
            raise ConfigError(
                "magnitude.mean: must be at least -8 magnitude.std, and greater than 0 where "
                "magnitude.std is 0"
            )
        return mean, std, _positive_share(mean, std)

    def quantile(self, u: Tensor, *parameters: Tensor) -> Tensor:
        mean, std, positive = parameters
        # From the upper end, where the share above a value keeps its precision.
        return (mean - std * _ndtri((1 - u) * positive)).clamp(min=0)

    def moments(self, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, std, positive = parameters
        ratio = mean / std
        density = torch.exp(-ratio.square() / 2) / (2 * np.pi) ** 0.5
        hazard = torch.where(std > 0, density / positive, 0.0)
        truncated = mean + std * hazard
        return truncated, mean * truncated + std.square()

    def shared_product(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        # No closed form where the shares above 0 differ. Gauss-Legendre in the normal score of u.
        nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
        scores = _FARTHEST_SCORE * nodes
        weights = _FARTHEST_SCORE * weights * np.exp(-scores * scores / 2) / (2 * np.pi) ** 0.5
        total = torch.zeros_like(first[0])
        for share, weight in zip(ndtr(scores).tolist(), weights.tolist()):
            u = torch.full_like(total, share)
            total += weight * self.quantile(u, *first) * self.quantile(u, *second)
        return total


def _positive_share(mean: Tensor, std: Tensor) -> Tensor:
    """Share of normal numbers that are positive."""
    ratio = torch.where(std > 0, mean / std, torch.inf)
    return torch.from_numpy(np.asarray(ndtr(ratio.numpy())))


def _ndtri(u: Tensor) -> Tensor:
    """Quantile function of the standard normal law."""
    return torch.from_numpy(np.asarray(ndtri(u.numpy())))


def _above(field: str, profile: Profile, n: int, low: float) -> Tensor:
    values = numbers(f"magnitude.{field}", profile, n)
    if not bool((values > low).all()):
        raise ConfigError(
            f"magnitude.{field}: found {float(values.min()):.4g}; must be greater than {low}"
        )
    return values


def _at_least(field: str, profile: Profile, n: int, low: float) -> Tensor:
    values = numbers(f"magnitude.{field}", profile, n)
    if not bool((values >= low).all()):
        raise ConfigError(
            f"magnitude.{field}: found {float(values.min()):.4g}; must be at least {low}"
        )
    return values
