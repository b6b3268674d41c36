"""The recovery rate at every threshold: what a single threshold hides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import refuse_infinite, refuse_nan, require_weights

_LOWEST = 0.5
_THRESHOLDS = torch.linspace(_LOWEST, 1, 51, dtype=torch.float64)


@dataclass(frozen=True)
class RecoveryCurve:
    """Share of features that are recovered, by the cosine that is asked for."""

    thresholds: Tensor
    """Cosines asked for, `[k]`."""
    recovered: Tensor
    """Share of the features above each, strictly, `[k]`; NaN if none is defined."""
    area: float
    """Mean of the curve over thresholds from .5 to 1, exact; NaN if no feature is defined."""
    at_70: float
    """Share above .7."""
    at_90: float
    """Share above .9."""
    at_95: float
    """Share above .95."""
    n_defined: int
    """Features with a cosine and, where weighted, a weight above 0."""
    n_total: int
    """Features."""


def recovery_curve(
    cosine: Tensor, *, weights: Tensor | None = None, thresholds: Tensor = _THRESHOLDS
) -> RecoveryCurve:
    """Share of features whose best latent points closer than each threshold.

    `Rec(t) = sum_i w_i [cos_i > t] / sum_i w_i`, in [0, 1], not increasing in `t`. The area is
    `mean_i clip((cos_i - .5) / .5, 0, 1)`, exactly that under the curve on [.5, 1]: 1 if all
    features are found exactly, 0 if none is closer than 60 degrees.

    Args:
        cosine: of each feature with its best latent, `[n]`, such as `FeatureRecovery.cosine`; NaN
            is undefined and left out. For a group of features, its entries alone.
        weights: weight of each feature, `[n]`, at least 0, such as its frequency; all 1 if None.
        thresholds: cosines to ask for, `[k]`.

    Returns:
        The curve, its area and its values at .7, .9 and .95; NaN where no feature is defined.

    Raises:
        ShapeError: not one axis, or as many weights as features are not there.
        DataError: infinite cosines; weights that are negative or not finite; a threshold that is
            NaN.

    Source: toysae; single thresholds are folklore.
    """
    if cosine.ndim != 1 or (weights is not None and weights.shape != cosine.shape):
        raise ShapeError(
            f"cosine has shape {tuple(cosine.shape)} and weights "
            f"{None if weights is None else tuple(weights.shape)}: expected one entry a feature"
        )
    cosine = cosine.detach().double()
    refuse_infinite(cosine, "cosine")
    refuse_nan(thresholds, "thresholds")
    weights = torch.ones_like(cosine) if weights is None else weights.detach().to(cosine)
    require_weights(weights, "weights")
    defined = ~cosine.isnan() & (weights > 0)
    cosine, share = cosine[defined], weights[defined] / weights[defined].sum()
    thresholds = thresholds.to(cosine)

    def above(threshold: Tensor | float) -> Tensor:
        found = (share * (cosine > threshold)).sum(dim=-1)
        return found if len(share) else torch.full_like(found, torch.nan)

    depth = ((cosine - _LOWEST) / (1 - _LOWEST)).clamp(0, 1)
    return RecoveryCurve(
        thresholds,
        above(thresholds[:, None]),
        (share @ depth).item() if len(share) else torch.nan,
        at_70=above(0.7).item(),
        at_90=above(0.9).item(),
        at_95=above(0.95).item(),
        n_defined=len(share),
        n_total=len(defined),
    )
