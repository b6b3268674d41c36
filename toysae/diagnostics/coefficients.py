"""Can the coefficients of a readout be trusted, with features or latents as predictors?

A linear readout of the hidden space has a true coefficient for every feature. A regression on the
latents of an SAE can fit it perfectly and still get signs wrong: not only by sampling error, which
collinearity inflates, but because a latent stands for another direction than its feature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.diagnostics._column_space import ColumnSpace, column_space
from toysae.diagnostics._inputs import (
    ArrayLike,
    as_matrix,
    as_raw_vector,
    as_standard_errors,
    as_vector,
    center,
    n_values,
    resolution,
)
from toysae.diagnostics._least_squares import least_squares


@dataclass(frozen=True)
class Regression:
    """Ordinary least squares of a target on `k` predictors.

    Attributes:
        beta: `[k]`; NaN for predictors that are not identifiable.
        standard_errors: `[k]`; NaN where beta is or where no degree of freedom is left.
        intercept: 0 where none was fitted, NaN where it is not identifiable.
        intercept_se: standard error of the intercept; NaN where none was fitted or identifiable.
        identifiable: `[k]`, whether the data determine the coefficient.
        minimum_norm: `[k]`, the shortest of all coefficient vectors that fit best (the intercept
            does not count); equal to beta where beta is defined.
        r_squared: share of the squares explained, about the mean with an intercept and about the
            origin without; in [0, 1], NaN for a target without variation.
        residual_variance: `RSS / degrees_of_freedom`; NaN without degrees of freedom.
        degrees_of_freedom: `N` minus the rank, the intercept included.
    """

    beta: Tensor
    standard_errors: Tensor
    intercept: float
    intercept_se: float
    identifiable: Tensor
    minimum_norm: Tensor
    r_squared: float
    residual_variance: float
    degrees_of_freedom: int

    @property
    def t(self) -> Tensor:
        """`[k]`, beta over its standard error."""
        return self.beta / self.standard_errors

    @property
    def sign_confidence(self) -> Tensor:
        """`[k]`, `Φ(|t|)`: how sure the sign is as far as sampling goes, in [0.5, 1].

        High for a wrong sign too where a latent stands for another direction than its feature.
        """
        return torch.special.ndtr(self.t.abs())

    @property
    def n_identifiable(self) -> int:
        """Number of predictors whose coefficient the data determine."""
        return int(self.identifiable.sum())


@dataclass(frozen=True)
class SignErrors:
    """Signs of estimated coefficients against the true ones.

    Attributes:
        wrong: `[k]` float64, 1 where the estimate has another sign than the reference, 0 where it
            has the same; NaN where undefined, so that means over groups leave it out. An estimate
            of 0 is wrong.
        defined: `[k]`, whether there is an estimate and a reference other than 0.
        expected: `[k]`, `Φ(-|reference| / se)`: the probability of a wrong sign from sampling
            alone, if the estimate is unbiased and normal; NaN where undefined.
    """

    wrong: Tensor
    defined: Tensor
    expected: Tensor

    @property
    def n_defined(self) -> int:
        """Number of coefficients that have an estimate and a reference other than 0."""
        return int(self.defined.sum())

    @property
    def rate(self) -> float:
        """Share of wrong signs among the defined ones; NaN where there are none."""
        return float(self.wrong.nanmean())


def readout_regression(
    predictors: ArrayLike, y: ArrayLike, *, intercept: bool = True
) -> Regression:
    """Least squares of `y` on the predictors, exact collinearity included.

    Predictors are scaled to unit length before ranks are judged, so units do not matter. Where an
    exact relation leaves some coefficients open, those are NaN and the others are as usual: the
    standard error is `σ / sqrt(n_effective)` of `collinearity.vif` (with an intercept).

    Args:
        predictors: `[N, k]` samples as rows, without a column for the intercept.
        y: `[N]` target.
        intercept: whether the model has one.

    Returns:
        Coefficients, errors and fit; NaN for coefficients that the data do not determine.

    Raises:
        ShapeError: `predictors` is not a matrix or `y` has another length.
        DataError: NaN or infinite values.

    Source: textbook.
    """
    matrix = as_matrix(predictors, "predictors")
    target = as_vector(y, "y", len(matrix))
    space = column_space(matrix, centered=intercept, eps=resolution(predictors))
    deviations, mean = center(target) if intercept else (target, target.new_zeros(()))

    shortest = least_squares(space, deviations[:, None])[:, 0]
    residuals = deviations - space.left @ (space.left.T @ deviations)
    freedom = len(target) - space.rank - int(intercept)
    variance = residuals.square().sum() / freedom if freedom > 0 else target.new_tensor(torch.nan)
    errors = (variance * space.inverse_gram_diagonal()).sqrt() / space.units
    known = space.identifiable
    constant, constant_se = 0.0, math.nan
    if intercept:
        constant, constant_se = _intercept(space, mean, shortest, variance)
    return Regression(
        beta=torch.where(known, shortest, torch.nan),
        standard_errors=torch.where(known, errors, torch.nan),
        intercept=constant,
        intercept_se=constant_se,
        identifiable=known,
        minimum_norm=shortest,
        r_squared=float((1 - residuals.square().sum() / deviations.square().sum()).clamp(min=0)),
        residual_variance=float(variance),
        degrees_of_freedom=freedom,
    )


def implied_coefficients(decoder: ArrayLike, readout: ArrayLike) -> Tensor:
    """Coefficients `<a, d_j>` that the decoder itself gives the latents for a readout `y = <a, h>`.

    They are the exact coefficients wherever the reconstruction is exact, whatever the collinearity.
    Their distance from `<a, f_i>` of the matching feature is the definition error: what absorption,
    composition, hedging and splitting do to a coefficient with no sampling error at all.

    Args:
        decoder: `[m, d]` rows, with the scale that the latents' activations are used with.
        readout: `[d]`, the direction `a`.

    Returns:
        `[m]`.

    Raises:
        ShapeError: the two live in spaces of different dimension.
        DataError: NaN or infinite values.

    Source: y = <a, h> and h = z D.
    """
    rows = as_matrix(decoder, "decoder")
    return rows @ as_vector(readout, "readout", rows.shape[1])


def sign_errors(beta: ArrayLike, reference: ArrayLike, standard_errors: ArrayLike) -> SignErrors:
    """Which estimated coefficients have the wrong sign, and how many sampling alone would give.

    More wrong signs than expected mean that the coefficients are estimates of something else than
    the reference.

    Args:
        beta: `[k]` estimates; NaN where undefined.
        reference: `[k]` the truth for each estimate; NaN or 0 where it has no sign.
        standard_errors: `[k]` of the estimates; NaN where undefined.

    Returns:
        Which signs are wrong, and the probability of each; NaN where undefined.

    Raises:
        ShapeError: not one axis, or lengths that differ.
        DataError: an infinite estimate or reference, or a negative standard error.

    Source: textbook.
    """
    length = n_values(beta, "beta")
    estimate = as_raw_vector(beta, "beta", length)
    truth = as_raw_vector(reference, "reference", length)
    errors = as_standard_errors(standard_errors, length)
    signed = ~truth.isnan() & (truth != 0)
    defined = signed & ~estimate.isnan()
    expected = torch.special.ndtr(-truth.abs() / errors)
    return SignErrors(
        wrong=torch.where(defined, (estimate.sign() != truth.sign()).double(), torch.nan),
        defined=defined,
        expected=torch.where(signed, expected, torch.nan),
    )


def _intercept(
    space: ColumnSpace, mean: Tensor, beta: Tensor, variance: Tensor
) -> tuple[float, float]:
    """Value and standard error at predictors of 0, or NaN where a relation leaves it open."""
    means = space.means / space.units
    open_ended = (space.null.T @ means).norm() > space.support_threshold * (1 + means.norm())
    if open_ended:
        return math.nan, math.nan
    leverage = (space.right.T @ means / space.singular_values).square().sum()
    value = mean - space.means @ beta
    return float(value), float((variance * (1 / len(space.left) + leverage)).sqrt())
