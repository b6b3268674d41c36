"""How per-item similarities are distributed: shares above thresholds, and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._inputs import refuse_infinite, refuse_non_finite


@dataclass(frozen=True)
class FractionAbove:
    """Share of values above each of several thresholds."""

    thresholds: Tensor
    """The thresholds, `[k]`."""
    fraction: Tensor
    """Share of defined values strictly above each, `[k]`; NaN where no value is defined."""
    n_defined: int
    """Values that are not NaN."""


@dataclass(frozen=True)
class Quantiles:
    """Values below which given shares of all values lie."""

    levels: Tensor
    """The shares, `[k]`."""
    value: Tensor
    """Quantile at each, `[k]`; NaN where no value is defined."""
    n_defined: int
    """Values that are not NaN."""


def fraction_above(values: Tensor, thresholds: Sequence[float] = (0.7, 0.8, 0.9)) -> FractionAbove:
    """Share of `values` strictly above each threshold, `#{v > t} / #{v defined}`, in [0, 1].

    Args:
        values: any shape, such as `MaxCosine.a_to_b`; NaN is undefined and not counted.
        thresholds: the thresholds.

    Returns:
        The shares; NaN where no value is defined.

    Raises:
        DataError: an infinite value, or a threshold that is not finite.

    Source: textbook, the empirical survival function.
    """
    defined = _defined(values)
    limits = _levels(thresholds, "thresholds", values)
    above = (defined[None, :] > limits[:, None]).double().mean(dim=1)
    return FractionAbove(limits, above, len(defined))


def quantiles(values: Tensor, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)) -> Quantiles:
    """Quantiles of the defined `values`, linear between neighbours, in the range of `values`.

    Of a maximum cosine they belong to one direction, with replacement: give both.

    Args:
        values: any shape, such as `MaxCosine.a_to_b`; NaN is undefined and not counted.
        levels: shares in [0, 1].

    Returns:
        The quantiles; NaN where no value is defined.

    Raises:
        DataError: an infinite value, or a level outside [0, 1].

    Source: Hyndman and Fan 1996, definition 7; computed by `numpy.quantile`.
    """
    defined = _defined(values)
    shares = _levels(levels, "levels", values)
    if bool(((shares < 0) | (shares > 1)).any()):
        raise DataError(f"levels={list(levels)}: expected shares in [0, 1]")
    value = torch.full_like(shares, torch.nan)
    if len(defined):
        found = np.quantile(defined.cpu().numpy(), shares.cpu().numpy())
        value = torch.from_numpy(found).to(shares.device)
    return Quantiles(shares, value, len(defined))


def _defined(values: Tensor) -> Tensor:
    values = values.detach().double()
    refuse_infinite(values, "values")
    return values[~torch.isnan(values)]


def _levels(levels: Sequence[float], name: str, values: Tensor) -> Tensor:
    found = torch.tensor(list(levels), dtype=torch.float64, device=values.device)
    refuse_non_finite(found, name)
    return found
