"""Blocks of features that fire in patterns: what most generators compile to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.coefficients import SparseCoefficients, offsets_of
from toysae.generators.laws.magnitudes import Magnitudes
from toysae.generators.truth import PairMoments, Truth

#: Probabilities that exclude each other may sum to this much more than 1, by rounding.
TOLERANCE = 1e-9
_BANDS_PER_OCTAVE = 4


class Schedule(NamedTuple):
    """What the sampler reads: blocks by falling activity, in bands within a factor of 2^(1/4).

    Attributes:
        bands: blocks of band `k` are at `bands[k]` to `bands[k + 1]` of `blocks`.
        bounds: activity of the most active block of each band, in (0, 1].
        blocks: the blocks that ever fire.
        patterns: patterns of block `b` are `patterns[b]` to `patterns[b + 1]`.
        cumulative: cumulative probability of each pattern within its block.
        members: features of pattern `p` are at `members[p]` to `members[p + 1]` of `features`.
        features: as `Blocks.features`.
        correlations: as `Blocks.correlations`.
    """

    bands: np.ndarray
    bounds: np.ndarray
    blocks: np.ndarray
    patterns: np.ndarray
    cumulative: np.ndarray
    members: np.ndarray
    features: np.ndarray
    correlations: np.ndarray


class Firings(NamedTuple):
    """Firings before they have a magnitude, `[firings]` each.

    Attributes:
        samples: int32.
        features: int32, each at most once a sample.
        quantiles: uniform numbers in `[0, 1)`, float32.
    """

    samples: np.ndarray
    features: np.ndarray
    quantiles: np.ndarray


@dataclass(frozen=True, eq=False)
class Blocks:
    """Disjoint blocks of features, independent of each other, each with a law over patterns.

    A pattern is a set of features of a block that fire while the others of the block do not. On a
    sample a block shows one of its patterns, or it is silent, with the probability that the
    patterns leave. Magnitudes are drawn for each firing; with the probability
    `correlations[block]` all that fire in the block on that sample share their quantile.

    Attributes:
        patterns: number of patterns of each block, `[n_blocks]`.
        probabilities: of the patterns, block after block, float64, `[n_patterns]`; at most 1 a
            block.
        sizes: number of features of each pattern, `>= 1`, `[n_patterns]`.
        features: features of the patterns, pattern after pattern, `[sizes.sum()]`.
        correlations: correlation of the magnitudes of two features of one law of a block, given
            that both fire, float64, `[n_blocks]`.
        magnitudes: of all features.
        n_features: number of features.
    """

    patterns: Tensor
    probabilities: Tensor
    sizes: Tensor
    features: Tensor
    correlations: Tensor
    magnitudes: Magnitudes
    n_features: int

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        """Coefficients of `n` samples, on the device of `draws`."""
        return self.coefficients(self.firings(draws, n), n).to(draws.device)

    def firings(self, draws: Draws, n: int) -> Firings:
        """What fires in `n` samples, block after block."""
        from toysae.generators.blocks_kernel import draw_firings

        room = int(1.1 * n * self.l0) + 1024
        return Firings(*draw_firings(draws.kernel_state("blocks"), n, self._schedule, room))

    def coefficients(self, firings: Firings, n: int) -> SparseCoefficients:
        """Firings with their magnitudes, sample by sample, on the CPU."""
        from toysae.generators.shared_kernel import move_by_sample

        # Before the sort, while features that lie side by side in memory come one after another.
        values = self.magnitudes.at(*map(torch.from_numpy, (firings.quantiles, firings.features)))
        drawn = SparseCoefficients(
            torch.empty(n + 1, dtype=torch.int64),
            torch.empty(len(values), dtype=torch.int64),
            torch.empty_like(values),
            self.n_features,
        )
        outputs = (drawn.offsets.numpy(), drawn.features.numpy(), drawn.values.numpy())
        move_by_sample(firings.samples, firings.features, values.numpy(), *outputs)
        return drawn

    def truth(self, names: Sequence[str], groups: Mapping[str, Sequence[int]]) -> Truth:
        """Exact facts about these blocks, under the given names."""
        return Truth(
            names,
            groups,
            self.marginals,
            self.marginals * self.magnitudes.mean,
            self.marginals * self.magnitudes.square,
            self.pair_moments,
        )

    @cached_property
    def marginals(self) -> Tensor:
        """Firing probability of each feature, `[n_features]`."""
        marginals = torch.zeros(self.n_features, dtype=torch.float64)
        return marginals.index_add_(0, self.features, self.probabilities[self._pattern_of])

    @cached_property
    def l0(self) -> float:
        """Expected number of features that fire on a sample."""
        return float(self.marginals.sum())

    def pair_moments(self, features: Tensor) -> PairMoments:
        """Second-order facts about the features of an index tensor `[k]`."""
        wanted, place = features.unique(return_inverse=True)
        marginals = self.marginals[wanted]
        mean = marginals * self.magnitudes.mean[wanted]
        probabilities, products = marginals.outer(marginals), mean.outer(mean)
        block = self._block_of[wanted]
        same = block[:, None] == block[None, :]
        probabilities[same], products[same] = 0, 0
        first, second, together = self._within_blocks(wanted)
        i, j = wanted[first], wanted[second]
        product = self.magnitudes.product(i, j, self.correlations[block[first]])
        product = torch.where(i == j, self.magnitudes.square[i], product)
        probabilities[first, second], products[first, second] = together, together * product
        table = (place[:, None], place[None, :])
        return PairMoments.exact(probabilities[table], products[table])

    def _within_blocks(self, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs of places in `wanted` that share a pattern, and the probability that both fire."""
        column = torch.full((self.n_features,), -1)
        column[wanted] = torch.arange(len(wanted))
        columns = column[self.features]
        kept = columns >= 0
        shape = (len(self.probabilities), len(wanted))
        at = (self._pattern_of[kept].numpy(), columns[kept].numpy())
        contains = sparse.csr_array((np.ones(len(at[0])), at), shape=shape)
        weighted = contains.multiply(self.probabilities.numpy()[:, None]).tocsr()
        pairs = (contains.T @ weighted).tocoo()
        first, second = (torch.from_numpy(index.astype(np.int64)) for index in pairs.coords)
        return first, second, torch.from_numpy(pairs.data)

    @cached_property
    def _pattern_of(self) -> Tensor:
        """Pattern of each entry of `features`."""
        return torch.arange(len(self.sizes)).repeat_interleave(self.sizes)

    @cached_property
    def _block_of(self) -> Tensor:
        """Block of each feature; -1 for one that lies in none."""
        block_of_pattern = torch.arange(len(self.patterns)).repeat_interleave(self.patterns)
        block_of = torch.full((self.n_features,), -1)
        block_of[self.features] = block_of_pattern[self._pattern_of]
        return block_of

    @cached_property
    def _schedule(self) -> Schedule:
        from toysae.generators.blocks_kernel import accumulate

        patterns = offsets_of(self.patterns).numpy()
        cumulative, activity = accumulate(patterns, self.probabilities.numpy())
        blocks = np.argsort(-activity, kind="stable")[: np.count_nonzero(activity)]
        steps = np.floor(-_BANDS_PER_OCTAVE * np.log2(activity[blocks]))
        _, starts = np.unique(steps, return_index=True)
        return Schedule(
            bands=np.append(starts, len(blocks)),
            bounds=np.minimum(activity[blocks[starts]], 1),
            blocks=blocks,
            patterns=patterns,
            cumulative=cumulative,
            members=offsets_of(self.sizes).numpy(),
            features=self.features.numpy(),
            correlations=self.correlations.numpy(),
        )
