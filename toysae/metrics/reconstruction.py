"""How well reconstructions fit: explained variance, error, direction and shrinkage.

The sums are pooled: `toysae.metrics.published` has the definitions that others use under the same
name, and `toysae.metrics.positions` has all of it position by position.

Inputs are `x` and `x_hat` of shape `[N, d]`, or `[M, N, d]` for `M` members; `x [N, d]` or
`[1, N, d]` is shared by all members. Results carry the member axis too: `[M]` where the table says
`[]`. Arithmetic is float64, so a large common offset costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._pairs import MIN_RELATIVE_VARIANCE, norm, paired, ratio

# Samples shorter than this have no direction and no meaningful relative error.
_MIN_NORM = 1e-6


@dataclass(frozen=True)
class NormalizedMSE:
    """Squared error relative to the squared norm, in two ways of averaging."""

    per_sample: Tensor
    """`|x - x_hat|^2 / |x|^2`, `[..., N]`; NaN for a zero sample."""
    ratio_of_sums: Tensor
    """`sum |x - x_hat|^2 / sum |x|^2`, `[]`; NaN if all samples are zero."""

    @property
    def n_defined(self) -> Tensor:
        """Samples that are not zero, `[]`, int64; what `mean` is over."""
        return _n_defined(self.per_sample)

    @property
    def mean(self) -> Tensor:
        """Mean of `per_sample` over defined samples, `[]`; small samples weigh as large ones."""
        return self.per_sample.nanmean(dim=-1)


@dataclass(frozen=True)
class PerSample:
    """A number a sample, and its mean."""

    per_sample: Tensor
    """`[..., N]`; NaN where undefined."""

    @property
    def n_defined(self) -> Tensor:
        """Samples that are defined, `[]`, int64."""
        return _n_defined(self.per_sample)

    @property
    def mean(self) -> Tensor:
        """Mean over defined samples, `[]`; NaN without any."""
        return self.per_sample.nanmean(dim=-1)


@dataclass(frozen=True)
class Shrinkage:
    """How much shorter reconstructions are than what they reconstruct, in three ways."""

    norm_ratio: Tensor
    """`|x_hat| / |x|`, `[..., N]`; NaN for samples with `|x| < 1e-6`."""
    ratio_of_means: Tensor
    """`mean |x_hat| / mean |x|`, `[]`; NaN if all samples are zero."""
    relative_bias: Tensor
    """`E |x_hat|^2 / E <x, x_hat>`, `[]`; below 1 is shrinkage; NaN where the product is 0."""

    @property
    def n_defined(self) -> Tensor:
        """Samples that are long enough, `[]`, int64; what `mean_norm_ratio` is over."""
        return _n_defined(self.norm_ratio)

    @property
    def mean_norm_ratio(self) -> Tensor:
        """Mean of `norm_ratio` over defined samples, `[]`."""
        return self.norm_ratio.nanmean(dim=-1)


class ExplainedVariance:
    """Explained variance over batches that arrive one by one, `1 - SSE / SST`.

    The sums are pooled over samples and dimensions, and the mean is that of all samples seen, so
    batch boundaries do not matter. An average over batches is another number, and a wrong one.
    """

    def __init__(self) -> None:
        self._n_samples = 0
        self._mean = torch.zeros((), dtype=torch.float64)
        self._total = torch.zeros((), dtype=torch.float64)
        self._error = torch.zeros((), dtype=torch.float64)

    @property
    def n_samples(self) -> int:
        """Samples seen."""
        return self._n_samples

    def update(self, x: Tensor, x_hat: Tensor) -> None:
        """Takes in one batch.

        Args:
            x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
            x_hat: reconstructions `[N, d]` or `[M, N, d]`.

        Raises:
            ShapeError: shapes that do not fit together.
            DataError: NaN or infinity.
        """
        x, x_hat = paired(x, x_hat)
        if x.shape[-2]:
            mean = x.mean(dim=-2)
            total = (x - mean[..., None, :]).square().sum(dim=(-2, -1))
            self._absorb(x.shape[-2], mean, total, (x - x_hat).square().sum(dim=(-2, -1)))

    def merge(self, other: ExplainedVariance) -> None:
        """Takes in what another accumulator has seen; the order does not matter."""
        if other._n_samples:
            self._absorb(other._n_samples, other._mean, other._total, other._error)

    @property
    def varies(self) -> Tensor:
        """Whether the data vary, bool `[]` or `[M]`; where not, explained variance is undefined."""
        second_moment = self._total + self._n_samples * self._mean.square().sum(dim=-1)
        return self._total > MIN_RELATIVE_VARIANCE * second_moment

    def compute(self) -> Tensor:
        """Explained variance so far, `[]` or `[M]`, at most 1; NaN where the data do not vary."""
        return torch.where(self.varies, 1 - self._error / self._total, torch.nan)

    def _absorb(self, n_samples: int, mean: Tensor, total: Tensor, error: Tensor) -> None:
        """Chan, Golub and LeVeque's merge of counts, means and sums of squared deviations."""
        if self._n_samples and self._mean.shape != mean.shape:
            raise ShapeError(
                f"batches of shape {tuple(mean.shape)} after batches of {tuple(self._mean.shape)} "
                "([members, dimensions]): use one accumulator for each"
            )
        n_both = self._n_samples + n_samples
        step = mean - self._mean
        between = step.square().sum(dim=-1) * (self._n_samples * n_samples / n_both)
        self._mean = self._mean + step * (n_samples / n_both)
        self._total = self._total + total + between
        self._error = self._error + error
        self._n_samples = n_both


def explained_variance(x: Tensor, x_hat: Tensor) -> Tensor:
    """Share of the variance of `x` that `x_hat` explains, pooled over samples and dimensions.

    `1 - sum |x - x_hat|^2 / sum |x - mean(x)|^2`. 1 is perfect, 0 is predicting the mean, and it
    is unbounded below. Invariant to a common shift, scale and rotation. Not symmetric. Equals
    sklearn's `r2_score(multioutput="variance_weighted")`, and 1 - FVU.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        float64 `[]` or `[M]`; NaN where `x` does not vary or is empty.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: coefficient of determination; 1 - FVU.
    """
    accumulator = ExplainedVariance()
    accumulator.update(x, x_hat)
    return accumulator.compute()


def fraction_of_variance_unexplained(x: Tensor, x_hat: Tensor) -> Tensor:
    """Share of the variance of `x` that `x_hat` leaves, `sum |x - x_hat|^2 / sum |x - mean(x)|^2`.

    `1 - explained_variance`: 0 is perfect, 1 is predicting the mean, unbounded above.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        float64 `[]` or `[M]`; NaN where `x` does not vary or is empty.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: 1 - explained variance; sparse_coding and, within a batch, sparsify.
    """
    return 1 - explained_variance(x, x_hat)


def squared_error(x: Tensor, x_hat: Tensor) -> PerSample:
    """Squared error of each sample, `|x - x_hat|^2`, summed over dimensions; 0 is best. Symmetric.

    Others average over dimensions: divide by `d`.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Per sample; always defined.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: textbook.
    """
    x, x_hat = paired(x, x_hat)
    return PerSample((x - x_hat).square().sum(dim=-1))


def normalized_mse(x: Tensor, x_hat: Tensor) -> NormalizedMSE:
    """Squared error in units of the squared norm; at least 0, 0 is perfect, 1 is predicting 0.

    The mean of ratios and the ratio of sums differ by much where norms do; papers report either.
    Not symmetric. Invariant to a common scale and rotation, not to a shift.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Both; NaN for zero samples.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: Gao et al. 2024 (arXiv 2406.04093).
    """
    x, x_hat = paired(x, x_hat)
    error, power = (x - x_hat).square().sum(dim=-1), x.square().sum(dim=-1)
    return NormalizedMSE(ratio(error, power), ratio(error.sum(dim=-1), power.sum(dim=-1)))


def mean_cosine(x: Tensor, x_hat: Tensor) -> PerSample:
    """Cosine of each sample with its reconstruction, in [-1, 1]; 1 is best. Symmetric.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Per sample; NaN where either is a zero vector.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: textbook.
    """
    x, x_hat = paired(x, x_hat)
    lengths = norm(x) * norm(x_hat)
    return PerSample(ratio((x * x_hat).sum(dim=-1), lengths).clamp(-1, 1))


def shrinkage(x: Tensor, x_hat: Tensor) -> Shrinkage:
    """How much shorter than `x` the reconstructions are; 1 is none, below 1 is shrinkage.

    Three numbers that agree only for `x_hat = c x`, where all are `c`: the mean ratio of norms,
    the ratio of mean norms, and the relative reconstruction bias, which is 1 wherever no rescaling
    improves the reconstruction. Not symmetric.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        All three; NaN where undefined.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: relative reconstruction bias: Rajamanoharan et al. 2024 (arXiv 2404.16014), eq. 10.
    """
    x, x_hat = paired(x, x_hat)
    length, length_hat = norm(x), norm(x_hat)
    return Shrinkage(
        (length_hat / length).masked_fill(length < _MIN_NORM, torch.nan),
        ratio(length_hat.sum(dim=-1), length.sum(dim=-1)),
        ratio(x_hat.square().sum(dim=(-2, -1)), (x * x_hat).sum(dim=(-2, -1))),
    )


def _n_defined(per_sample: Tensor) -> Tensor:
    return (~torch.isnan(per_sample)).sum(dim=-1)
