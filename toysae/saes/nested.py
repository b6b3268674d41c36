"""What Matryoshka SAEs have in common: every prefix of the latents has to reconstruct by itself.

With `L` levels of widths `w_1 < ... < w_L = n_latents`,

    x_hat_l = sum_{j < w_l} f_j W_dec_j + b_dec
    loss = sum_l level_discount^(L - l) (error(x_hat_l) + coefficient penalty(f_{j < w_l}))

Early latents have to do without the later ones and so become the general ones; a vanilla SAE may
let a specific latent absorb the direction of a general one instead. Bussmann, Nabeshima, Karvonen
and Nanda, "Learning multi-level features with Matryoshka sparse autoencoders" (2025, arXiv
2503.17547). `level_discount` is the multiplier of "balanced" Matryoshka SAEs: Chanin, Dulka and
Garriga-Alonso, "Feature hedging" (2025, arXiv 2505.11756), where a level weighs less the narrower
it is, because narrow SAEs hedge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.errors import ConfigError
from toysae.saes.trainable import Forward, SampleError, TrainableFamily


@dataclass(frozen=True)
class Nested(TrainableFamily):
    """A family whose loss is summed over prefixes; to stand before that family among the bases.

    Attributes:
        widths: numbers of latents of the levels, increasing and at most `n_latents`, which is the
            last level and may be left out; null is a quarter, half and all of them.
        level_discount: weight of a level, relative to the next wider one, `>= 0`.
    """

    widths: tuple[int, ...] | None = None
    level_discount: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.level_discount", self.level_discount, 0)
        for narrow, wide in pairwise((0, *self.level_widths)):
            if not narrow < wide:
                raise ConfigError(
                    f"sae.widths = {list(self.level_widths)}: must increase from at least 1 to at "
                    f"most sae.n_latents = {self.n_latents}"
                )

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Number of latents of every level; the last is `n_latents`."""
        n = self.n_latents
        if self.widths is None:
            return tuple(sorted({max(n // 4, 1), max(n // 2, 1), n}))
        return self.widths if self.widths[-1:] == (n,) else (*self.widths, n)

    @property
    def level_weights(self) -> tuple[float, ...]:
        """Weight of every level in the loss; the last is 1."""
        levels = len(self.level_widths)
        return tuple(self.level_discount ** (levels - 1 - level) for level in range(levels))

    @property
    def fast_form(self) -> None:
        """None: no compiled kernel knows of levels."""
        return None

    def kept_per_sample(self, d_hidden: int) -> int:
        """Of every level what it makes and what that misses."""
        return super().kept_per_sample(d_hidden) + 2 * d_hidden * len(self.level_widths)

    def level_reconstructions(self, params: Mapping[str, Tensor], forward: Forward) -> list[Tensor]:
        """What each level makes of the samples, `[M, n, d]` each; the last is the whole."""
        latents, decoder = self.in_order(params, forward)
        made: list[Tensor] = []
        for start, stop in pairwise((0, *self.level_widths[:-1])):
            before = self.carried(made[-1]) if made else params["b_dec"][:, None, :]
            block = {"W_dec": decoder[:, start:stop], "b_dec": torch.zeros_like(params["b_dec"])}
            made.append(before + self.decode(block, latents[..., start:stop]))
        return [*made, forward.reconstruction]

    def in_order(self, params: Mapping[str, Tensor], forward: Forward) -> tuple[Tensor, Tensor]:
        """Latents `[M, n, m]` and decoder `[M, m, d]` in the order that prefixes are taken of."""
        return forward.latents, params["W_dec"]

    def carried(self, reconstruction: Tensor) -> Tensor:
        """What a level makes, as the next wider level builds on it."""
        return reconstruction

    def mean_error(self, errors: Tensor) -> Tensor:
        """Mean over samples, `[M]`, of errors `[M, n]`."""
        return errors.mean(-1)

    def error(
        self,
        params: Mapping[str, Tensor],
        x: Tensor,
        forward: Forward,
        sample_error: SampleError,
    ) -> Tensor:
        """Weighted sum over levels of the mean error of what each makes, `[M]`."""
        weight = self.error_weight(x)
        levels = self.level_reconstructions(params, forward)
        total = torch.zeros_like(forward.reconstruction[:, 0, 0])
        for level_weight, made in zip(self.level_weights, levels, strict=True):
            if level_weight > 0:
                total = total + level_weight * self.mean_error(weight * sample_error(made))
        return total

    def penalty(
        self, params: Mapping[str, Tensor], forward: Forward, progress: Tensor, kept: Tensor
    ) -> Tensor:
        """The penalty of the family below, in which a latent counts once for each of its levels."""
        return super().penalty(params, forward, progress, kept * self._count(kept))

    def _count(self, like: Tensor) -> Tensor:
        """Summed weight of the levels that a latent belongs to, `[m]`."""
        count = torch.zeros_like(like[0])
        for level_weight, width in zip(self.level_weights, self.level_widths, strict=True):
            count[:width] += level_weight
        return count
