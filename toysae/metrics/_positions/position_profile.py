"""A number a token, position by position, with the sequence as the unit of its intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toysae.metrics._inputs import refuse_infinite, require_axes
from toysae.metrics._positions.positions import (
    Positions,
    chosen_positions,
    present_tokens,
    require_positions,
)
from toysae.metrics._seeds.intervals import Interval, check_confidence, check_resamples


@dataclass(frozen=True)
class PositionProfile:
    """Mean value at each position, and what resampling the sequences makes of it."""

    value: Tensor
    """Mean over sequences, `[T]`; NaN where no sequence has a value."""
    count: Tensor
    """Sequences with a value, `[T]`, int64."""
    n_sequences: int
    """Sequences seen."""
    sums: Tensor
    """Sums of values in each resample, `[resamples, T]`."""
    counts: Tensor
    """Numbers of values in each resample, `[resamples, T]`."""

    def bounds(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Percentile bounds at each position, `[T]` each; NaN where there is no value.

        Raises:
            DataError: a confidence outside (0, 1).
        """
        check_confidence(confidence)
        low, high = _quantiles(self.sums / self.counts, confidence)
        return low, high

    def over(self, positions: Positions = slice(None), confidence: float = 0.95) -> Interval:
        """Mean over all tokens at the chosen positions; `n` counts sequences, NaN without tokens.

        Raises:
            ShapeError: a position that is not there.
            DataError: a confidence outside (0, 1).
        """
        check_confidence(confidence)
        index = chosen_positions(positions, len(self.count), self.count.device)
        count = int(self.count[index].sum())
        weighted = (self.value * self.count)[index].nansum().item()
        resampled = self.sums[:, index].sum(dim=1) / self.counts[:, index].sum(dim=1)
        low, high = _quantiles(resampled, confidence)
        return Interval(
            weighted / count if count else math.nan,
            low.item(),
            high.item(),
            self.n_sequences,
            "percentile, sequences resampled",
            confidence,
        )


class PerPosition:
    """Value and count at each position, over sequences that arrive batch by batch.

    Keeps two numbers a position and resample, however many sequences pass. A resample gives each
    sequence a Poisson(1) weight, which needs no second look at the data and comes to the ordinary
    bootstrap for more than a few dozen sequences (Chamandy et al. 2012). Weights belong to
    sequences in the order they come, so batch boundaries do not matter.
    """

    def __init__(self, *, resamples: int = 1000, seed: int = 0) -> None:
        """Raises `DataError` for less than one resample."""
        check_resamples(resamples)
        self._resamples = resamples
        self._rng = np.random.default_rng(seed)
        self._n_sequences = 0
        # The first row is the data as they are, the others its resamples.
        self._sums = torch.zeros(1 + resamples, 0, dtype=torch.float64)
        self._counts = torch.zeros_like(self._sums)

    def update(self, values: Tensor, counted: Tensor | None = None) -> None:
        """Takes in one batch of sequences.

        Args:
            values: one number a token `[S, T]`; bool counts as 0 and 1, NaN is undefined.
            counted: bool `[S, T]`, false where there is no token (padding); all true if None.

        Raises:
            ShapeError: not two axes, another mask, or another number of positions than before.
            DataError: infinity, or a mask that is not bool.
        """
        require_axes(values, "values", "[sequences, positions]")
        values = values.detach().to(torch.float64)
        present = present_tokens(values, counted)
        refuse_infinite(values[present], "values")
        if not self._n_sequences:
            self._sums = values.new_zeros(1 + self._resamples, values.shape[1])
            self._counts = torch.zeros_like(self._sums)
        require_positions(values.shape[1], self._sums.shape[1])
        drawn = self._rng.poisson(1.0, size=(len(values), self._resamples))
        weights = torch.from_numpy(np.insert(drawn, 0, 1, axis=1).astype(np.float64))
        weights = weights.T.to(values.device)
        self._sums += weights @ values.where(present, 0)
        self._counts += weights @ present.double()
        self._n_sequences += len(values)

    def profile(self) -> PositionProfile:
        """The profile so far."""
        return PositionProfile(
            self._sums[0] / self._counts[0],
            self._counts[0].long(),
            self._n_sequences,
            self._sums[1:],
            self._counts[1:],
        )


def per_position(
    values: Tensor, counted: Tensor | None = None, *, resamples: int = 1000, seed: int = 0
) -> PositionProfile:
    """Mean of a number a token at each position, `sum_s v_st / #{s: v_st defined}`.

    Of all sequences at once; `PerPosition` takes them batch by batch.

    Args:
        values: one number a token `[S, T]`; bool counts as 0 and 1, NaN is undefined.
        counted: bool `[S, T]`, false where there is no token (padding); all true if None.
        resamples: resamples of the sequences.
        seed: of the resampling.

    Returns:
        The profile; NaN with a count of 0 where no sequence has a value.

    Raises:
        ShapeError: not two axes, or another mask.
        DataError: infinity, a mask that is not bool, or less than one resample.

    Source: bootstrap over streams: Chamandy et al. 2012, "Estimating uncertainty for massive data
    streams".
    """
    accumulator = PerPosition(resamples=resamples, seed=seed)
    accumulator.update(values, counted)
    return accumulator.profile()


def _quantiles(resampled: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    tails = resampled.new_tensor([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = torch.nanquantile(resampled, tails, dim=0)
    return low, high
