"""What condition indices say: which relations are harmful, and the indices about the mean."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from toysae.diagnostics._column_space import column_space
from toysae.diagnostics._inputs import ArrayLike, as_matrix, resolution
from toysae.diagnostics.collinearity import Belsley
from toysae.errors import ConfigError

#: Belsley's marks of a harmful relation, both strict.
HARMFUL_INDEX, HARMFUL_SHARE = 30.0, 0.5


@dataclass(frozen=True)
class HarmfulRelations:
    """Near relations that spoil the coefficients of several variables.

    Attributes:
        harmful: `[k + 1]` mask of the condition indices.
        involved: `[k + 1, k + 1]` mask, one row an index and one column a variable, the intercept
            first: the variables that a harmful index spoils; False in the rows of other indices.
    """

    harmful: Tensor
    involved: Tensor

    @property
    def n_harmful(self) -> int:
        """Number of harmful relations."""
        return int(self.harmful.sum())


def harmful_relations(
    found: Belsley, *, above: float = HARMFUL_INDEX, share: float = HARMFUL_SHARE
) -> HarmfulRelations:
    """Condition indices above 30 that hold more than half of the variance of two coefficients.

    `η_k > above` and `#{j: π_kj > share} >= 2`. A large index with one such variable says that the
    columns have another scale than the intercept, or that several relations share the rest.
    Relations with the same index, exact ones among them, share the variances in any way: their
    proportions are added before they are compared with `share`, and all of them are marked. So are
    several zero columns, which have no coefficient at all.

    Args:
        found: what `collinearity.condition_indices` gives.
        above: of the index, strict; at least 1.
        share: of the variance of a coefficient, strict; in [0, 1).

    Returns:
        The harmful indices and the variables that each spoils; none for a design whose columns are
        orthogonal.

    Raises:
        ConfigError: `above` below 1 or `share` outside [0, 1).

    Source: Belsley, Kuh & Welsch (1980), Regression Diagnostics, section 3.2.
    """
    if not above >= 1:
        raise ConfigError(f"above={above}: allowed are condition indices, 1 and above")
    if not 0 <= share < 1:
        raise ConfigError(f"share={share}: allowed are values from 0 to below 1")
    same = found.indices[:, None] == found.indices
    spoiled = same.to(found.proportions) @ found.proportions > share
    harmful = (found.indices > above) & (spoiled.sum(1) >= 2)
    return HarmfulRelations(harmful, spoiled & harmful[:, None])


def centered_condition_indices(x: ArrayLike) -> Tensor:
    """Condition indices of the correlation matrix, `sqrt(λ_max(R) / λ_k(R))`.

    The last is `sqrt(κ(R))`. They know nothing of the intercept, and nothing of the scale of the
    columns: `collinearity.condition_indices` are those of the design as it is used.

    Args:
        x: `[N, k]` samples as rows, without a column for the intercept.

    Returns:
        `[k]` of the columns that are not constant, ascending from 1; infinite for exact relations.
        Empty where all columns are constant.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.

    Source: Belsley, Kuh & Welsch (1980), Regression Diagnostics, chapter 3, for centred columns.
    """
    space = column_space(as_matrix(x, "x"), centered=True, eps=resolution(x))
    n_varying = int((~space.empty).sum())
    singular = space.singular_values.new_zeros(n_varying)
    singular[: space.rank] = space.singular_values
    return singular[:1] / singular
