"""Latent correlation by a few common factors, for any number of features.

Feature `i` has a standard normal latent `z_i = loadings_i . g + s_i e_i` with common factors
`g ~ N(0, I)`, noise `e_i` of its own and `s_i^2 = 1 - |loadings_i|^2`, and fires where
`z_i > t_i`. It is the correlation of SynthSAEBench (arXiv 2602.14687).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from toysae.checks import check_at_least
from toysae.draws import CPU, Draws
from toysae.errors import ConfigError

#: Share of a latent's variance that common factors may have.
_MOST_SHARED = 0.99

#: What the factors contribute is thinned up to so many of its standard deviations.
_BOUND = 2.25

#: Above this probability of a candidate, deciding every sample by itself is faster.
_MOST_CANDIDATES = 0.4

#: Samples and features whose contributions are held at a time: half a megabyte, for the L2 cache.
_TILE = (256, 512)

_NOTHING = np.empty((2, 0), np.int64)


@dataclass(frozen=True)
class LowRank:
    """Random loadings: every feature depends a little on a few common factors.

    A loading vector of squared norm above 0.99 is shortened to that, as in the published recipe:
    a latent has unit variance and at least 1 % noise of its own. Of the default, none is.

    Attributes:
        rank: number of common factors, `>= 1`.
        scale: standard deviation of every loading, `>= 0`, with `rank scale^2 < 1`; latents of two
            features correlate by `scale^2 sqrt(rank)` in root mean square.
        seed: of the loadings, `>= 0`; it belongs to the world, not to a run.
    """

    rank: int = 25
    scale: float = 0.1
    seed: int = 0

    name: ClassVar[str] = "low_rank"

    def __post_init__(self) -> None:
        check_at_least("low_rank.rank", self.rank, 1)
        check_at_least("low_rank.scale", self.scale, 0)
        check_at_least("low_rank.seed", self.seed, 0)
        if self.rank * self.scale**2 >= 1:
            raise ConfigError(
                f"low_rank.scale = {self.scale}: with low_rank.rank = {self.rank} common factors "
                f"would hold all variance of a latent; must be below {self.rank**-0.5:.4g}"
            )

    def loadings(self, n: int) -> Tensor:
        """Loadings of features `0` to `n - 1`, float64, `[n, rank]`."""
        normal = Draws(self.seed, ("low_rank",)).normal("loadings", (n, self.rank)).double()
        loadings = self.scale * normal
        shared = loadings.square().sum(1, keepdim=True)
        return loadings * (_MOST_SHARED / shared).sqrt().clamp(max=1)


@dataclass(frozen=True, eq=False)
class LowRankLatents:
    """Latents of features with given loadings, and the thresholds above which they fire.

    Attributes:
        thresholds: `t`, `[n_features]`; `-inf` always fires, `inf` never.
        loadings: `[n_features, rank]`, rows of norm below 1.
    """

    thresholds: Tensor
    loadings: Tensor

    @cached_property
    def spreads(self) -> Tensor:
        """Standard deviation `s` of each feature's own noise, float64, `[n_features]`."""
        return (1 - self.loadings.double().square().sum(1)).sqrt()

    @cached_property
    def _thinning(self) -> tuple[np.ndarray, ...]:
        """Thresholds, spreads, bounds, probabilities of candidates, hazards (`low_rank_kernel`)."""
        t, s = self.thresholds.double().numpy(), self.spreads.numpy()
        bounds = (_BOUND * self.loadings.double().norm(dim=1)).float().numpy()
        candidates = ndtr((bounds - t) / s)
        always = candidates > _MOST_CANDIDATES
        hazards = -np.log1p(-np.where(always, 0.0, candidates))
        return t, s, np.where(always, np.float32(-np.inf), bounds), candidates, hazards

    def factors(self, draws: Draws, n: int) -> Tensor:
        """Common factors of `n` samples, float32, `[n, rank]`, on the CPU."""
        return replace(draws, device=CPU).normal("factors", (n, self.loadings.shape[1]))

    def fire(self, draws: Draws, factors: Tensor) -> tuple[Tensor, Tensor]:
        """What fires, given the common factors of each sample.

        What grows with features and samples alone is a matrix product and a comparison each;
        random numbers are drawn for little more than what fires.

        Args:
            draws: random numbers for the features' own noise.
            factors: `[n, rank]`.

        Returns:
            Sample and feature of each firing, in no particular order, int64 on the CPU.
        """
        drawn = list(self._tiles(draws.kernel_state("low_rank"), factors))
        samples, features = (np.concatenate(part) for part in zip(_NOTHING, *drawn))
        return torch.from_numpy(samples), torch.from_numpy(features)

    def _tiles(self, state: np.ndarray, factors: Tensor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Sample and feature of every firing, some features of some samples at a time."""
        from toysae.generators.copula.low_rank_kernel import thin

        loadings = self.loadings.float()
        samples, features = np.empty((2, _TILE[0] * _TILE[1]), np.int64)
        for first in range(0, len(factors), _TILE[0]):
            some = factors[first : first + _TILE[0]].T
            for start in range(0, len(loadings), _TILE[1]):
                place = slice(start, start + _TILE[1])
                contribution = (loadings[place] @ some).numpy()
                about = (values[place] for values in self._thinning)
                found = thin(state, contribution, samples, features, *about)
                yield first + samples[:found], start + features[:found]
