"""What features hold of a latent beyond some of them, and whether chance explains it.

Where features `S` have been fitted to a latent, its residual is held against the parts of the other
features that are orthogonal to `S`. Were the residual random, of `k` such isotropic parts in
`d - |S|` dimensions one would have a cosine above `t` with probability `1 - F_{d-|S|}(t)^k`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toysae.metrics import _sphere
from toysae.metrics._composition.feature_pairs import MIN_INDEPENDENCE

# Residuals shorter than this are rounding of float32 weights.
_MIN_RESIDUAL = 1e-6

Tail = Callable[[np.ndarray, int, np.ndarray], np.ndarray]


class Beyond(NamedTuple):
    """The residual of each of `b` latents against all `n` features."""

    length: Tensor
    """Length of the residual of the unit latent, `[b]`."""
    cosine: Tensor
    """Cosine with the orthogonal part of each feature, `[b, n]`; NaN where that is no candidate."""
    dimensions: Tensor
    """Dimensions of the space that the residual lies in, `[b]`."""

    @property
    def n_candidates(self) -> Tensor:
        """Features that could be added, `[b]`."""
        return (~torch.isnan(self.cosine)).sum(dim=1)

    @property
    def is_telling(self) -> Tensor:
        """Where a p-value says something, bool `[b]`.

        The residual is longer than rounding, there is a candidate, and more than a line is left.
        """
        return (self.length > _MIN_RESIDUAL) & (self.n_candidates > 0) & (self.dimensions > 1)

    def unsigned(self) -> Beyond:
        """The same with absolute cosines, for features that may be added with either sign."""
        return self._replace(cosine=self.cosine.abs())

    @property
    def largest(self) -> Tensor:
        """Largest cosine with a candidate, `[b]`; -inf without any."""
        return self.cosine.nan_to_num(nan=-torch.inf).amax(dim=1)


def beyond(latents: Tensor, features: Tensor, atoms: Tensor, allowed: Tensor) -> Beyond:
    """What is left of unit `latents [b, d]` after unit `features [n, d]` were fitted.

    Args:
        latents: unit rows.
        features: unit rows.
        atoms: features that were fitted, `[b, s]`, linearly independent; -1 for none.
        allowed: bool `[b, n]`, features that may be added.
    """
    residual = latents.clone()
    independence = latents.new_ones(len(latents), len(features))
    basis: list[Tensor] = []
    for atom in atoms.unbind(dim=1):
        axis = _orthogonal(features[atom.clamp(min=0)], basis) * (atom >= 0)[:, None]
        residual = residual - (residual * axis).sum(1, keepdim=True) * axis
        independence = independence - (axis @ features.T).square()
        basis.append(axis)
    length = torch.linalg.vector_norm(residual, dim=1)
    cosine = (residual @ features.T) / (length[:, None] * independence.clamp(min=0).sqrt())
    candidate = (independence >= MIN_INDEPENDENCE) & allowed & (length > 0)[:, None]
    return Beyond(
        length,
        cosine.clamp(-1, 1).masked_fill(~candidate, torch.nan),
        latents.shape[1] - (atoms >= 0).sum(dim=1),
    )


def chance(left: Beyond, tail: Tail = _sphere.max_cosine_tail) -> Tensor:
    """Chance of a cosine as large as the largest, `[b]`; NaN where that says nothing.

    Args:
        left: the residuals.
        tail: `tail(t, d, k)`, the chance that of `k` isotropic directions in `d` dimensions one
            has a cosine above `t`.
    """
    p_value = torch.full_like(left.length, torch.nan)
    for dimensions in left.dimensions[left.is_telling].unique().tolist():
        rows = left.is_telling & (left.dimensions == dimensions)
        t, k = left.largest[rows].cpu().numpy(), left.n_candidates[rows].cpu().numpy()
        p_value[rows] = torch.from_numpy(tail(t, dimensions, k)).to(p_value)
    return p_value


def max_abs_cosine_tail(t: np.ndarray, d: int, k: np.ndarray) -> np.ndarray:
    """`P(max of k |cosines| > t)`, accurate where it is tiny; `d >= 2`."""
    with np.errstate(divide="ignore"):
        return -np.expm1(k * np.log1p(-2 * _sphere.cosine_cdf(-t, d)))


def _orthogonal(rows: Tensor, basis: list[Tensor]) -> Tensor:
    """Unit parts of unit `rows` orthogonal to orthonormal `basis`, each `[b, d]`."""
    for axis in basis:
        rows = rows - (rows * axis).sum(1, keepdim=True) * axis
    if not basis:
        return rows
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=1e-300)
