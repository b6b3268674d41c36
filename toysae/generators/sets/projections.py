"""Exact moments of the projection of two composed sets onto a line."""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor


def projection_kurtosis(
    table: Tensor, first: Tensor, second: Tensor, one_hot_fraction: float, correlation: float
) -> Tensor:
    """`E[p^4] / E[p^2]^2` about the origin, for `p = sum of coefficient * weight`.

    What second moments cannot see: with independent amplitudes on the axes of the plane, 1.8 along
    an axis and 2.4 along a diagonal; 1.8 and 3.6 with shared ones; covariance is isotropic in both.

    Args:
        table: joint probabilities where both sets fire, float64, `[n_x, n_y]`.
        first, second: weights of the features of each set, `[k, n_x]` and `[k, n_y]`, such as the
            inner products of `k` lines with the feature directions.
        one_hot_fraction: fraction of samples with a single feature.
        correlation: `f` of the amplitudes `a` and `(1 - f) b + f a`.

    Returns:
        `[k]`; NaN where the projection is always 0.
    """
    alone = torch.cat([first, second], dim=1)
    moments = {}
    for power in (2, 4):
        together = torch.zeros(len(first), dtype=torch.float64)
        for m in range(power + 1):
            cells = torch.einsum("ki,ij,kj->k", first ** (power - m), table, second**m)
            together += comb(power, m) * _amplitude_moment(power - m, m, correlation) * cells
        single = (alone**power).mean(1) / (power + 1)
        moments[power] = (1 - one_hot_fraction) * together + one_hot_fraction * single
    return moments[4] / moments[2].square()


def _amplitude_moment(k: int, m: int, f: float) -> float:
    """`E[a^k ((1 - f) b + f a)^m]` for independent `a, b ~ U(0, 1)`."""
    return sum(
        comb(m, t) * f**t * (1 - f) ** (m - t) / ((k + t + 1) * (m - t + 1)) for t in range(m + 1)
    )
