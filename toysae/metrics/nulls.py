"""Levels that two dictionaries reach for reasons other than having found the same features.

An agreement says something only where it is beyond what a null gives, and there is no single null:
random directions are the weakest. The ladder of them, for a fixed dictionary `a` and what takes the
place of `b`:

| name | in place of `b` | keeps |
|---|---|---|
| `isotropic` | uniform directions | number of rows, norms |
| `covariance` | directions of Gaussian rows | mean, covariance of unit rows (nearly), norms |
| `rotated` | `b` in a random rotation or reflection of the space | all cosines within `b` |
| `permuted` | the rows of `b` in another order | the set of rows |

With fewer rows than dimensions `covariance` stays in their span, as `b` does. `permuted` is for
statistics that pair row `i` of `a` with row `i` of `b`, such as an encoder with its decoder, and
changes none of those that search for the best partner. Nulls that have to be trained (initial
weights, frozen decoder, shuffled data) are dictionaries like any other: `reference_null` takes
them. Zero rows stay zero in every null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._directions import Directions, unit_rows
from toysae.metrics._inputs import require_same_width, vectors
from toysae.metrics._progress import Report
from toysae.metrics._simulation import Simulated, Statistic, keyed, random_rows, simulated
from toysae.metrics.chance import chance_corrected

__all__ = ["NULLS", "NullComparison", "null_ladder", "reference_null"]

Sampler = Callable[[np.random.Generator], Tensor]
"""Draws what takes the place of a dictionary `[m, d]`, float64 and on the CPU."""

_ROUNDING = 1e-9
"""Values of a statistic that are closer than this are the same but for rounding."""


@dataclass(frozen=True)
class NullComparison:
    """A statistic of two dictionaries beside what it is under one null."""

    value: float
    """The statistic itself, raw."""
    null: Simulated
    """Its values under the null."""

    @property
    def mean(self) -> float:
        """Mean under the null: the chance level; NaN where no draw is defined."""
        return self.null.mean

    @property
    def sd(self) -> float:
        """Standard deviation under the null; NaN for fewer than two defined draws."""
        return self.null.sd

    @property
    def q95(self) -> float:
        """The level that 5 % of the draws exceed; NaN where no draw is defined."""
        return self.null.q95

    @property
    def p_value(self) -> float:
        """Monte Carlo p-value, `(1 + #{null >= value}) / (1 + n_defined)`, of larger values.

        Never 0. NaN where the value or every draw is undefined.
        """
        if math.isnan(self.value) or not self.null.n_defined:
            return math.nan
        reached = int((self.null.draws >= self.value - _ROUNDING).sum())
        return (1 + reached) / (1 + self.null.n_defined)

    @property
    def corrected(self) -> float:
        """`chance_corrected(value, mean)`, for statistics whose largest value is 1.

        NaN where the null is perfect already, or undefined.
        """
        return chance_corrected(self.value, self.mean) if self.mean < 1 - _ROUNDING else math.nan


def null_ladder(
    statistic: Statistic,
    a: Tensor,
    b: Tensor,
    nulls: Sequence[str] = ("isotropic", "covariance", "rotated", "permuted"),
    *,
    seed: int = 0,
    n_draws: int = 99,
    report: Report | None = None,
) -> Mapping[str, NullComparison]:
    """A statistic of two dictionaries beside its level under each null.

    `corrected = (value - E0) / (1 - E0)` with `E0` the mean under the null, and
    `p = (1 + #{null >= value}) / (1 + n_draws)`. Large values are taken for agreement: give the
    negative of a statistic that is small then. `a` stays as it is and `b` is replaced.
    Levels are in the range of the statistic, `p` is in (0, 1].

    Draw `k` of a null depends on `seed`, the name of the null and `k` alone.

    Costs `n_draws + 1` statistics a null, which dominate: the draws themselves take O(m d^2). At
    24,576 x 768 give a sample of the rows of `a`, where the statistic is a mean over them.

    Args:
        statistic: takes `a [n, d]` and a dictionary `[m, d]`, and gives a number. A mask of the
            rows of `b` keeps its meaning under every null but `permuted`.
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        nulls: names in `NULLS`.
        seed: of the draws.
        n_draws: draws from each null, `>= 1`.
        report: told how many draws are done, of each null in turn.

    Returns:
        The comparison with each null, by name; NaN where the statistic is undefined.

    Raises:
        ShapeError: not two matrices of the same width, or `n_draws < 1`.
        DataError: NaN or infinity in either, or a null that is not known.

    Source: Gaussian, rotation and permutation nulls; p-value: Davison and Hinkley 1997.
    """
    a, b = vectors(a, "a"), vectors(b, "b")
    require_same_width(a, b, ("a", "b"))
    unknown = set(nulls) - set(NULLS)
    if unknown:
        raise DataError(f"nulls {sorted(unknown)} are unknown; known are {', '.join(NULLS)}")
    value = statistic(a, b)

    def under(name: str) -> Simulated:
        sampler = NULLS[name](b)
        draws = simulated(
            lambda k: statistic(a, sampler(keyed(name, seed, k)).to(b.device)), n_draws, report
        )
        return Simulated(draws)

    return {name: NullComparison(value, under(name)) for name in nulls}


def reference_null(
    statistic: Statistic, a: Tensor, b: Tensor, references: Sequence[Tensor]
) -> NullComparison:
    """A statistic of two dictionaries beside its level where a reference takes the place of `b`.

    For nulls that had to be trained, one reference a seed: initial weights of the same run, SAEs
    with a frozen decoder, SAEs of shuffled data. Levels are in the range of the
    statistic, `p` is in (0, 1].

    Args:
        statistic: takes two dictionaries `[n, d]` and `[m, d]`, and gives a number.
        a: dictionary `[n, d]`, which stays.
        b: dictionary `[m, d]`.
        references: dictionaries `[m', d]`, at least one.

    Returns:
        The comparison; NaN where the statistic is undefined.

    Raises:
        ShapeError: not matrices of the same width, or no reference.
        DataError: NaN or infinity in any.

    Source: frozen and random dictionaries: "Sanity Checks" (arXiv 2602.14111).
    """
    a, b = vectors(a, "a"), vectors(b, "b")
    require_same_width(a, b, ("a", "b"))
    for k, reference in enumerate(references):
        require_same_width(a, vectors(reference, f"reference {k}"), ("a", f"reference {k}"))
    draws = simulated(lambda k: statistic(a, references[k].double()), len(references), None)
    return NullComparison(statistic(a, b), Simulated(draws))


def _isotropic(b: Tensor) -> Sampler:
    kept = unit_rows(b, "b")
    return lambda rng: _with_norms_of(b, kept, random_rows(rng, len(kept.unit), b.shape[1]))


def _covariance(b: Tensor) -> Sampler:
    kept = unit_rows(b, "b")
    mean = kept.unit.sum(dim=0) / max(len(kept.unit), 1)
    centred = kept.unit - mean
    variance, axes = torch.linalg.eigh(centred.T @ centred / max(len(centred), 1))
    # The symmetric root: that of the eigenvectors alone would depend on their arbitrary signs.
    root = ((axes * variance.clamp(min=0).sqrt()) @ axes.T).cpu()

    def sampler(rng: np.random.Generator) -> Tensor:
        gaussian = random_rows(rng, len(kept.unit), b.shape[1])
        return _with_norms_of(b, kept, mean.cpu() + gaussian @ root)

    return sampler


def _rotated(b: Tensor) -> Sampler:
    return lambda rng: b.cpu() @ _rotation(rng, b.shape[1])


def _permuted(b: Tensor) -> Sampler:
    return lambda rng: b.cpu()[torch.from_numpy(rng.permutation(len(b)))]


NULLS: Mapping[str, Callable[[Tensor], Sampler]] = MappingProxyType(
    {
        "isotropic": _isotropic,
        "covariance": _covariance,
        "rotated": _rotated,
        "permuted": _permuted,
    }
)
"""Nulls by name: what prepares a dictionary to be drawn anew."""


def _with_norms_of(b: Tensor, kept: Directions, rows: Tensor) -> Tensor:
    """`rows`, one for each kept row of `b`, at the norms of those; other rows are zero."""
    norms = torch.linalg.vector_norm(b[kept.index], dim=1, keepdim=True).cpu()
    unit = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    out = rows.new_zeros(b.shape)
    out[kept.index.cpu()] = unit * norms
    return out


def _rotation(rng: np.random.Generator, d: int) -> Tensor:
    """A rotation or reflection, uniform among all (Haar), `[d, d]`."""
    q, r = torch.linalg.qr(random_rows(rng, d, d))
    return q * r.diagonal().sign()
