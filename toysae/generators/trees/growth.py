"""How trees fire: from the roots down, looking at the children of what fires only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from toysae.draws import Draws
from toysae.generators.coefficients import offsets_of
from toysae.generators.copula.gaussian import thresholds_of
from toysae.generators.copula.low_rank import LowRankLatents
from toysae.generators.independent import Independent
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.trees.forest import Forest

#: Loadings of children are padded to a multiple of this, which the kernel takes at a time.
_RANK_STEP = 4


class Level(NamedTuple):
    """Firings of the features of one depth.

    Attributes:
        samples, features: of each firing.
        origins: place of the parent's firing in the level above; 0 for roots.
    """

    samples: Tensor
    features: Tensor
    origins: Tensor


#: Given a level's samples and features, `origins` and `children` as `tree_kernel` writes them.
Decide = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Growth(ABC):
    """A law of which features of a forest fire.

    Attributes:
        forest: the trees.
        exclusive: whether siblings exclude each other.
    """

    forest: Forest
    exclusive: bool

    @abstractmethod
    def fire(self, draws: Draws, n: int) -> Sequence[Level]:
        """What fires on `n` samples, depth by depth, on the CPU."""

    def _grow(self, samples: Tensor, features: Tensor, decide: Decide) -> Sequence[Level]:
        """All levels, given the firings of the roots."""
        levels = [Level(samples, features, torch.zeros_like(features))]
        while len(levels[-1].features):
            above = levels[-1]
            found = decide(above.samples.numpy(), above.features.numpy())
            origins, children = map(torch.from_numpy, found)
            features = self.forest.children[children]
            levels.append(Level(above.samples[origins], features, origins))
        return levels

    @cached_property
    def _first(self) -> np.ndarray:
        """Where each feature's children begin among all children; one longer than the features."""
        return offsets_of(self.forest.family_sizes).numpy()


@dataclass(frozen=True, eq=False)
class IndependentGrowth(Growth):
    """Trees are independent, and in a tree everything but what its laws exclude.

    Attributes:
        given_parent: probability to fire, given that the parent does, float64, `[n_features]`; of
            exclusive siblings at most 1 in total.
    """

    given_parent: Tensor

    def fire(self, draws: Draws, n: int) -> Sequence[Level]:
        from toysae.generators.trees.tree_kernel import decide_each, pick_one

        kernel, chances = (
            (pick_one, self._cumulative) if self.exclusive else (decide_each, self._chances)
        )
        state = draws.kernel_state("children")
        roots = self._roots.sample(draws.child("roots"), n)
        return self._grow(
            roots.samples,
            self.forest.roots[roots.features],
            lambda samples, features: kernel(state, features, self._first, chances),
        )

    @cached_property
    def _roots(self) -> Independent:
        p = self.given_parent[self.forest.roots]
        return Independent(len(p), profiles.Array(tuple(p.tolist())), magnitudes.Constant())

    @cached_property
    def _chances(self) -> np.ndarray:
        return self.given_parent[self.forest.children].numpy()

    @cached_property
    def _cumulative(self) -> np.ndarray:
        """Of each child: the probability that it or one before it in its family fires."""
        from toysae.generators.blocks_kernel import accumulate

        return accumulate(self._first, self._chances)[0]


@dataclass(frozen=True, eq=False)
class LatentGrowth(Growth):
    """Each feature's own draw is whether its latent exceeds a threshold; latents share factors.

    Attributes:
        own: probability of each feature's own draw, float64, `[n_features]`.
        loadings: of each feature's latent on the common factors, float64, `[n_features, rank]`.
    """

    own: Tensor
    loadings: Tensor

    def fire(self, draws: Draws, n: int) -> Sequence[Level]:
        from toysae.generators.trees.tree_kernel import decide_by_latent

        state = draws.kernel_state("children")
        factors = self._roots.factors(draws, n)
        samples, which = self._roots.fire(draws, factors)
        padded = _padded(factors)
        return self._grow(
            samples,
            self.forest.roots[which],
            lambda samples, features: decide_by_latent(
                state, features, self._first, samples, padded, *self._children, self.exclusive
            ),
        )

    @cached_property
    def _roots(self) -> LowRankLatents:
        return self._latents(self.forest.roots)

    @cached_property
    def _children(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loadings, thresholds and spreads of all children."""
        latents = self._latents(self.forest.children)
        thresholds, spreads = latents.thresholds.numpy(), latents.spreads.numpy()
        return _padded(latents.loadings.float()), thresholds, spreads

    def _latents(self, features: Tensor) -> LowRankLatents:
        return LowRankLatents(thresholds_of(self.own[features]), self.loadings[features])


def _padded(rows: Tensor) -> Any:
    """Rows with zeros up to the next multiple of the kernel's step."""
    return pad(rows, (0, -rows.shape[1] % _RANK_STEP)).numpy()
