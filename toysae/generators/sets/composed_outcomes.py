"""Everything that can happen in a sample of composed sets, and how one number picks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toysae.generators.coefficients import SparseCoefficients, offsets_of
from toysae.generators.sets.set_blocks import Block


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Possible outcomes of every block of sets.

    One number a block picks an outcome of it. The first block also has the outcomes in which one
    feature is alone; the other blocks are silent then. Impossible outcomes are left out: they must
    not catch a rounding error.

    Attributes:
        cumulative: probability of an outcome or an earlier one of its block, float32,
            `[n_outcomes]`.
        starts: outcomes of block `b` are `starts[b]` to `starts[b + 1]`; `[n_blocks + 1]`.
        members: features that fire, padded with -1, `[n_outcomes, most sets in a block]`.
        n_together: how many outcomes of the first block have a feature of each of its sets.
        set_of: set of each feature, `[n_features]`.
    """

    cumulative: Tensor
    starts: Tensor
    members: Tensor
    n_together: int
    set_of: Tensor

    @classmethod
    def of(cls, blocks: Sequence[Block], sizes: Sequence[int], one_hot_fraction: float) -> Outcomes:
        """Outcomes of sets of given sizes, of which a fraction is one feature alone."""
        first_features = np.cumsum([0, *sizes])
        n_features, columns = sum(sizes), max(len(block.sets) for block in blocks)
        cumulative, members = [], []
        for block in blocks:
            probability = block.table.ravel()
            fires = np.full((probability.size, columns), -1)
            fires[:, : len(block.sets)] = np.indices(block.table.shape).reshape(
                len(block.sets), -1
            ).T + [first_features[k] for k in block.sets]
            if block is blocks[0]:
                alone = np.full((n_features, columns), -1)
                alone[:, 0] = np.arange(n_features)
                fires = np.concatenate([fires, alone])
                share = np.full(n_features, one_hot_fraction / n_features)
                probability = np.concatenate([(1 - one_hot_fraction) * probability, share])
                n_together = int((probability[: block.table.size] > 0).sum())
            cumulative.append(probability[probability > 0].cumsum())
            members.append(fires[probability > 0])
        return cls(
            torch.from_numpy(np.concatenate(cumulative)).float(),
            torch.tensor([0, *(len(part) for part in cumulative)]).cumsum(0),
            torch.from_numpy(np.concatenate(members)),
            n_together,
            torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)),
        )

    def to(self, device: torch.device) -> Outcomes:
        """The same on another device."""
        return Outcomes(
            self.cumulative.to(device),
            self.starts.to(device),
            self.members.to(device),
            self.n_together,
            self.set_of.to(device),
        )

    def firings(
        self, numbers: Tensor, shortfalls: Tensor, correlation: float
    ) -> SparseCoefficients:
        """What fires, in torch operations, on any device: the definition of the kernels.

        Args:
            numbers: uniform numbers in `[0, 1)`, `[n_blocks, n]`.
            shortfalls: uniform numbers in `[0, 1)` by which amplitudes fall short of 1, so that
                a feature that fires is never 0; `[n_sets, n]`.
            correlation: weight of the first set's amplitude in that of every other one.
        """
        starts = self.starts.tolist()
        drawn = torch.stack(
            [
                start + torch.searchsorted(self.cumulative[start : stop - 1], u, right=True)
                for u, start, stop in zip(numbers, starts, starts[1:])
            ],
            dim=1,
        )
        features = self.members[drawn]
        alone = drawn[:, 0] >= self.n_together
        features[alone, 1:] = -1
        features = features.flatten(1)
        sample, slot = (features >= 0).nonzero(as_tuple=True)
        feature = features[sample, slot]
        of_set = self.set_of[feature]
        f = torch.tensor(correlation, device=numbers.device)
        own = 1 - shortfalls[of_set, sample]
        mixed = (1 - f) * own + f * (1 - shortfalls[0, sample])
        values = torch.where((of_set > 0) & ~alone[sample], mixed, own)
        counts = (features >= 0).sum(1)
        return SparseCoefficients(offsets_of(counts), feature, values, len(self.set_of))
