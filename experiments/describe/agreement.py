"""Do samples do what is stated? Every deviation in sigmas, so that all of them compare.

A sigma is one of the standard normal law: a deviation of 3 is as unlikely as a normal number
beyond 3. Rare events get their exact binomial tail, since a normal law would cry wolf. Where
samples depend on each other (`Realised.dispersion`), they count as so many fewer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from scipy.special import ndtri, ndtri_exp
from torch import Tensor

from experiments.describe.sampling import Realised
from experiments.describe.selection import Selection
from toysae.generators.truth import PairMoments, Truth

#: A deviation beyond this many sigmas is none that chance explains: 4e-8 a comparison.
SIGMAS = 5.5

#: Firings below which a mean magnitude is not compared: the normal law does not hold yet.
MIN_FIRINGS = 30

#: Magnitudes are float32.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Comparison:
    """One kind of number, stated and realised.

    Attributes:
        name: what is compared.
        sigmas: deviation of realised from stated, any shape; NaN where nothing was compared.
        items: what the entries of `sigmas` are, in the order of its flattened entries.
    """

    name: str
    sigmas: Tensor
    items: Sequence[str]

    @property
    def n(self) -> int:
        """Number of comparisons."""
        return int((~self.sigmas.isnan()).sum())

    @property
    def largest(self) -> float:
        """The largest deviation with its sign; NaN if nothing was compared."""
        place = self._worst_place
        return math.nan if place is None else float(self.sigmas.flatten()[place])

    @property
    def worst(self) -> str:
        """Which item deviates most."""
        place = self._worst_place
        return "" if place is None else self.items[place]

    @property
    def as_stated(self) -> bool:
        """Whether chance explains every deviation."""
        return not bool((self.sigmas.abs() > SIGMAS).any())

    @property
    def verdict(self) -> str:
        """`as_stated` in words."""
        if self.n == 0:
            return "not compared"
        return "as stated" if self.as_stated else "NOT as stated"

    @property
    def _worst_place(self) -> int | None:
        return int(self.sigmas.flatten().abs().nan_to_num(-1).argmax()) if self.n else None


def expected_largest(n: int) -> float:
    """Median of the largest absolute value of `n` standard normal numbers; NaN for `n = 0`.

    It solves `(2 Phi(z) - 1)^n = 1/2`.
    """
    return float(-ndtri(-np.expm1(np.log(0.5) / n) / 2)) if n else math.nan


def compare(
    truth: Truth, pairs: PairMoments, selection: Selection, realised: Realised
) -> list[Comparison]:
    """Hold samples against everything that is stated.

    Args:
        truth: what is stated of features.
        pairs: what is stated of the shown features.
        selection: the shown features.
        realised: what samples did.
    """
    fewer = 1 / realised.dispersion
    n, seen = effective_samples(realised), realised.features
    firings, together = seen.firings * fewer, realised.pairs.together * fewer
    product, product_square = realised.pairs.product, realised.pairs.product_square
    shown = selection.shown.tolist()
    upper = torch.triu_indices(len(shown), len(shown), offset=1)
    above = (upper[0], upper[1])
    pair_names = [f"{truth.names[shown[i]]} & {truth.names[shown[j]]}" for i, j in upper.T.tolist()]
    return [
        Comparison("L0", _l0_sigmas(truth, realised), ["mean over samples"]),
        Comparison(
            "firing probabilities",
            probability_sigmas(firings, n, truth.marginals, truth.marginals_error),
            truth.names,
        ),
        Comparison(
            "pair probabilities",
            probability_sigmas(
                together[above], n, pairs.probabilities[above], pairs.probabilities_error[above]
            ),
            pair_names,
        ),
        Comparison(
            "mean magnitudes",
            mean_sigmas(
                firings,
                seen.total * fewer,
                seen.square * fewer,
                *_given_firing(
                    truth.marginals, truth.marginals_error, truth.mean, truth.mean_error
                ),
            ),
            truth.names,
        ),
        Comparison(
            "mean squares",
            mean_sigmas(
                firings,
                seen.square * fewer,
                seen.fourth * fewer,
                *_given_firing(
                    truth.marginals, truth.marginals_error, truth.square, truth.square_error
                ),
            ),
            truth.names,
        ),
        Comparison(
            "mean products",
            mean_sigmas(
                together[above],
                product[above] * fewer,
                product_square[above] * fewer,
                *_given_firing(
                    pairs.probabilities[above],
                    pairs.probabilities_error[above],
                    pairs.products[above],
                    pairs.products_error[above],
                ),
            ),
            pair_names,
        ),
    ]


def effective_samples(realised: Realised) -> int:
    """Independent samples that tell as much as the ones that were drawn."""
    return max(1, round(realised.n_samples / realised.dispersion))


def probability_sigmas(counts: Tensor, n: int, p: Tensor, error: Tensor | None) -> Tensor:
    """Deviation of `counts` of `n` from probabilities.

    Where `p` is exact it is the normal number whose tail is the smaller of `P(K <= counts)` and
    `P(K >= counts)` under the binomial law, 0 if both exceed 1/2. Where `p` is an estimate, it
    counts as the share in a sample of its own, of the size that its standard error tells, and
    both shares are compared after `asin sqrt` (Anscombe, 1948), which makes their variance
    the same for rare and for frequent events.

    Args:
        counts: `[k]`, float64; rounded.
        n: samples.
        p: stated probabilities `[k]`.
        error: their standard errors `[k]`; 0, or None for all, where exact.
    """
    p, counts = p.clamp(0, 1), counts.round().clamp(max=n)
    exact = _binomial_sigmas(counts, n, p)
    if error is None:
        return exact
    size = torch.where(p * (1 - p) > 0, p * (1 - p) / error.square(), 1 / error)
    spread = (1 / (n + 0.5) + 1 / (size + 0.5)).sqrt()
    estimated = 2 * (_stabilised(counts, n) - _stabilised(p * size, size)) / spread
    return torch.where(error > 0, estimated, exact)


def mean_sigmas(
    count: Tensor, total: Tensor, square: Tensor, stated: Tensor, error: Tensor
) -> Tensor:
    """Deviation of the mean of `count` positive numbers from what is stated.

    Their variance is the larger of the one that was seen and of the one at the relative spread
    that all means have together: few numbers of a skewed law show too small a variance of
    their own. Deviations have the tail of Student's law.

    Args:
        count: numbers that each mean rests on, `[k]`.
        total, square: their sum, and the sum of their squares, `[k]`.
        stated: what the mean should be, `[k]`.
        error: standard error of `stated`, `[k]`; 0 where exact.

    Returns:
        `[k]`; NaN for fewer than 30 numbers, or where nothing is stated.
    """
    usable = (count >= MIN_FIRINGS) & stated.isfinite()
    pooled = square[usable].sum() / (count * stated.square())[usable].sum()
    mean = total / count
    variance = torch.maximum(square / count - mean.square(), (pooled - 1) * stated.square())
    rounding = _ROUNDING * stated
    sigma = (variance.clamp(min=0) / count + error.square() + rounding.square()).sqrt()
    deviation = (mean - stated) / sigma
    tail = stats.t.logsf(deviation.abs(), (count - 1).clamp(min=1))
    return torch.where(usable, -torch.from_numpy(ndtri_exp(tail)) * deviation.sign(), torch.nan)


def chance_band(p: Tensor, n: int, size: float) -> tuple[Tensor, Tensor]:
    """Shares of `n` samples that are within 5.5 sigmas of `p`: lowest and highest.

    Args:
        p: probabilities `[k]`.
        n: samples.
        size: samples that `p` is an estimate from; infinite where it is exact.
    """
    if math.isinf(size):
        tail = stats.norm.sf(SIGMAS)
        law = stats.binom(n, p.numpy())
        return torch.from_numpy(law.ppf(tail) / n), torch.from_numpy(law.isf(tail) / n)
    angle, width = p.sqrt().asin(), SIGMAS / 2 * math.sqrt(1 / n + 1 / size)
    low, high = ((angle + side).clamp(0, math.pi / 2).sin().square() for side in (-width, width))
    return low, high


def estimate_size(truth: Truth) -> float:
    """Samples that the marginals are estimated from, as their errors tell; infinite if exact."""
    error = truth.marginals_error
    if error is None or not bool((error > 0).any()):
        return math.inf
    unit = (truth.marginals * (1 - truth.marginals))[error > 0]
    return float(unit.sum() / error.square().sum())


def _binomial_sigmas(counts: Tensor, n: int, p: Tensor) -> Tensor:
    law = stats.binom(n, p.numpy())
    low, high = ndtri_exp(law.logcdf(counts)), -ndtri_exp(law.logsf(counts - 1))
    # Both tails hold the count itself: in the middle of the law neither is below one half.
    return torch.from_numpy(np.where(low < 0, low, np.where(high > 0, high, 0.0)))


def _stabilised(count: Tensor, n: Tensor | float) -> Tensor:
    return ((count + 0.375) / (n + 0.75)).clamp(0, 1).sqrt().asin()


def _given_firing(
    p: Tensor, p_error: Tensor | None, mean: Tensor, error: Tensor | None
) -> tuple[Tensor, Tensor]:
    """A mean over samples as one over firings, with its standard error; NaN where there are none.

    Estimates of `p` and `mean` rest on the same samples: what the number of firings does to both
    cancels, `Var(mean / p) = (error^2 - (mean / p)^2 p_error^2) / p^2`.
    """
    given = torch.where(p > 0, mean / p, torch.nan)
    total = torch.zeros_like(p) if error is None else error.square()
    counted = torch.zeros_like(p) if p_error is None else (given * p_error).square()
    return given, (total - counted).clamp(min=0).sqrt() / p


def _l0_sigmas(truth: Truth, realised: Realised) -> Tensor:
    l0 = realised.l0.double()
    # L0 that does not vary still carries the rounding of its stated sum.
    variance = l0.var(correction=0) * (1 / effective_samples(realised) + 1 / estimate_size(truth))
    sigma = (variance + (_ROUNDING * truth.l0) ** 2).sqrt()
    return ((l0.mean() - truth.l0) / sigma)[None]
