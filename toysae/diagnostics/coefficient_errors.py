"""Why a coefficient on a latent is not that of its feature: an exact split of the difference.

The readout is known: `y = <a, h> + ε = c·w + ε` with `w = F a`. Regressed on latents, least squares
is linear in `y`, so that what each part of `y` adds to each coefficient can be told exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.diagnostics._column_space import column_space
from toysae.diagnostics._inputs import (
    ArrayLike,
    as_matrix,
    as_raw_vector,
    as_vector,
    center,
    resolution,
)
from toysae.diagnostics._least_squares import least_squares
from toysae.diagnostics.coefficients import readout_regression
from toysae.errors import DataError, ShapeError


@dataclass(frozen=True)
class CoefficientErrors:
    """The parts of `error = gain * estimate - reference`, which they sum to.

    All `[m]` and NaN for latents that are unmatched or not identifiable.

    Attributes:
        estimate: least squares of `y` on the latents.
        reference: `w_i = <a, f_i>` of the matched feature.
        gain: what the estimate is multiplied by to be in units of the feature.
        sampling: what the noise `ε` of this sample adds.
        definition: `<a, d_j> - w_i` with the unit decoder row: the latent stands for another
            direction than its feature (absorption, composition, hedging, splitting).
        attenuation: `(gain * λ_j - 1) w_i`, with `λ_j` the coefficient of latent `j` in the
            regression of its own feature on all latents: `var / (var + var_e)` for a latent with
            measurement error `e`, `1 / g` for one that is shrunken to `g` times its feature.
        omission: the rest: what other features load on the latent beyond what its decoder row
            says, because the reconstruction leaves them out (omitted variables).
        standard_errors: of the estimate, times the gain; their size is the sampling part's.
        vif: variance inflation factor of each latent: the sampling variance is so many times what
            it would be without collinearity, and no other part knows of it.
        n_defined: latents that have all of these.
    """

    estimate: Tensor
    reference: Tensor
    gain: Tensor
    sampling: Tensor
    definition: Tensor
    attenuation: Tensor
    omission: Tensor
    standard_errors: Tensor
    vif: Tensor

    @property
    def error(self) -> Tensor:
        """`gain * estimate - reference`."""
        return self.gain * self.estimate - self.reference

    @property
    def collinearity(self) -> Tensor:
        """Share of the sampling variance that collinearity adds, `1 - 1 / vif`, in [0, 1]."""
        return 1 - 1 / self.vif

    @property
    def n_defined(self) -> int:
        """Latents that are matched and identifiable."""
        return int((~self.error.isnan()).sum())

    @property
    def median_sizes(self) -> dict[str, float]:
        """Median absolute error and median size of each part over defined latents; NaN without any.

        A latent that is nearly a combination of others has a coefficient of any size.
        """
        parts = {
            "error": self.error,
            "sampling": self.sampling,
            "definition": self.definition,
            "attenuation": self.attenuation,
            "omission": self.omission,
        }
        return {name: float(part.abs().nanquantile(0.5)) for name, part in parts.items()}


def coefficient_errors(
    latents: ArrayLike,
    decoder: ArrayLike,
    coefficients: ArrayLike,
    features: ArrayLike,
    readout: ArrayLike,
    match: Tensor,
    *,
    noise: ArrayLike | None = None,
    gain: ArrayLike | None = None,
) -> CoefficientErrors:
    """Splits the errors of the coefficients of `y = <a, h> + ε` regressed on latents.

    `error = sampling + definition + attenuation + omission`, exactly. A wrong sign is no matter of
    sampling where the definition alone turns it.

    Args:
        latents: `[N, m]`.
        decoder: `[m, d]` rows; only their directions count.
        coefficients: `[N, n]`, the true ones.
        features: `[n, d]`, the true directions with the scale that the coefficients multiply.
        readout: `[d]`, the direction `a`.
        match: `[m]` int64, the feature that each latent stands for; -1 for none.
        noise: `[N]`, `ε`; none is 0.
        gain: `[m]`, such as the latent's slope on its feature; none is 1.

    Returns:
        The parts of each latent; NaN for unmatched and unidentifiable ones and zero decoder rows.

    Raises:
        ShapeError: shapes that do not fit together, or a match that is no feature.
        DataError: NaN or infinite values.

    Source: toysae; omitted variables and errors in variables: Fuller 1987.
    """
    z, c = as_matrix(latents, "latents"), as_matrix(coefficients, "coefficients")
    directions, rows = as_matrix(features, "features"), as_matrix(decoder, "decoder")
    a = as_vector(readout, "readout", rows.shape[1])
    _check_shapes(z, c, directions, rows, match)
    epsilon = z.new_zeros(len(z)) if noise is None else as_vector(noise, "noise", len(z))
    scale = z.new_ones(len(rows)) if gain is None else as_raw_vector(gain, "gain", len(rows))

    space = column_space(z, centered=True, eps=resolution(latents))
    weights = directions @ a
    matched = match >= 0
    own, place = match.clamp(min=0).unique(return_inverse=True)
    targets = torch.cat([(c @ weights)[:, None], epsilon[:, None], c[:, own]], dim=1)
    solved = least_squares(space, center(targets)[0])
    signal, sampling, of_own = solved[:, 0], solved[:, 1], solved[:, 2:]
    loading = of_own.gather(1, place[:, None])[:, 0]

    reference = weights[match.clamp(min=0)]
    definition = rows @ a / rows.norm(dim=1) - reference
    attenuation = (scale * loading - 1) * reference
    fit = readout_regression(latents, c @ weights + epsilon)
    known = matched & space.identifiable & ~definition.isnan()

    def where_known(values: Tensor) -> Tensor:
        return torch.where(known, values, torch.nan)

    return CoefficientErrors(
        estimate=where_known(signal + sampling),
        reference=where_known(reference),
        gain=where_known(scale),
        sampling=where_known(scale * sampling),
        definition=where_known(definition),
        attenuation=where_known(attenuation),
        omission=where_known(scale * (signal - loading * reference) - definition),
        standard_errors=where_known(scale.abs() * fit.standard_errors),
        vif=where_known(space.inverse_gram_diagonal()),
    )


def attenuation_factor(variance: float, error_variance: float) -> float:
    """What measurement error leaves of a coefficient, `var / (var + var_e)`; in [0, 1].

    Args:
        variance: of the true predictor.
        error_variance: of the error that is added to it, independent of it.

    Returns:
        The factor; NaN where both are 0.

    Raises:
        DataError: a negative or infinite variance.

    Source: errors in variables, Fuller 1987.
    """
    if not (0 <= variance < torch.inf and 0 <= error_variance < torch.inf):
        raise DataError(
            f"variance={variance}, error_variance={error_variance}: expected finite numbers of at "
            "least 0"
        )
    total = variance + error_variance
    return variance / total if total else torch.nan


def omitted_variable_coefficient(own: float, omitted: float, slope: float) -> float:
    """The coefficient of a predictor that stands in for an omitted one too, `β₁ + β₂ δ`.

    Args:
        own: its own coefficient, `β₁`.
        omitted: coefficient of the omitted variable, `β₂`.
        slope: of the regression of the omitted variable on the predictor, `δ`.

    Returns:
        The coefficient; any number, of any sign.

    Raises:
        DataError: NaN or infinity.

    Source: textbook.
    """
    if not all(abs(value) < torch.inf for value in (own, omitted, slope)):
        raise DataError(f"own={own}, omitted={omitted}, slope={slope}: expected finite numbers")
    return own + omitted * slope


def _check_shapes(z: Tensor, c: Tensor, features: Tensor, decoder: Tensor, match: Tensor) -> None:
    if len(z) != len(c) or z.shape[1] != len(decoder) or c.shape[1] != len(features):
        raise ShapeError(
            f"latents {tuple(z.shape)}, decoder {tuple(decoder.shape)}, coefficients "
            f"{tuple(c.shape)}, features {tuple(features.shape)}: expected [N, m], [m, d], [N, n], "
            "[n, d]"
        )
    if features.shape[1] != decoder.shape[1]:
        raise ShapeError(
            f"features have {features.shape[1]} dimensions, the decoder {decoder.shape[1]}: "
            "expected the same space"
        )
    if match.shape != (len(decoder),) or int(match.max()) >= len(features):
        raise ShapeError(
            f"match of shape {tuple(match.shape)} with features up to {int(match.max())}: expected "
            f"one feature below {len(features)} for each of {len(decoder)} latents"
        )
