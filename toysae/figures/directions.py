"""Which directions of a plane are true, composed or neither."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toysae.figures.arrays import Array

TOLERANCE_DEGREES = 15.0


class Outcomes(NamedTuple):
    """How many directions of each class there are.

    Attributes:
        true: within the tolerance of a feature.
        composed: within the tolerance of a diagonal of two adjacent features, and not true.
        other: neither.
        undefined: without direction (zero or not finite).
    """

    true: int
    composed: int
    other: int
    undefined: int


def unit_rows(vectors: Array) -> Array:
    """Rows of `vectors [..., 2]` at length 1; NaN where a row is zero or not finite."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    usable = np.isfinite(norms) & (norms > 0)
    return np.divide(vectors, norms, out=np.full_like(vectors, np.nan), where=usable)


def composed_diagonals(features: Array) -> Array:
    """Unit bisectors `[k, 2]` of each pair of features that are neighbours around the circle.

    Neighbours at 180 degrees or more have no diagonal, nor have features of equal direction.

    Args:
        features: true directions `[n, 2]`; rows without direction are ignored.
    """
    units = unit_rows(features)
    units = units[np.isfinite(units).all(axis=1)]
    angles = np.sort(np.arctan2(units[:, 1], units[:, 0]))
    gaps = np.diff(angles, append=angles[:1] + 2 * np.pi)
    between = (gaps > 1e-9) & (gaps < np.pi - 1e-9)
    middles = (angles + gaps / 2)[between]
    return np.stack([np.cos(middles), np.sin(middles)], axis=1)


def classify(
    directions: Array, features: Array, tolerance_degrees: float = TOLERANCE_DEGREES
) -> NDArray[np.str_]:
    """The class of each direction: `true`, `composed`, `other` or `undefined`.

    A direction is true when its angle to the nearest feature is less than the tolerance, else
    composed when its angle to the nearest of `composed_diagonals` is. Signs count: the opposite of
    a feature is not that feature.

    Args:
        directions: `[k, 2]`; a row that is zero or not finite is `undefined`.
        features: the truth, `[n, 2]`.
        tolerance_degrees: half the opening of the accepted cone.

    Returns:
        Class names `[k]`.
    """
    units = unit_rows(directions)
    classes = np.full(len(units), "other", dtype="<U9")
    classes[_near(units, composed_diagonals(features), tolerance_degrees)] = "composed"
    classes[_near(units, unit_rows(features), tolerance_degrees)] = "true"
    classes[~np.isfinite(units).all(axis=1)] = "undefined"
    return classes


def count_outcomes(classes: NDArray[np.str_]) -> Outcomes:
    """Number of directions of each class."""
    return Outcomes(*(int((classes == name).sum()) for name in Outcomes._fields))


def _near(units: Array, targets: Array, tolerance_degrees: float) -> NDArray[np.bool_]:
    cosines = np.nan_to_num(units @ targets.T, nan=-1.0)
    return cosines.max(axis=1, initial=-1.0) > np.cos(np.deg2rad(tolerance_degrees))
