"""What other code calls explained variance or error, to compare with its numbers and nothing else.

`toysae.metrics.reconstruction.explained_variance` is the one to report. The definitions here differ
from it by more than the differences between SAEs that papers discuss, so a number from elsewhere
can be compared only with the one here that is made the same way. SAELens from 6.45.1 on, the FVU of
sparse_coding (and, within a batch, of sparsify) and scikit-learn's
`r2_score(multioutput="variance_weighted")` are `explained_variance` itself.

All take `x [N, d]` and `x_hat [N, d]` (or members, as `reconstruction` does), in this order, and
exactly the batch that was used: most of them are averages over batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._pairs import MIN_RELATIVE_VARIANCE, norm, paired, ratio
from toysae.metrics.reconstruction import PerSample, normalized_mse


@dataclass(frozen=True)
class PerDimension:
    """A number a dimension, and its mean."""

    per_dimension: Tensor
    """`[..., d]`; NaN where undefined."""

    @property
    def n_defined(self) -> Tensor:
        """Dimensions that are defined, `[]`, int64."""
        return (~torch.isnan(self.per_dimension)).sum(dim=-1)

    @property
    def mean(self) -> Tensor:
        """Mean over defined dimensions, `[]`; NaN without any."""
        return self.per_dimension.nanmean(dim=-1)


@dataclass(frozen=True)
class UncentredExplainedVariance:
    """One minus the normalised squared error, in two ways of averaging."""

    mean_of_ratios: Tensor
    """`1 - mean_t |x - x_hat|^2 / |x|^2`, `[]`; NaN without a sample that is not zero."""
    ratio_of_sums: Tensor
    """`1 - sum |x - x_hat|^2 / sum |x|^2`, `[]`; NaN if all samples are zero."""


def legacy_explained_variance(x: Tensor, x_hat: Tensor) -> PerSample:
    """The mean over samples of `1 - |x - x_hat|^2 / |x - mean(x)|^2`.

    Dominated by samples near the mean, of which one is enough for minus infinity, and dependent on
    the batch. At most 1, unbounded below. Not symmetric.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`: exactly the batch that was used.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Per sample; NaN for a sample that equals the mean.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: SAELens up to 5.7, and `explained_variance_legacy` since; the numbers of the SAEBench
    paper and of Neuronpedia; e2e_sae 2.1.1 `calc_explained_variance`.
    """
    x, x_hat = paired(x, x_hat)
    deviation = (x - x.mean(dim=-2, keepdim=True)).square().sum(dim=-1)
    return PerSample(1 - ratio((x - x_hat).square().sum(dim=-1), deviation))


def e2e_sae_explained_variance(x: Tensor, x_hat: Tensor) -> PerSample:
    """`legacy_explained_variance` with truth and reconstruction swapped.

    e2e_sae passes the activations as the prediction and the reconstruction as the target, so that
    it divides by the variance of the reconstruction. At most 1, unbounded below.

    Args:
        x: truth `[N, d]` or `[M, N, d]`: exactly the batch that was used.
        x_hat: reconstructions of the same shape.

    Returns:
        Per sample; NaN for a reconstruction that equals the mean reconstruction.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: e2e_sae 2.1.1, `OutToIn` metrics.
    """
    x, x_hat = paired(x, x_hat)
    return legacy_explained_variance(x_hat, x)


def saelens_5_8_explained_variance(x: Tensor, x_hat: Tensor) -> Tensor:
    """`1 - E |x - x_hat|^2 / (E |x|^2 - (mean_d E x_d^2)^2)`: a defect, kept to explain numbers.

    The subtracted term should be `sum_d (E x_d)^2`, and is the square of a mean square: a quantity
    of the fourth power. So the value depends on the units of the data, is not 0 for predicting the
    mean, and exceeds 1 where `S = E |x|^2 > d^2`, as for tokens of large norm. For `S < d^2` it is
    above the true value where `(S / d)^2 < |mean(x)|^2`, and below it otherwise.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        float64 `[]` or `[M]`, unbounded on both sides; NaN where the denominator is 0.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: SAELens 5.8.0 (pull request #443) to 6.45.0 (corrected in 6.45.1 by #665); SAEBench
    0.6.0.
    """
    x, x_hat = paired(x, x_hat)
    error = (x - x_hat).square().sum(dim=-1).mean(dim=-1)
    power = x.square().sum(dim=-1).mean(dim=-1)
    return 1 - ratio(error, power - (power / x.shape[-1]).square())


def dictionary_learning_explained_variance(
    x: Tensor, x_hat: Tensor, batch: int | None = None
) -> Tensor:
    """Mean over batches of `1 - sum_d Var(x - x_hat) / sum_d Var(x)`: blind to a constant error.

    Never below `explained_variance` on one batch, as it forgives a bias of any size. Averaging
    over batches removes the variance between them, and is another number again.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.
        batch: samples of each batch, in the order given, at least 1; all in one if None.

    Returns:
        float64 `[]` or `[M]`, at most 1; NaN if the samples of a batch do not vary.

    Raises:
        ShapeError: shapes that do not fit together, or an empty batch.
        DataError: NaN or infinity.

    Source: dictionary_learning 0.1.0, `frac_variance_explained`. On one batch it is scikit-learn's
    `explained_variance_score(multioutput="variance_weighted")`.
    """
    if batch is not None and batch < 1:
        raise ShapeError(f"batch={batch}: expected at least one sample")
    x, x_hat = paired(x, x_hat)
    size = max(1, x.shape[-2]) if batch is None else batch
    shares = [
        1 - ratio(_centred_squares(part - part_hat), _varying_squares(part))
        for part, part_hat in zip(x.split(size, dim=-2), x_hat.split(size, dim=-2))
    ]
    return torch.stack(shares).mean(dim=0)


def uniform_explained_variance(x: Tensor, x_hat: Tensor) -> PerDimension:
    """The mean over dimensions of the coefficient of determination of each.

    A dimension that hardly varies weighs as much as all others, so it depends on the axes. At most
    1, unbounded below.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Per dimension; NaN where `x` does not vary (scikit-learn puts 0 or 1 there).

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: scikit-learn's default `r2_score(multioutput="uniform_average")`; torchmetrics 1.9.0.
    """
    x, x_hat = paired(x, x_hat)
    deviation = (x - x.mean(dim=-2, keepdim=True)).square().sum(dim=-2)
    varies = deviation > MIN_RELATIVE_VARIANCE * x.square().sum(dim=-2)
    error = (x - x_hat).square().sum(dim=-2)
    return PerDimension(torch.where(varies, 1 - error / deviation, torch.nan))


def uncentred_explained_variance(x: Tensor, x_hat: Tensor) -> UncentredExplainedVariance:
    """One minus `normalized_mse`: compares with predicting zero instead of the mean.

    Near 1 for whatever data lie far from the origin. At most 1, unbounded below.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Both ways of averaging; NaN where undefined.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: OpenAI sparse_autoencoder, `normalized_mean_squared_error` (the mean of ratios); Gao et
    al. 2024 (arXiv 2406.04093).
    """
    found = normalized_mse(x, x_hat)
    return UncentredExplainedVariance(1 - found.mean, 1 - found.ratio_of_sums)


def doubly_divided_mse(x: Tensor, x_hat: Tensor) -> Tensor:
    """`mean_t |x - x_hat|^2 / N`: divided by the number of samples twice, a defect.

    Falls with the size of the batch. Sums over dimensions, as `squared_error` does.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`: exactly the batch that was used.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        float64 `[]` or `[M]`, at least 0; NaN without samples.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: `mse` of SAELens up to 6.45.1 (corrected in 6.45.2) and of SAEBench 0.6.0.
    """
    x, x_hat = paired(x, x_hat)
    return (x - x_hat).square().sum(dim=-1).mean(dim=-1) / x.shape[-2]


def dictionary_learning_l2_loss(x: Tensor, x_hat: Tensor) -> PerSample:
    """The mean length of the error, `mean_t |x - x_hat|`: a norm, not its square. Symmetric.

    Args:
        x: truth `[N, d]`, `[1, N, d]` or `[M, N, d]`.
        x_hat: reconstructions `[N, d]` or `[M, N, d]`.

    Returns:
        Per sample, at least 0.

    Raises:
        ShapeError: shapes that do not fit together.
        DataError: NaN or infinity.

    Source: dictionary_learning 0.1.0, `l2_loss`.
    """
    x, x_hat = paired(x, x_hat)
    return PerSample(norm(x - x_hat))


def _centred_squares(x: Tensor) -> Tensor:
    return (x - x.mean(dim=-2, keepdim=True)).square().sum(dim=(-2, -1))


def _varying_squares(x: Tensor) -> Tensor:
    """Sum of squared deviations; 0 where it is rounding of the mean."""
    squares = _centred_squares(x)
    varies = squares > MIN_RELATIVE_VARIANCE * x.square().sum(dim=(-2, -1))
    return torch.where(varies, squares, 0)
