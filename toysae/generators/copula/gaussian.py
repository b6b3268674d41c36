"""Two correlated normal variables above their thresholds, and the correlation that this needs.

A feature fires where its standard normal latent exceeds a threshold. The correlation `r` of two
latents is not the correlation of what fires (phi, of the firing indicators), which is smaller and
has bounds of its own: both directions are here, for tensors of any shapes that broadcast.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtr, ndtri, owens_t
from torch import Tensor

_STEPS = 100
_CLOSE = 1e-13
_ROUNDING = 1e-12


def thresholds_of(probabilities: Tensor) -> Tensor:
    """`t` with `P(z > t) = p` for a standard normal `z`; `inf` for 0 and `-inf` for 1."""
    return torch.from_numpy(np.asarray(-ndtri(probabilities.double().numpy())))


def both_exceed(first: Tensor, second: Tensor, correlation: Tensor) -> Tensor:
    """Probability that two standard normal variables exceed their thresholds: `P(X > a, Y > b)`.

    By Owen's T function (Owen, 1956, Annals of Mathematical Statistics 27). The error is a few
    float64 roundings of the smaller one of `P(|X| > |a|)` and `P(|Y| > |b|)`.

    Args:
        first, second: thresholds `a` and `b`; may be infinite.
        correlation: of the variables, in [-1, 1].

    Returns:
        float64, of the shape that the arguments broadcast to.
    """
    a, b, r = np.broadcast_arrays(*(t.double().numpy() for t in (first, second, correlation)))
    # Reflected so that both thresholds are positive: nothing cancels but what is small itself.
    below_a, below_b = a < 0, b < 0
    q_a, q_b = ndtr(-np.abs(a)), ndtr(-np.abs(b))
    corner = _upper_corner(np.abs(a), np.abs(b), np.where(below_a ^ below_b, -r, r))
    probability = np.select(
        [below_a & below_b, below_a, below_b],
        [1 - q_a - q_b + corner, q_b - corner, q_a - corner],
        corner,
    )
    return torch.from_numpy(np.asarray(probability))


def phi_of_latent(p: Tensor, q: Tensor, correlation: Tensor) -> Tensor:
    """Correlation of two firing indicators whose latents have a given correlation.

    Args:
        p, q: firing probabilities.
        correlation: of the latents, in [-1, 1].

    Returns:
        Phi, float64; NaN where a feature never or always fires.
    """
    p, q = p.double(), q.double()
    joint = both_exceed(thresholds_of(p), thresholds_of(q), correlation)
    return (joint - p * q) / _spread(p, q)


def phi_bounds(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest phi of two firing indicators (Fréchet, 1951), float64.

    The bounds are those of any joint law; the Gaussian one reaches them at `r = -1` and `r = 1`.

    Args:
        p, q: firing probabilities.

    Returns:
        Two tensors; NaN where a feature never or always fires.
    """
    p, q = p.double(), q.double()
    low, high = (p + q - 1).clamp(min=0), torch.minimum(p, q)
    return (low - p * q) / _spread(p, q), (high - p * q) / _spread(p, q)


def latent_of_phi(p: Tensor, q: Tensor, phi: Tensor) -> Tensor:
    """Correlation of latents that gives two firing indicators a wanted correlation.

    The inverse of `phi_of_latent`. Phi is met to about 1e-12; so is the correlation of the latents,
    save where phi hardly depends on it: next to its bounds, when both features are rare or their
    probabilities differ.

    Args:
        p, q: firing probabilities.
        phi: wanted.

    Returns:
        float64 in [-1, 1]; NaN where phi lies outside `phi_bounds`, or is not defined.
    """
    p, q, phi = torch.broadcast_tensors(p.double(), q.double(), phi.double())
    low, high = phi_bounds(p, q)
    joint = p * q + phi * _spread(p, q)
    solved = _solve(thresholds_of(p).numpy(), thresholds_of(q).numpy(), joint.numpy())
    correlation = torch.from_numpy(solved)
    correlation = torch.where(phi >= high - _ROUNDING, 1.0, correlation)
    correlation = torch.where(phi <= low + _ROUNDING, -1.0, correlation)
    attainable = (phi >= low - _ROUNDING) & (phi <= high + _ROUNDING)
    return torch.where(attainable, correlation, torch.nan)


def _upper_corner(a: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
    """`P(X > a, Y > b)` for `a, b >= 0`."""
    q_a, q_b = ndtr(-a), ndtr(-b)
    spread = np.sqrt((1 - r) * (1 + r))
    with np.errstate(divide="ignore", invalid="ignore"):
        wedges = owens_t(a, (b - r * a) / (a * spread)) + owens_t(b, (a - r * b) / (b * spread))
    corner = np.select(
        [np.isinf(a) | np.isinf(b) | (r <= -1), r >= 1, (a == 0) & (b == 0)],
        [0.0, np.minimum(q_a, q_b), 0.25 + np.arcsin(np.clip(r, -1, 1)) / (2 * np.pi)],
        (q_a + q_b) / 2 - wedges,
    )
    return np.clip(corner, 0, np.minimum(q_a, q_b))


def _solve(a: np.ndarray, b: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """`r` with `P(X > a, Y > b) = joint`: Newton's method between brackets.

    In the angle `arcsin(r)` the derivative of the probability is finite everywhere.
    """
    shape, (a, b, joint) = joint.shape, (values.ravel() for values in (a, b, joint))
    low, high = np.full((2, joint.size), [[-np.pi / 2], [np.pi / 2]])
    angle = np.zeros(joint.size)
    left = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
    for _ in range(_STEPS):
        x, y, theta = a[left], b[left], angle[left]
        r = np.sin(theta)
        excess = both_exceed(*map(torch.from_numpy, (x, y, r))).numpy() - joint[left]
        low[left], high[left] = (
            np.where(excess <= 0, theta, low[left]),
            np.where(excess >= 0, theta, high[left]),
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = np.exp(-(x * x - 2 * r * x * y + y * y) / (2 * (1 - r * r))) / (2 * np.pi)
            newton = theta - excess / slope
        inside = (newton > low[left]) & (newton < high[left])
        angle[left] = np.where(inside, newton, (low[left] + high[left]) / 2)
        left = left[np.abs(angle[left] - theta) > _CLOSE]
        if not len(left):
            break
    return np.sin(angle).reshape(shape)


def _spread(p: Tensor, q: Tensor) -> Tensor:
    """Product of the standard deviations of two indicators, NaN where one is constant."""
    variance = p * (1 - p) * q * (1 - q)
    return torch.where(variance > 0, variance, torch.nan).sqrt()
