"""What samples do, added up block by block: no table of samples x features is ever held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.describe.config import DescribeConfig
from experiments.describe.selection import Selection
from experiments.describe.tree import TreeCounts
from toysae.draws import CPU, Draws
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.truth import Truth
from toysae.hidden.stream import BLOCK
from toysae.progress import progress

#: The split of the data that is described: what a `Stream` of this split and seed holds.
SPLIT = "describe"

#: Samples in the raster.
RASTER = 60

_MOST_MAGNITUDES = 50_000

#: Samples are taken for independent up to this ratio of variances.
_DISPERSED = 2.0


class FeatureSums:
    """How often and how strongly each feature fires.

    Attributes:
        firings: samples on which each feature fires, `[n_features]`, float64 like the following.
        total, square, fourth: sums of coefficients and of their powers.
        block_square: sum over blocks of the squared number of firings in a block.
    """

    def __init__(self, n_features: int) -> None:
        self.firings, self.total, self.square, self.fourth, self.block_square = torch.zeros(
            5, n_features, dtype=torch.float64
        )

    def add(self, firing: SparseCoefficients) -> None:
        """Add a block."""
        values = firing.values.double()
        square = values.square()
        counts = torch.bincount(firing.features, minlength=firing.feature_count).double()
        self.firings += counts
        self.block_square += counts.square()
        self.total.index_add_(0, firing.features, values)
        self.square.index_add_(0, firing.features, square)
        self.fourth.index_add_(0, firing.features, square.square())


class PairSums:
    """How often and how strongly two of some features fire together.

    Attributes:
        together: samples on which both fire, `[k, k]`, float64 like the following.
        product, product_square: sums of products of coefficients and of their squares.
    """

    def __init__(self, features: Tensor, n_features: int) -> None:
        self._place = torch.full((n_features,), -1)
        self._place[features] = torch.arange(len(features))
        self._k = len(features)
        self.together, self.product, self.product_square = torch.zeros(
            3, self._k, self._k, dtype=torch.float64
        )

    def columns(self, firing: SparseCoefficients) -> Tensor:
        """Coefficients of the features, `[n, k]`, float64."""
        column = self._place[firing.features]
        wanted = column >= 0
        values = torch.zeros(firing.n_samples, self._k, dtype=torch.float64)
        values[firing.samples[wanted], column[wanted]] = firing.values[wanted].double()
        return values

    def add(self, firing: SparseCoefficients) -> None:
        """Add a block."""
        values = self.columns(firing)
        for total, power in (
            (self.together, (values > 0).double()),
            (self.product, values),
            (self.product_square, values.square()),
        ):
            total += power.T @ power


class MagnitudeSamples:
    """The first magnitudes of each group of features, enough for a histogram."""

    def __init__(self, selection: Selection) -> None:
        self._group_of = selection.group_of
        self._parts: dict[str, list[Tensor]] = {name: [] for name in selection.names}

    def add(self, firing: SparseCoefficients) -> None:
        """Take what is still needed from a block."""
        groups = self._group_of[firing.features]
        for group, parts in enumerate(self._parts.values()):
            room = _MOST_MAGNITUDES - sum(map(len, parts))
            if room > 0:
                parts.append(firing.values[groups == group][:room])

    def by_group(self) -> dict[str, Tensor]:
        """Magnitudes by name of the group; empty for a group that did not fire."""
        return {name: torch.cat(parts) for name, parts in self._parts.items()}


@dataclass(frozen=True, eq=False)
class Realised:
    """What was seen on all samples.

    Attributes:
        n_samples: how many.
        features, pairs, magnitudes: sums, see there; pairs are of the shown features.
        tree: what children did; None where there is no tree.
        l0: number of features that fire on each sample, `[n_samples]`, int64.
        first: coefficients of the shown features on the first samples, `[60, k]`.
    """

    n_samples: int
    features: FeatureSums
    pairs: PairSums
    magnitudes: dict[str, Tensor]
    tree: TreeCounts | None
    l0: Tensor
    first: Tensor

    @property
    def marginals(self) -> Tensor:
        """Share of samples on which each feature fires, `[n_features]`."""
        return self.features.firings / self.n_samples

    @property
    def dispersion(self) -> float:
        """How much more firings vary from block to block than of independent samples.

        Ratio of the variance of counts of blocks to the binomial one, over all features; 1 up to
        a ratio of 2, which few features show by chance, and for a single block.
        """
        blocks = self.n_samples / BLOCK
        counts, p = self.features.firings, self.marginals
        seen = (self.features.block_square - counts.square() / blocks).sum()
        expected = (blocks - 1) * BLOCK * (p * (1 - p)).sum()
        ratio = float(seen / expected) if expected > 0 else 1.0
        return ratio if ratio > _DISPERSED else 1.0


def draw(
    config: DescribeConfig, truth: Truth, selection: Selection, device: torch.device
) -> Realised:
    """Draw samples and add up what they do."""
    features = FeatureSums(truth.n_features)
    pairs = PairSums(selection.shown, truth.n_features)
    magnitudes = MagnitudeSamples(selection)
    tree = None if truth.parents is None else TreeCounts(truth.parents)
    l0: list[Tensor] = []
    first = torch.empty(0)
    with progress(config.blocks, "sampling") as advance:
        for firing in _blocks(config, device):
            features.add(firing)
            pairs.add(firing)
            magnitudes.add(firing)
            if tree is not None:
                tree.add(firing)
            if not l0:
                first = pairs.columns(firing.rows(0, RASTER))
            l0.append(firing.offsets.diff())
            advance(1)
    return Realised(
        config.blocks * BLOCK, features, pairs, magnitudes.by_group(), tree, torch.cat(l0), first
    )


def _blocks(config: DescribeConfig, device: torch.device) -> Iterator[SparseCoefficients]:
    draws = Draws(config.seed, ("data", SPLIT), device=device)
    for block in range(config.blocks):
        yield config.generator.sample(draws.at_block(block), BLOCK).sparse().to(CPU)
