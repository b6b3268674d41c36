"""Dense features, such as positional ones: a position on a circle, and windows around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.truth import PairMoments, Truth


@dataclass(frozen=True)
class Positional(Generator):
    """Smooth bumps around a circle, as wide as they are dense.

    Each sample has a position, uniform on a circle of length 1. Feature `k` of `n` fires if the
    position is nearer to its centre `k / n` than half its window, whose width is its `density`:
    neighbours fire together. It fires with a raised cosine of the distance `r` times a magnitude
    of its own: `(1 + cos(2 pi r / density)) / 2`, 1 at the centre and 0 at the ends.

    Attributes:
        n_features: `>= 1`.
        density: firing probability of each feature, in (0, 1]; positional features of language
            models have 0.1 and more.
        magnitude: law of how strongly a feature fires at the centre of its window.
    """

    n_features: int = 16
    density: Profile = profiles.Constant(0.2)
    magnitude: Magnitude = magnitudes.Uniform()

    name: ClassVar[str] = "positional"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        lowest = float(self.densities.min())
        if lowest <= 0:
            raise ConfigError(f"generator.density: found {lowest:.4g}; must lie in (0, 1]")
        self._magnitudes  # noqa: B018  (a bad law is refused at construction)

    @cached_property
    def densities(self) -> Tensor:
        """Firing probability of each feature, float64, `[n_features]`."""
        return profiles.probabilities("generator.density", self.density, self.n_features)

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        return Magnitudes.of(self.magnitude, self.n_features)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        from toysae.generators.positional_kernel import draw_positions, list_windows

        halves = (self.densities * self.n_features / 2).numpy()
        positions = torch.empty(n, dtype=torch.float64).numpy()
        offsets = torch.empty(n + 1, dtype=torch.int64)
        draw_positions(positions, offsets.numpy(), draws.kernel_state("positions"), halves)
        features = torch.empty(int(offsets[-1]), dtype=torch.int64)
        bumps = torch.empty(len(features))
        list_windows(features.numpy(), bumps.numpy(), positions, halves)
        u = replace(draws, device=CPU).uniform("magnitude", (len(features),))
        values = self._magnitudes.at(u, features) * bumps
        # At the very end of a window a bump is too small for float32; it fires all the same.
        values.clamp_(min=torch.finfo(torch.float32).tiny)
        return SparseCoefficients(offsets, features, values, self.n_features).to(draws.device)

    def truth(self) -> Truth:
        # A raised cosine has mean 1/2 over its window, and mean square 3/8.
        mean = self.densities / 2 * self._magnitudes.mean
        square = self.densities * 3 / 8 * self._magnitudes.square

        def pair_moments(features: Tensor) -> PairMoments:
            centres, widths = features.double() / self.n_features, self.densities[features]
            offset = centres[None, :] - centres[:, None]
            together, bumps = _overlap(offset, widths[:, None], widths[None, :])
            strength = self._magnitudes.mean[features]
            products = bumps * strength[:, None] * strength[None, :]
            same = features[:, None] == features[None, :]
            return PairMoments.exact(together, torch.where(same, square[features], products))

        names = tuple(f"p{k}" for k in range(self.n_features))
        return Truth(names, {}, self.densities, mean, square, pair_moments)


def _overlap(offset: Tensor, width: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """What two windows on a circle of length 1 share: its length, and the integral of both bumps.

    Windows of together more than the whole circle meet at both ends: all turns are summed.

    Args:
        offset: from the centre of the first window to that of the second.
        width, other: of the windows, in (0, 1].
    """
    offset = offset - offset.round()
    length_of_all = torch.zeros_like(offset)
    bumps_of_all = torch.zeros_like(offset)
    for turn in (-1, 0, 1):
        centre = offset + turn
        low = torch.maximum(-width / 2, centre - other / 2)
        high = torch.minimum(width / 2, centre + other / 2)
        length, middle = (high - low).clamp(min=0), (low + high) / 2
        # (1 + cos A) (1 + cos B) / 4, where cos A cos B = (cos(A + B) + cos(A - B)) / 2.
        f, g, shift = 1 / width, 1 / other, -centre / other
        single = _integral(f, torch.zeros_like(shift), middle, length)
        single += _integral(g, shift, middle, length)
        double = _integral(f + g, shift, middle, length)
        double += _integral(f - g, -shift, middle, length)
        length_of_all += length
        bumps_of_all += (length + single + double / 2) / 4
    return length_of_all, bumps_of_all


def _integral(frequency: Tensor, phase: Tensor, middle: Tensor, length: Tensor) -> Tensor:
    """Of `cos(2 pi (frequency t + phase))` over an interval with a given middle and length."""
    swing = torch.cos(2 * math.pi * (frequency * middle + phase))
    return length * torch.sinc(frequency * length) * swing
