"""Whether the activations of latents are the coefficients of features, not only in sign."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.sparse import csc_array
from torch import Tensor

from toysae.metrics._detection.columns import (
    Activations,
    above,
    both_by_samples,
    column_sums,
    device_of,
    indicators,
    require_pairs,
    squares,
    variation,
)


@dataclass(frozen=True)
class CoefficientFit:
    """How well latents give the coefficients of their features, `[k]` pairs each."""

    r2_identity: Tensor
    """`1 - sum (c - z)^2 / sum (c - mean c)^2`, at most 1; NaN for a constant feature."""
    r2_gain: Tensor
    """The same of `c - gain z`; may be negative, as it has no intercept. NaN for dead latents."""
    r2: Tensor
    """Squared Pearson correlation, of the best affine map; NaN where either is constant."""
    gain: Tensor
    """`sum c z / sum z^2`, the scale that the latent needs; NaN for a dead latent."""
    gain_detected: Tensor
    """The same over samples on which the feature is active and the latent fires; NaN without."""
    slope_detected: Tensor
    """`sum c z / sum c^2` over these: below 1 the latent shrinks its feature; NaN without."""
    n_detected: Tensor
    """Samples on which the feature is active and the latent fires, int64."""
    n_samples: int
    """Samples looked at."""

    @property
    def n_defined(self) -> int:
        """Pairs of which r2 is defined."""
        return int((~torch.isnan(self.r2)).sum())

    @property
    def mean_r2_identity(self) -> float:
        """Mean over defined pairs."""
        return self.r2_identity.nanmean().item()

    @property
    def mean_r2_gain(self) -> float:
        """Mean over defined pairs."""
        return self.r2_gain.nanmean().item()

    @property
    def mean_r2(self) -> float:
        """Mean over defined pairs."""
        return self.r2.nanmean().item()


def coefficient_fit(
    coefficients: Activations,
    latents: Activations,
    feature: Tensor,
    latent: Tensor,
    *,
    threshold: float = 0.0,
) -> CoefficientFit:
    """How far the activations of matched latents are the coefficients themselves.

    `r2_identity` takes the activation as it is, `r2_gain` at its best scale through 0, `r2` at its
    best scale and offset; each is at least the one before, at most 1, and only `r2` at least 0.
    Read `r2` for information, and the gain or slope on detected samples for shrinkage, free of what
    the latent misses. Orientation: coefficients are the truth.

    An activation is in the units of its coefficient where decoder rows and features have length 1;
    multiply latents by the length of their decoder row otherwise.

    Args:
        coefficients: truth `[N, n]`, a table or `SparseCodes`.
        latents: activations `[N, m]` of the same samples.
        feature: feature of each pair, `[k]`; -1 where there is none.
        latent: latent of each pair, `[k]`; -1 where there is none.
        threshold: activation above which a latent fires, strictly; for detected samples only.

    Returns:
        The fits of the pairs; NaN where undefined, and for pairs without partner.

    Raises:
        ShapeError: different samples, or indices that do not fit.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: textbook least squares; shrinkage: Wright and Sharkey 2024, "Addressing feature
    suppression in SAEs".
    """
    truth, learned = both_by_samples(coefficients, latents)
    feature, latent = require_pairs(feature, latent, truth.shape[1], learned.shape[1])
    partnered = ((feature >= 0) & (latent >= 0)).nonzero().flatten()
    c = truth.tocsc()[:, feature[partnered].numpy()]
    z = learned.tocsc()[:, latent[partnered].numpy()]
    n_detected, gain_detected, slope_detected = _where_detected(c, z, threshold)
    gain = column_sums(c.multiply(z)) / squares(z)
    of_c, of_z = variation(c), variation(z)
    scaled = z.multiply(gain.numpy()).tocsc()

    def spread(values: Tensor, fill: float = torch.nan) -> Tensor:
        out = values.new_full(feature.shape, fill)
        out[partnered] = values
        return out.to(device_of(latents))

    return CoefficientFit(
        r2_identity=spread(1 - squares(c - z) / of_c),
        r2_gain=spread((1 - squares(c - scaled) / of_c).where(~gain.isnan(), torch.nan)),
        r2=spread((_covariation(c, z).square() / (of_c * of_z)).clamp(max=1)),
        gain=spread(gain),
        gain_detected=spread(gain_detected),
        slope_detected=spread(slope_detected),
        n_detected=spread(n_detected, 0),
        n_samples=truth.shape[0],
    )


def _where_detected(c: csc_array, z: csc_array, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Samples with a coefficient and an activation above `threshold`, and both slopes on them."""
    both = indicators(c).multiply(indicators(above(z, threshold))).tocsc()
    c, z = c.multiply(both), z.multiply(both)
    cz = column_sums(c.multiply(z))
    return column_sums(both).long(), cz / squares(z), cz / squares(c)


def _covariation(c: csc_array, z: csc_array) -> Tensor:
    """`sum (c - mean c) (z - mean z)` of each column."""
    return column_sums(c.multiply(z)) - column_sums(c) * column_sums(z) / c.shape[0]
