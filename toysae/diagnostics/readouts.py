"""The same readout regressed on four sets of predictors, by every estimator.

Features are the reference; latents are what there is; matched latents leave the company of the
others out; principal components are what needs no SAE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.diagnostics._inputs import ArrayLike, as_matrix, as_tensor, as_vector, resolution
from toysae.diagnostics.coefficient_stability import Estimators, estimators
from toysae.diagnostics.coefficients import Regression, readout_regression
from toysae.diagnostics.pca import pca
from toysae.errors import DataError, ShapeError


@dataclass(frozen=True)
class ReadoutFits:
    """The same readout regressed on four sets of predictors.

    Attributes:
        features: on the true coefficients; the reference for its betas is `w`.
        latents: on all latents.
        matched: on the best latent of each feature alone, in the order of `matched_latents`.
        matched_latents: those latents, ascending.
        components: on the principal components of the hidden space that have variance beyond
            rounding; its betas estimate `<a, pc_k>` and are NaN for the other components.
    """

    features: Regression
    latents: Regression
    matched: Regression
    matched_latents: Tensor
    components: Regression

    @property
    def n_components(self) -> int:
        """Components with variance beyond rounding, those that the readout is regressed on."""
        return self.components.n_identifiable


@dataclass(frozen=True)
class ReadoutEstimators:
    """The coefficients on the same four sets by least squares, one by one, ridge and the lasso.

    Attributes:
        features: of the true coefficients.
        latents: of all latents.
        matched: of the best latent of each feature, in the order of `matched_latents`.
        matched_latents: those latents, ascending.
        components: of the principal components; NaN, or 0 under a penalty, for those without
            variance.
    """

    features: Estimators
    latents: Estimators
    matched: Estimators
    matched_latents: Tensor
    components: Estimators


def readout_fits(
    coefficients: ArrayLike, latents: ArrayLike, hidden: ArrayLike, y: ArrayLike, match: Tensor
) -> ReadoutFits:
    """Regresses a readout on true features, on latents, on matched latents and on PCs.

    Args:
        coefficients: `[N, n]`, the true ones.
        latents: `[N, m]`.
        hidden: `[N, d]`.
        y: `[N]`, the readout.
        match: `[n]` int64, the best latent of each feature; -1 for none.

    Returns:
        Four regressions with an intercept; NaN for coefficients that the data do not determine,
        and for those of components without variance.

    Raises:
        ShapeError: shapes that do not fit together, or a single sample.
        DataError: NaN or infinite values, or no feature with a latent.

    Source: toysae.
    """
    sets = _predictor_sets(coefficients, latents, hidden, y, match)
    return ReadoutFits(
        features=readout_regression(sets.features, y),
        latents=readout_regression(sets.latents, y),
        matched=readout_regression(sets.matched, y),
        matched_latents=sets.matched_latents,
        components=readout_regression(sets.components, y),
    )


def readout_estimators(
    coefficients: ArrayLike,
    latents: ArrayLike,
    hidden: ArrayLike,
    y: ArrayLike,
    match: Tensor,
    penalties: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
) -> ReadoutEstimators:
    """`coefficient_stability.estimators` of a readout on the four sets that `readout_fits` takes.

    A sign that all estimators agree on for a latent, and that is not the one of its feature, is no
    matter of collinearity.

    Args:
        coefficients: `[N, n]`, the true ones.
        latents: `[N, m]`.
        hidden: `[N, d]`.
        y: `[N]`, the readout.
        match: `[n]` int64, the best latent of each feature; -1 for none.
        penalties: `λ > 0` of the ridge trace.

    Returns:
        Least squares, marginal slopes, ridge and lasso on each set, per raw unit of the predictor.

    Raises:
        ShapeError: shapes that do not fit together.
        ConfigError: a penalty that is not positive.
        DataError: NaN or infinite values, no feature with a latent, or fewer than 5 samples.

    Source: ridge: Hoerl & Kennard (1970), Technometrics 12(1); lasso: Tibshirani (1996), J. R.
    Statist. Soc. B 58, as in scikit-learn.
    """
    sets = _predictor_sets(coefficients, latents, hidden, y, match)
    return ReadoutEstimators(
        features=estimators(sets.features, y, penalties),
        latents=estimators(sets.latents, y, penalties),
        matched=estimators(sets.matched, y, penalties),
        matched_latents=sets.matched_latents,
        components=estimators(sets.components, y, penalties),
    )


class _Sets(NamedTuple):
    """Predictors of the same samples, each in the type that it is stored in."""

    features: Tensor
    latents: Tensor
    matched: Tensor
    components: Tensor
    matched_latents: Tensor


def _predictor_sets(
    coefficients: ArrayLike, latents: ArrayLike, hidden: ArrayLike, y: ArrayLike, match: Tensor
) -> _Sets:
    c, z = as_matrix(coefficients, "coefficients"), as_matrix(latents, "latents")
    x = as_matrix(hidden, "hidden")
    as_vector(y, "y", len(c))
    if not len(c) == len(z) == len(x):
        raise ShapeError(
            f"coefficients, latents and hidden of {len(c)}, {len(z)} and {len(x)} samples: "
            "expected the same samples, one row each"
        )
    if match.shape != (c.shape[1],) or int(match.max()) >= z.shape[1]:
        raise ShapeError(
            f"match of shape {tuple(match.shape)} with latents up to {int(match.max())}: expected "
            f"one latent below {z.shape[1]} for each of {c.shape[1]} features"
        )
    chosen = match[match >= 0].unique()
    if len(chosen) == 0:
        raise DataError("match names no latent: expected at least one feature with a latent")
    stored = as_tensor(latents)
    return _Sets(
        features=as_tensor(coefficients),
        latents=stored,
        matched=stored[:, chosen.to(stored.device)],
        components=_scores(x, resolution(hidden)),
        matched_latents=chosen,
    )


def _scores(x: Tensor, eps: float) -> Tensor:
    """Coordinates of samples on their principal components; 0 where they are rounding alone.

    Beyond the rank of `x` a coordinate is the rounding of the stored numbers: as a predictor it
    would fit noise with a coefficient of any size.
    """
    found = pca(x)
    lengths = (found.eigenvalues * (len(x) - 1)).sqrt()
    return torch.where(lengths > 4 * eps * x.norm(), x @ found.components.T, 0.0)
