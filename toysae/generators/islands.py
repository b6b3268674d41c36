"""Islands: features that nearly always fire together, and almost never with others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.blocks import TOLERANCE, Blocks, Firings
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.truth import PairMoments, Truth


@dataclass(frozen=True)
class Islands(Generator):
    """Small groups that exclude each other, and a background that leaks into them.

    An island has a feature `a` and `size - 1` features `b`. With `p = P(a)` and
    `t = p P(b | a)`, a sample shows: all of an island, probability `t`; `a` alone, `p - t`; each
    `b` alone, `t / P(a | b) - t`; or no island. Background features are independent of each other
    in a sample without island; in one with an island they are so too with the probability `leak`,
    and are all silent otherwise. With `Q` the probability that a sample has an island and
    `G = 1 - Q (1 - leak)` that the background is not silenced,

        P(background i)                = p_i, as asked
        P(background i | island)       = leak p_i / G
        P(background i, background j)  = p_i p_j / G
        P(two islands)                 = 0.

    All of it holds exactly. Features are those of island 0 (`a` first), of island 1, ..., and then
    the background.

    Attributes:
        n_islands: `>= 1`.
        size: features of an island, 2 to 4.
        probability: of `a`, one number an island.
        b_given_a: probability that all `b` fire where `a` does, in (0, 1].
        a_given_b: probability that `a` fires where a given `b` does, in (0, 1].
        amplitude_correlation: correlation of the magnitudes of two features of an island, where
            they have one law; in [0, 1]. At 1 they are one number.
        n_background: number of background features, `>= 0`.
        background_probability: of each background feature.
        leak: probability that the background is not silenced by an island, in [0, 1].
        magnitude: law of how strongly a feature fires, island features first.
    """

    n_islands: int = 1
    size: int = 2
    probability: Profile = profiles.Constant(0.1)
    b_given_a: float = 0.95
    a_given_b: float = 0.95
    amplitude_correlation: float = 0.0
    n_background: int = 8
    background_probability: Profile = profiles.Constant(0.1)
    leak: float = 0.05
    magnitude: Magnitude = magnitudes.Uniform()

    name: ClassVar[str] = "islands"

    def __post_init__(self) -> None:
        check_at_least("generator.n_islands", self.n_islands, 1)
        check_interval("generator.size", self.size, 2, 4)
        for field in ("b_given_a", "a_given_b"):
            check_positive(f"generator.{field}", getattr(self, field))
            check_interval(f"generator.{field}", getattr(self, field), 0, 1)
        check_interval("generator.amplitude_correlation", self.amplitude_correlation, 0, 1)
        check_at_least("generator.n_background", self.n_background, 0)
        check_interval("generator.leak", self.leak, 0, 1)
        self._blocks  # noqa: B018  (impossible requests are refused at construction)

    @property
    def n_features(self) -> int:
        return self._first_background + self.n_background

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        from toysae.generators.islands_kernel import silence_background

        drawn = self._blocks.firings(draws, n)
        state = draws.kernel_state("leak")
        kept = silence_background(state, n, self.leak, self._first_background, *drawn)
        firings = Firings(*(column[:kept] for column in drawn))
        return self._blocks.coefficients(firings, n).to(draws.device)

    def truth(self) -> Truth:
        islands = range(self._first_background)
        starts = islands[:: self.size]
        names = [f"island{g}_{m}" for g in range(self.n_islands) for m in self._members]
        names += [f"background_{i}" for i in range(self.n_background)]
        groups = {f"island_{g}": range(at, at + self.size) for g, at in enumerate(starts)}
        groups |= {"islands": islands, "background": range(len(islands), self.n_features)}
        unsilenced = self._blocks.truth(names, groups)
        share = torch.ones(self.n_features, dtype=torch.float64)
        share[self._first_background :] = self._background_share
        return Truth(
            names,
            groups,
            unsilenced.marginals * share,
            unsilenced.mean * share,
            unsilenced.square * share,
            self._pair_moments,
        )

    def _pair_moments(self, features: Tensor) -> PairMoments:
        """Moments of what the blocks draw, times the share that is not silenced."""
        drawn = self._blocks.pair_moments(features)
        background = (features >= self._first_background).long()
        n_background = background[:, None] + background[None, :]
        shares = torch.tensor([1.0, self.leak, self._background_share], dtype=torch.float64)
        share = shares[n_background]
        return PairMoments.exact(drawn.probabilities * share, drawn.products * share)

    @property
    def _first_background(self) -> int:
        return self.n_islands * self.size

    @property
    def _members(self) -> tuple[str, ...]:
        return ("a", *(f"b{j}" for j in range(1, self.size)))

    @cached_property
    def _island_table(self) -> Tensor:
        """Probabilities of all, of `a` alone and of each `b` alone, `[n_islands, 1 + size]`."""
        p = profiles.probabilities("generator.probability", self.probability, self.n_islands)
        together = p * self.b_given_a
        b_alone = together * (1 - self.a_given_b) / self.a_given_b
        table = torch.stack([together, p - together] + [b_alone] * (self.size - 1), dim=1)
        if float(table.sum()) > 1 + TOLERANCE:
            raise ConfigError(
                f"generator.probability: sums to {float(p.sum()):.4g} over the islands; they "
                "exclude each other, and with these b_given_a and a_given_b it can be at most "
                f"{float(p.sum() / table.sum()):.4g}"
            )
        return table

    @cached_property
    def _background_share(self) -> float:
        """Probability that the background is not silenced."""
        return 1 - float(self._island_table.sum()) * (1 - self.leak)

    @cached_property
    def _background_probability(self) -> Tensor:
        """Of each background feature, where the background is not silenced."""
        asked = profiles.probabilities(
            "generator.background_probability", self.background_probability, self.n_background
        )
        highest = float(asked.amax()) if self.n_background else 0.0
        if highest > self._background_share + TOLERANCE:
            needed = 1 - (1 - highest) / float(self._island_table.sum())
            raise ConfigError(
                f"generator.background_probability: found {highest:.4g}; islands silence the "
                f"background, so it can be at most {self._background_share:.4g} (leak = "
                f"{self.leak}), or generator.leak must be at least {needed:.4g}"
            )
        return torch.where(asked > 0, asked / self._background_share, 0).clamp(max=1)

    @cached_property
    def _blocks(self) -> Blocks:
        """The islands as one block, and each background feature as one that is never silenced."""
        table = self._island_table
        starts = torch.arange(self.n_islands)[:, None] * self.size
        together_then_each = torch.arange(self.size).repeat(2)
        sizes = torch.ones_like(table, dtype=torch.int64)
        sizes[:, 0] = self.size
        one_each = torch.ones(self.n_background, dtype=torch.int64)
        correlations = torch.zeros(1 + self.n_background, dtype=torch.float64)
        correlations[0] = self.amplitude_correlation
        return Blocks(
            patterns=torch.cat([torch.tensor([table.numel()]), one_each]),
            probabilities=torch.cat([table.flatten(), self._background_probability]),
            sizes=torch.cat([sizes.flatten(), one_each]),
            features=torch.cat(
                [
                    (starts + together_then_each).flatten(),
                    torch.arange(self._first_background, self.n_features),
                ]
            ),
            correlations=correlations,
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )
