"""What many seeds of one SAE agree on: single features, whole dictionaries, chains of matchings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._dictionaries.matching import Matching, hungarian
from toysae.metrics._inputs import refuse_infinite, refuse_nan, require_axes
from toysae.metrics._progress import Report, reported
from toysae.metrics.uncertainty import wilson


@dataclass(frozen=True)
class FeatureStability:
    """In how many seeds each feature is found again."""

    share: Tensor
    """Share of defined seeds with a latent for each feature, `[n]`; NaN without any."""
    low: Tensor
    """Lower end of its Wilson interval, `[n]`."""
    high: Tensor
    """Upper end of its Wilson interval, `[n]`."""
    n_defined: Tensor
    """Seeds in which each feature has a best cosine, `[n]`."""

    @property
    def mean(self) -> float:
        """Mean share over features with one; NaN without any."""
        return self.share.nanmean().item()


@dataclass(frozen=True)
class PairwiseAgreement:
    """Mean cosine of the one-to-one matchings of all pairs of dictionaries."""

    over_min: Tensor
    """`Matching.mean_over_min` of each pair, `[R, R]`, symmetric; NaN on the diagonal."""
    over_max: Tensor
    """`Matching.mean_over_max` of each pair, `[R, R]`, symmetric; NaN on the diagonal."""

    @property
    def mean_over_min(self) -> float:
        """Mean over all pairs that have something to match; NaN without any."""
        return self.over_min.nanmean().item()

    @property
    def mean_over_max(self) -> float:
        """Mean over all pairs that have something to match; NaN without any."""
        return self.over_max.nanmean().item()

    @property
    def n_defined(self) -> int:
        """Pairs that have something to match."""
        return int((~self.over_min.isnan()).sum()) // 2


@dataclass(frozen=True)
class CycleConsistency:
    """Whether the matchings of three dictionaries fit together."""

    rows: Tensor
    """Latents of `a` that the detour by `b` leads to where the direct matching leads, ascending."""
    n_detours: int
    """Latents of `a` that have a partner by the detour."""
    n_a: int
    """Latents of `a` that could be matched; 0 where `b` or `c` has none."""

    @property
    def share(self) -> float:
        """Share of the latents of `a` that are consistent; NaN where none could be matched."""
        return len(self.rows) / self.n_a if self.n_a else torch.nan


def feature_stability(
    best: Tensor, threshold: float, *, confidence: float = 0.95
) -> FeatureStability:
    """Share of seeds in which each feature is found: `mean_r [max_j C_ij^(r) > threshold]`.

    Args:
        best: best cosine of each feature in each seed `[R, n]`, such as stacked
            `MaxCosine.a_to_b` with the features as `a`; NaN is undefined and not counted.
        threshold: cosine above which a feature is found, strictly.
        confidence: coverage of the intervals.

    Returns:
        Shares in [0, 1] with their intervals; NaN for a feature without a defined seed.

    Raises:
        ShapeError: not a matrix.
        DataError: an infinite value, a threshold that is NaN, or a confidence outside (0, 1).

    Source: Wilson 1927 for the interval.
    """
    require_axes(best, "best", "[seeds, features]")
    refuse_infinite(best, "best")
    refuse_nan(threshold, "threshold")
    n_found = (best > threshold).sum(dim=0)
    n_defined = (~best.isnan()).sum(dim=0)
    # Few different counts occur, however many features there are.
    counts, which = torch.unique(torch.stack([n_found, n_defined]), dim=1, return_inverse=True)
    intervals = [wilson(found, n, confidence) for found, n in counts.T.tolist()]
    ends = torch.tensor(
        [(interval.mean, interval.low, interval.high) for interval in intervals],
        dtype=torch.float64,
        device=best.device,
    ).reshape(-1, 3)
    share, low, high = ends[which].T
    return FeatureStability(share, low, high, n_defined)


def pairwise_agreement(
    dictionaries: Sequence[Tensor],
    *,
    alive: Sequence[Tensor | None] | None = None,
    report: Report | None = None,
) -> PairwiseAgreement:
    """Mean matched cosine of `hungarian` for all pairs of dictionaries, and its mean over pairs.

    For equal sizes `mean_over_min` is `mean_{r < s} 1/n max_p sum_i max(cos(d_i^r, d_p(i)^s), 0)`.
    In [0, 1]; the order of the dictionaries does not matter. It costs one matching a pair, and the
    pairs of `R` seeds are not `R (R - 1) / 2` independent values: resample seeds, not pairs.

    Args:
        dictionaries: one dictionary `[n_r, d]` a seed, of any number of rows each.
        alive: bool mask `[n_r]` of each, or None; other rows are not matched nor counted.
        report: told how many pairs are done.

    Returns:
        Both normalisations for each pair; NaN where a pair has nothing to match.

    Raises:
        ShapeError: widths that differ, or masks that do not fit.
        DataError: NaN or infinity.

    Source: Song et al. 2025 (arXiv 2505.20254), there with unclipped cosines and equal sizes.
    """
    masks = [None] * len(dictionaries) if alive is None else list(alive)
    if len(masks) != len(dictionaries):
        raise ShapeError(
            f"{len(masks)} alive masks for {len(dictionaries)} dictionaries: give one each"
        )
    over_min, over_max = torch.full((2, len(masks), len(masks)), torch.nan, dtype=torch.float64)
    pairs = list(combinations(range(len(masks)), 2))
    for r, s in reported(pairs, len(pairs), report):
        matching = hungarian(dictionaries[r], dictionaries[s], alive_a=masks[r], alive_b=masks[s])
        over_min[[r, s], [s, r]] = matching.mean_over_min
        over_max[[r, s], [s, r]] = matching.mean_over_max
    return PairwiseAgreement(over_min, over_max)


def cycle_consistency(a_to_b: Matching, b_to_c: Matching, a_to_c: Matching) -> CycleConsistency:
    """Share of latents that two matchings in a row take where the direct matching takes them.

    `#{i: p_bc(p_ab(i)) = p_ac(i)} / n_a`, in [0, 1]; a latent without a partner on the way is not
    consistent. The number of consistent latents is the same for any order of the dictionaries.

    Args:
        a_to_b: matching of the first dictionary with the second, by `hungarian`, `greedy` or
            `joint_matching`.
        b_to_c: matching of the second with the third.
        a_to_c: matching of the first with the third.

    Returns:
        The consistent latents; the share is NaN where any of the three has nothing to match.

    Raises:
        ShapeError: matchings of different dictionaries, by the number of their rows.

    Source: cycle consistency; three seeds as in Paulo and Belrose 2025 (arXiv 2501.16615).
    """
    sizes = (
        (a_to_b.n_rows, a_to_c.n_rows),
        (a_to_b.n_cols, b_to_c.n_rows),
        (b_to_c.n_cols, a_to_c.n_cols),
    )
    if any(one != other for one, other in sizes):
        raise ShapeError(
            f"matchings of {a_to_b.n_rows} with {a_to_b.n_cols}, {b_to_c.n_rows} with "
            f"{b_to_c.n_cols} and {a_to_c.n_rows} with {a_to_c.n_cols} rows: expected a with b, "
            "b with c and a with c"
        )
    detour = _follow(b_to_c, _follow(a_to_b, a_to_c.rows))
    by_detour = _follow(b_to_c, a_to_b.cols)
    n_a = a_to_b.n_rows if a_to_b.n_cols and a_to_c.n_cols else 0
    return CycleConsistency(a_to_c.rows[detour == a_to_c.cols], int((by_detour >= 0).sum()), n_a)


def _follow(matching: Matching, rows: Tensor) -> Tensor:
    """Partner of each of `rows`, or -1 where it has none; -1 has none."""
    size = int(torch.cat([matching.rows, rows]).max()) + 2 if len(rows) + matching.n_matched else 1
    partners = matching.cols.new_full((size,), -1)
    partners[matching.rows] = matching.cols
    # -1 wraps around to the last entry, which nothing is matched with.
    return partners[rows]
