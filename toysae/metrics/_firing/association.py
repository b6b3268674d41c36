"""Association of two firing indicators, from their counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._firing.chance_overlap import broadcast, chance_of_both
from toysae.metrics._firing.cofiring_kernel import upper_tails


@dataclass(frozen=True)
class Cofiring:
    """Association of two firing indicators, each float64 of the shape of the counts.

    All are computed when they are asked for.
    """

    n11: Tensor
    """Samples on which both fire."""
    n1: Tensor
    """Samples on which the first fires."""
    n2: Tensor
    """Samples on which the second fires."""
    n_samples: Tensor
    """Samples, `N`."""

    def n_defined(self, coefficient: str) -> int:
        """Pairs for which a coefficient, such as `"phi"`, is not NaN."""
        return int((~torch.isnan(getattr(self, coefficient))).sum())

    @property
    def jaccard(self) -> Tensor:
        """`n11 / (n1 + n2 - n11)`, in [0, 1]; NaN if neither ever fires."""
        return self.n11 / (self.n1 + self.n2 - self.n11)

    @property
    def dice(self) -> Tensor:
        """`2 n11 / (n1 + n2)`, which is F1, in [0, 1]; NaN if neither ever fires."""
        return 2 * self.n11 / (self.n1 + self.n2)

    @property
    def overlap(self) -> Tensor:
        """`n11 / min(n1, n2)`, in [0, 1]; NaN if either never fires."""
        return self.n11 / torch.minimum(self.n1, self.n2)

    @property
    def phi(self) -> Tensor:
        """Pearson correlation of the indicators, in [-1, 1]; NaN if either is constant."""
        silent1, silent2 = self.n_samples - self.n1, self.n_samples - self.n2
        variances = (self.n1 * silent1).sqrt() * (self.n2 * silent2).sqrt()
        return ((self.n11 * self.n_samples - self.n1 * self.n2) / variances).clamp(-1, 1)

    @property
    def phi_max(self) -> Tensor:
        """Highest phi that the single counts allow, in [0, 1]; NaN if either is constant.

        The root of the ratio of the odds, the smaller over the larger.
        """
        low, high = torch.minimum(self.n1, self.n2), torch.maximum(self.n1, self.n2)
        ratio = low * (self.n_samples - high) / (high * (self.n_samples - low))
        return ratio.sqrt().masked_fill(self._constant, torch.nan)

    @property
    def chi_squared(self) -> Tensor:
        """`N phi^2`, Pearson's statistic without continuity correction; NaN as phi."""
        return self.n_samples * self.phi**2

    @property
    def lift(self) -> Tensor:
        """`n11 N / (n1 n2)`, 1 for independence, at least 0; NaN if either never fires."""
        return self.n11 * self.n_samples / (self.n1 * self.n2)

    @property
    def pmi(self) -> Tensor:
        """`log(lift)` in nats; -infinity if they never fire together; NaN as the lift."""
        return self.lift.log()

    @property
    def second_given_first(self) -> Tensor:
        """`n11 / n1`, in [0, 1]; NaN if the first never fires."""
        return self.n11 / self.n1

    @property
    def first_given_second(self) -> Tensor:
        """`n11 / n2`, in [0, 1]; NaN if the second never fires."""
        return self.n11 / self.n2

    @property
    def jaccard_max(self) -> Tensor:
        """Highest overlap that the single counts allow, `min(n1, n2) / max(n1, n2)`, in [0, 1].

        NaN if neither ever fires.
        """
        return torch.minimum(self.n1, self.n2) / torch.maximum(self.n1, self.n2)

    @property
    def jaccard_chance(self) -> Tensor:
        """`expected_jaccard` of the two frequencies, in [0, 1]; NaN if neither ever fires."""
        return chance_of_both(self.n1 / self.n_samples, self.n2 / self.n_samples)

    @property
    def jaccard_adjusted(self) -> Tensor:
        """`(J - J_chance) / (J_max - J_chance)`: 0 by chance, 1 at best, negative below chance.

        NaN if either is constant, for then nothing lies between chance and best.
        """
        chance = self.jaccard_chance
        adjusted = (self.jaccard - chance) / (self.jaccard_max - chance)
        return adjusted.masked_fill(self._constant, torch.nan)

    @property
    def _constant(self) -> Tensor:
        """Pairs of which one side never fires, or always."""
        low, high = torch.minimum(self.n1, self.n2), torch.maximum(self.n1, self.n2)
        return (low == 0) | (high == self.n_samples)

    def jaccard_wilson(self, confidence: float = 0.95) -> Tensor:
        """Lower end of the Wilson interval of `n11` out of `n1 + n2 - n11`, in [0, 1].

        One sample in common out of one is .207 and not 1. NaN if neither ever fires.
        """
        if not 0 < confidence < 1:
            raise DataError(f"confidence={confidence}: expected a number in (0, 1)")
        z = stats.norm.isf((1 - confidence) / 2)
        union, share = self.n1 + self.n2 - self.n11, self.jaccard
        spread = z * (share * (1 - share) / union + z**2 / (4 * union**2)).sqrt()
        bound = (share + z**2 / (2 * union) - spread) / (1 + z**2 / union)
        # Rounding alone can put it outside.
        return torch.minimum(bound.clamp(min=0), share)

    def jaccard_shrunk(self, strength: float = 10.0) -> Tensor:
        """`(n11 + s J_chance) / (n1 + n2 - n11 + s)`, in [0, 1]: the overlap, shrunk to chance.

        As if `s` more samples of the union had been seen on which both fire by chance only: the
        posterior mean under a beta prior. NaN if neither ever fires.
        """
        if not strength > 0:
            raise DataError(f"strength={strength}: expected a positive number of samples")
        union = self.n1 + self.n2 - self.n11
        return (self.n11 + strength * self.jaccard_chance) / (union + strength)


def cofiring(
    n11: Tensor | int, n1: Tensor | int, n2: Tensor | int, n_samples: Tensor | int
) -> Cofiring:
    """Association of firing indicators from their counts, elementwise.

    Swapping `n1` and `n2` swaps the two conditional probabilities and leaves the rest. With `phi`
    the chi-squared statistic of the table is `N phi^2`, and `dice = 2 J / (1 + J)`. The latent
    correlation of a Gaussian copula is none of these: at frequencies of .01 a copula with .5 has a
    phi of .12.

    Args:
        n11: samples on which both fire.
        n1: samples on which the first fires.
        n2: samples on which the second fires.
        n_samples: samples, `N`.

    Returns:
        The coefficients, of the shape that the counts broadcast to; NaN where undefined.

    Raises:
        DataError: counts that no table of samples has.

    Source: textbook.
    """
    return Cofiring(*_counts(n11, n1, n2, n_samples))


def fisher_p_value(
    n11: Tensor | int, n1: Tensor | int, n2: Tensor | int, n_samples: Tensor | int
) -> Tensor:
    """How probable so many joint firings are under independence: Fisher's exact test, one-sided.

    `P(X >= n11)` for hypergeometric `X`: draws of `n1` samples out of `N`, `n2` of them marked. The
    normal approximation of phi is wrong by orders of magnitude for rare latents; this takes about
    a microsecond a pair, more for latents that fire on millions of samples.

    Args:
        n11: samples on which both fire.
        n1: samples on which the first fires.
        n2: samples on which the second fires.
        n_samples: samples, `N`.

    Returns:
        The probabilities, float64, of the shape that the counts broadcast to; 1 where a side never
        fires.

    Raises:
        DataError: counts that no table of samples has.

    Source: Fisher 1935.
    """
    like, *others = _counts(n11, n1, n2, n_samples)
    both, first, second, total = (count.long().flatten().cpu().numpy() for count in (like, *others))
    tails = torch.empty(like.shape, dtype=torch.float64)
    upper_tails(both, first, second, total, tails.view(-1).numpy())
    return tails.to(like.device)


def _counts(
    n11: Tensor | int, n1: Tensor | int, n2: Tensor | int, n_samples: Tensor | int
) -> tuple[Tensor, ...]:
    """The four counts in float64 and of one shape; refuses those that no table has."""
    both, first, second, total = broadcast(n11, n1, n2, n_samples)
    possible = (both >= 0) & (both <= torch.minimum(first, second))
    if not bool((possible & (first + second - both <= total)).all()):
        raise DataError(
            "counts do not fit together: expected 0 <= n11 <= min(n1, n2) "
            "and n1 + n2 - n11 <= n_samples"
        )
    return both, first, second, total
