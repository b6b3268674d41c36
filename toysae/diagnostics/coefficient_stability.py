"""Does a coefficient keep its sign: over resamples, checkpoints, data, seeds and estimators?

Stability is not truth: a latent that stands for another direction than its feature has the wrong
sign in every replicate (see `toysae.diagnostics.coefficient_errors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LassoCV
from torch import Tensor

from toysae.diagnostics._inputs import (
    ArrayLike,
    as_matrix,
    as_raw_vector,
    as_tensor,
    as_vector,
    center,
)
from toysae.diagnostics.coefficients import readout_regression
from toysae.errors import ConfigError, DataError, ShapeError


@dataclass(frozen=True)
class Stability:
    """How coefficients vary over replicates.

    Attributes:
        mean: `[k]` over the replicates in which the coefficient is defined; NaN without any.
        sd: `[k]` standard deviation (divisor `n - 1`); NaN for fewer than two.
        sign_agreement: `[k]` share of defined replicates with the sign of the estimate, in [0, 1];
            NaN where the estimate is undefined or 0.
        sign_flip_rate: `[k]` share of pairs of defined replicates with opposite signs, in [0, 1]
            (at most a little above 1/2); NaN for fewer than two.
        n_defined: `[k]` replicates in which the coefficient is defined.
    """

    mean: Tensor
    sd: Tensor
    sign_agreement: Tensor
    sign_flip_rate: Tensor
    n_defined: Tensor


@dataclass(frozen=True)
class Estimators:
    """The same coefficients by other estimators, each per unit of the raw predictor.

    Attributes:
        least_squares: `[k]`; NaN where not identifiable.
        marginal: `[k]` slope of the target on this predictor alone; NaN for a constant one.
        penalties: of the ridge trace, `λ`.
        ridge: `[penalties, k]`, `(R + λ I)⁻¹ r` on standardised predictors, in raw units; 0 for a
            constant predictor.
        lasso: `[k]`, at the penalty of the least cross-validated error.
    """

    least_squares: Tensor
    marginal: Tensor
    penalties: tuple[float, ...]
    ridge: Tensor
    lasso: Tensor

    @property
    def agree(self) -> Tensor:
        """`[k]`, whether least squares, the marginal slope and the whole ridge trace have one sign.

        False where one of them is undefined or 0. The lasso has no vote: its 0 is no sign.
        """
        signs = torch.stack([self.least_squares, self.marginal, *self.ridge]).sign()
        return (signs == signs[0]).all(0) & (signs[0] != 0) & ~self.least_squares.isnan()


def coefficient_stability(replicates: ArrayLike, estimate: ArrayLike) -> Stability:
    """How coefficients vary over replicates: resamples, checkpoints, data seeds, matched SAE seeds.

    Args:
        replicates: `[R, k]`, coefficients of each replicate; NaN where undefined.
        estimate: `[k]`, the coefficients in question; NaN where undefined.

    Returns:
        Mean, spread and signs of each coefficient over the replicates that define it.

    Raises:
        ShapeError: not two axes, or another number of coefficients.
        DataError: infinite values.

    Source: toysae.
    """
    values = as_tensor(replicates).to(torch.float64)
    if values.ndim != 2:
        raise ShapeError(
            f"replicates of shape {tuple(values.shape)}: expected [replicates, coefficients]"
        )
    if bool(values.isinf().any()):
        raise DataError("replicates hold infinite values: NaN says that a coefficient is undefined")
    reference = as_raw_vector(estimate, "estimate", values.shape[1])
    defined = ~values.isnan()
    n = defined.sum(0)
    mean = values.nanmean(0)
    squares = torch.where(defined, values - mean, 0.0).square().sum(0)
    positive, negative = (values > 0).sum(0), (values < 0).sum(0)
    same = ((values.sign() == reference.sign()) & defined).sum(0) / n
    pairs = n * (n - 1) / 2
    return Stability(
        mean=mean,
        # With one replicate or none these are 0 / 0: undefined.
        sd=(squares / (n - 1).clamp(min=0)).sqrt(),
        sign_agreement=torch.where(reference.isnan() | (reference == 0), torch.nan, same),
        sign_flip_rate=positive * negative / pairs,
        n_defined=n,
    )


def bootstrap_coefficients(
    predictors: ArrayLike,
    y: ArrayLike,
    *,
    n_resamples: int = 200,
    seed: int = 0,
    sequence_length: int = 1,
) -> Tensor:
    """Least squares with intercept on resampled sequences; what `coefficient_stability` takes.

    Whole sequences are resampled, since tokens of one sequence depend. The same seed gives the same
    resamples.

    Args:
        predictors: `[N, k]`, sequences one after another.
        y: `[N]` target.
        n_resamples: resamples.
        seed: of the resampling.
        sequence_length: samples of a sequence; 1 where samples are independent.

    Returns:
        `[n_resamples, k]`; NaN where a resample does not identify a coefficient, by the rounding of
        the type that the predictors are stored in.

    Raises:
        ShapeError: lengths that differ, or `N` is no multiple of the sequence length.
        ConfigError: a count below 1.
        DataError: NaN or infinite values.

    Source: Efron 1979.
    """
    matrix = as_matrix(predictors, "predictors")
    target = as_vector(y, "y", len(matrix))
    for name, value in (("n_resamples", n_resamples), ("sequence_length", sequence_length)):
        if value < 1:
            raise ConfigError(f"{name}={value}: allowed are 1 and above")
    if len(matrix) % sequence_length:
        raise ShapeError(
            f"{len(matrix)} samples in sequences of {sequence_length}: expected whole sequences"
        )
    rng = np.random.default_rng(seed)
    stored = as_tensor(predictors)
    sequences = torch.arange(len(matrix)).view(-1, sequence_length)
    betas = []
    for _ in range(n_resamples):
        drawn = torch.from_numpy(rng.integers(len(sequences), size=len(sequences)))
        rows = sequences[drawn].flatten().to(matrix.device)
        betas.append(readout_regression(stored[rows], target[rows]).beta)
    return torch.stack(betas)


def estimators(
    predictors: ArrayLike, y: ArrayLike, penalties: Sequence[float] = (0.01, 0.1, 1.0, 10.0)
) -> Estimators:
    """The same coefficients by least squares, one by one, by ridge and by the lasso.

    A sign that changes along the ridge trace, or that differs between the coefficient and the
    marginal slope, belongs to the company that the predictor keeps.

    Args:
        predictors: `[N, k]`.
        y: `[N]` target.
        penalties: `λ > 0` of the ridge trace, relative to the unit diagonal of the correlation
            matrix `R`.

    Returns:
        Each estimate, per raw unit of its predictor.

    Raises:
        ShapeError: lengths that differ.
        ConfigError: a penalty that is not positive.
        DataError: NaN or infinite values, or fewer samples than the 5 folds of the lasso.

    Source: ridge: Hoerl and Kennard 1970; lasso: Tibshirani 1996, as in scikit-learn.
    """
    matrix = as_matrix(predictors, "predictors")
    target = as_vector(y, "y", len(matrix))
    for penalty in penalties:
        if not 0 < penalty < torch.inf:
            raise ConfigError(f"penalties: found {penalty}; allowed are finite numbers above 0")
    if len(matrix) < 5:
        raise DataError(f"{len(matrix)} samples: the lasso is cross-validated in 5 folds")
    deviations, response = center(matrix)[0], center(target)[0]
    lengths = deviations.norm(dim=0)
    units = torch.where(lengths > 0, lengths, 1.0)
    scaled = deviations / units
    correlation, projection = scaled.T @ scaled, scaled.T @ response
    identity = torch.eye(len(units), dtype=torch.float64, device=matrix.device)
    ridge = [
        torch.linalg.solve(correlation + penalty * identity, projection) / units
        for penalty in penalties
    ]
    return Estimators(
        least_squares=readout_regression(predictors, y).beta,
        marginal=torch.where(lengths > 0, projection / units, torch.nan),
        penalties=tuple(penalties),
        ridge=torch.stack(ridge) if ridge else matrix.new_empty(0, len(units)),
        lasso=_lasso(scaled, response) / units,
    )


def _lasso(scaled: Tensor, response: Tensor) -> Tensor:
    if not bool(response.any()):
        return torch.zeros_like(scaled[0])
    model = LassoCV(cv=5, max_iter=20_000).fit(scaled.cpu().numpy(), response.cpu())
    return torch.from_numpy(model.coef_).to(scaled.device)
