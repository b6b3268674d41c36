"""Any number a token, position by position, with intervals whose unit is the sequence.

Values are `[sequence, position]`: KL, cross-entropy, squared error or L0 of every token. The
first position (BOS, of enormous norm in most models) and positions beyond the training context
behave unlike the rest, so curves come first, and means over chosen positions
(`over(slice(1, None))` is all but BOS) second. Tokens of one sequence depend on each other: the
bootstrap resamples whole sequences, and `toysae.metrics.reliability.clustering` says how much a
bootstrap over tokens would have flattered.
"""

from __future__ import annotations

from toysae.metrics._positions.position_profile import PerPosition, PositionProfile, per_position
from toysae.metrics._positions.position_variance import (
    ExplainedVarianceByPosition,
    explained_variance_by_position,
)
from toysae.metrics._positions.positions import Positions

__all__ = [
    "ExplainedVarianceByPosition",
    "PerPosition",
    "PositionProfile",
    "Positions",
    "explained_variance_by_position",
    "per_position",
]
