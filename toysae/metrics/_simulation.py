"""Chance levels by simulation: random rows that are functions of their name, and what they gave.

A draw is keyed by (seed, name, index): it depends neither on the draws before it nor on how many
follow, so more draws extend a simulation and never change it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._progress import Report, reported
from toysae.metrics._sphere import check_sizes
from toysae.metrics.dictionary import hungarian

Statistic = Callable[[Tensor, Tensor], float]
"""A number that two dictionaries `[n, d]` and `[m, d]` give."""


@dataclass(frozen=True)
class Simulated:
    """What a statistic was in independent draws from a null."""

    draws: Tensor
    """Its value in each draw, `[n_draws]`, float64; NaN where it was undefined."""

    @property
    def n_defined(self) -> int:
        """Draws in which it was defined."""
        return int((~self.draws.isnan()).sum())

    @property
    def mean(self) -> float:
        """Mean over defined draws; NaN without any."""
        return self.draws.nanmean().item()

    @property
    def sd(self) -> float:
        """Standard deviation over defined draws (n - 1); NaN for fewer than two."""
        defined = self.draws[~self.draws.isnan()]
        return defined.std().item() if len(defined) > 1 else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error of `mean`: the Monte Carlo error, `sd / sqrt(n_defined)`."""
        return self.sd / math.sqrt(self.n_defined) if self.n_defined else math.nan

    @property
    def q95(self) -> float:
        """The level that 5 % of the draws exceed (linear interpolation); NaN without any."""
        return self.draws.nanquantile(0.95).item()


@dataclass(frozen=True)
class HungarianChance:
    """What the best one-to-one matching of two random dictionaries reaches."""

    over_matched: Simulated
    """Mean cosine of the matched pairs, in each draw."""
    over_max: Simulated
    """Total cosine over the size of the larger dictionary, in each draw."""


def keyed(*key: object) -> np.random.Generator:
    """A source of random numbers that is a function of `key`."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "big")))


def random_rows(rng: np.random.Generator, n: int, d: int) -> Tensor:
    """`n` rows in directions that are uniform on the sphere, `[n, d]`, float64."""
    return torch.from_numpy(rng.standard_normal((n, d)))


def simulated(value_of: Callable[[int], float], n_draws: int, report: Report | None) -> Tensor:
    """`value_of(k)` of draws `k = 0, 1, ...`, `[n_draws]`, float64.

    Raises:
        ShapeError: no draw is asked for.
    """
    if n_draws < 1:
        raise ShapeError(f"n_draws={n_draws}: expected at least one")
    return torch.tensor(
        [value_of(k) for k in reported(range(n_draws), n_draws, report)], dtype=torch.float64
    )


def expected_hungarian(
    d: int, n: int, m: int, *, seed: int = 0, n_draws: int = 100, report: Report | None = None
) -> HungarianChance:
    """What `hungarian` reaches between two random dictionaries of `n` and `m` rows; simulated.

    There is no closed form. For `n = m` the mean over matched pairs is some 0.93 to 0.97 of
    `expected_max_cosine`, the chance level with replacement. In [0, 1].

    Costs `n_draws` matchings: at 24,576 rows take a few draws, because the level of so many rows
    hardly varies.

    Args:
        d: dimension of the space.
        n: rows of the first dictionary.
        m: rows of the second dictionary.
        seed: of the draws.
        n_draws: number of pairs of dictionaries that are drawn, `>= 1`.
        report: told how many draws are done.

    Returns:
        The draws with their mean and its standard error; NaN for `n = 0` or `m = 0`.

    Raises:
        ShapeError: `d < 1`, `n < 0`, `m < 0` or `n_draws < 1`.

    Source: simulation; no closed form is known.
    """
    over_max: list[float] = []

    def over_matched(a: Tensor, b: Tensor) -> float:
        matching = hungarian(a, b)
        over_max.append(matching.mean_over_max)
        return matching.mean_over_matched

    level = simulated_chance(over_matched, d, n, m, seed=seed, n_draws=n_draws, report=report)
    return HungarianChance(level, Simulated(level.draws.new_tensor(over_max)))


def simulated_chance(
    statistic: Statistic,
    d: int,
    n: int,
    m: int,
    *,
    seed: int = 0,
    n_draws: int = 100,
    report: Report | None = None,
) -> Simulated:
    """The chance level of any statistic of two dictionaries: its law between two random ones.

    Rows are independent and uniform on the sphere; the level is in the range of the statistic. Draw
    `k` depends on `seed`, the sizes and `k` alone, so statistics of one seed are compared on the
    same draws.

    Args:
        statistic: takes dictionaries `[n, d]` and `[m, d]`, float64, and gives a number.
        d: dimension of the space.
        n: rows of the first dictionary.
        m: rows of the second dictionary.
        seed: of the draws.
        n_draws: number of pairs of dictionaries that are drawn, `>= 1`.
        report: told how many draws are done.

    Returns:
        The draws with their mean and its standard error; NaN where the statistic is.

    Raises:
        ShapeError: `d < 1`, `n < 0`, `m < 0` or `n_draws < 1`.

    Source: simulation of the isotropic null.
    """
    check_sizes(d, n)
    check_sizes(d, m)

    def value_of(k: int) -> float:
        rng = keyed("isotropic pair", seed, n, m, d, k)
        return statistic(random_rows(rng, n, d), random_rows(rng, m, d))

    return Simulated(simulated(value_of, n_draws, report))
