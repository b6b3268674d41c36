"""Explained variance at each position, and of the tokens of chosen positions together."""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import refuse_non_finite
from toysae.metrics._pairs import MIN_RELATIVE_VARIANCE
from toysae.metrics._positions.positions import (
    Positions,
    chosen_positions,
    present_tokens,
    require_positions,
)


class ExplainedVarianceByPosition:
    """Explained variance at each position and over chosen ones, batch by batch.

    At one position, the mean is that of this position, so what is explained is the variance
    between sequences. Over several, it is the one mean of all their tokens, as in
    `toysae.metrics.reconstruction.ExplainedVariance`: the first position alone often makes most of
    that variance, which is why the number is reported with and without it.
    """

    def __init__(self) -> None:
        self._count = self._total = self._error = torch.zeros(0, dtype=torch.float64)
        self._mean = torch.zeros(0, 0, dtype=torch.float64)

    @property
    def count(self) -> Tensor:
        """Tokens at each position, `[T]`, int64."""
        return self._count.long()

    def update(self, x: Tensor, x_hat: Tensor, counted: Tensor | None = None) -> None:
        """Takes in one batch of sequences.

        Args:
            x: truth `[S, T, d]`.
            x_hat: reconstructions `[S, T, d]`.
            counted: bool `[S, T]`, false where there is no token (padding); all true if None.

        Raises:
            ShapeError: other shapes, or other positions or dimensions than before.
            DataError: NaN or infinity in a token that counts, or a mask that is not bool.
        """
        if x.ndim != 3 or x.shape != x_hat.shape:
            raise ShapeError(
                f"x has shape {tuple(x.shape)} and x_hat {tuple(x_hat.shape)}: "
                "expected [sequences, positions, d] twice"
            )
        present = present_tokens(x.new_zeros(x.shape[:2]), counted)
        x, x_hat = (v.detach().double().where(present[..., None], 0) for v in (x, x_hat))
        refuse_non_finite(x, "x")
        refuse_non_finite(x_hat, "x_hat")
        count = present.sum(dim=0).double()
        mean = x.sum(dim=0) / count.clamp(min=1)[:, None]
        deviation = (x - mean).square().sum(dim=-1).where(present, 0)
        if not self._count.any():
            self._count = self._total = self._error = torch.zeros_like(count)
            self._mean = torch.zeros_like(mean)
        require_positions(mean.shape[0], self._mean.shape[0])
        if mean.shape != self._mean.shape:
            raise ShapeError(
                f"tokens of {mean.shape[1]} dimensions after {self._mean.shape[1]}: "
                "use one accumulator for each"
            )
        both = (self._count + count).clamp(min=1)
        step = mean - self._mean
        between = step.square().sum(dim=-1) * self._count * count / both
        self._mean = self._mean + step * (count / both)[:, None]
        self._total = self._total + deviation.sum(dim=0) + between
        self._error = self._error + (x - x_hat).square().sum(dim=(0, 2))
        self._count = self._count + count

    def compute(self) -> Tensor:
        """Explained variance at each position, `[T]`; NaN where the tokens do not vary."""
        return _explained(self._total, self._error, self._count, self._mean)

    def over(self, positions: Positions = slice(None)) -> Tensor:
        """Explained variance of all tokens at the chosen positions, `[]`; NaN without variance.

        Raises:
            ShapeError: a position that is not there.
        """
        index = chosen_positions(positions, len(self._count), self._count.device)
        count, mean = self._count[index], self._mean[index]
        n = count.sum()
        centre = (count[:, None] * mean).sum(dim=0) / n.clamp(min=1)
        between = count * (mean - centre).square().sum(dim=-1)
        total = (self._total[index] + between).sum()
        return _explained(total, self._error[index].sum(), n, centre)


def explained_variance_by_position(
    x: Tensor, x_hat: Tensor, counted: Tensor | None = None
) -> Tensor:
    """Explained variance at each position, `1 - sum_s |x_st - x_hat_st|^2 / sum_s |x_st - mean|^2`.

    Of all sequences at once; `ExplainedVarianceByPosition` takes them batch by batch, and pools
    chosen positions. 1 is perfect, 0 is predicting the mean of the position, unbounded below.

    Args:
        x: truth `[S, T, d]`.
        x_hat: reconstructions `[S, T, d]`.
        counted: bool `[S, T]`, false where there is no token (padding); all true if None.

    Returns:
        float64 `[T]`; NaN where the tokens of a position do not vary, as for one that is BOS.

    Raises:
        ShapeError: other shapes.
        DataError: NaN or infinity in a token that counts, or a mask that is not bool.

    Source: explained variance of the tokens at one position.
    """
    accumulator = ExplainedVarianceByPosition()
    accumulator.update(x, x_hat, counted)
    return accumulator.compute()


def _explained(total: Tensor, error: Tensor, count: Tensor, mean: Tensor) -> Tensor:
    second_moment = total + count * mean.square().sum(dim=-1)
    return torch.where(total > MIN_RELATIVE_VARIANCE * second_moment, 1 - error / total, torch.nan)
