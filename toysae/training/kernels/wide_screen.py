"""The encoder's product of one large SAE in half the precision, to tell what is worth computing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from toysae.training.kernels.simd_types import LANES
from toysae.training.kernels.wide_candidates import Product, Rounded, measure_rounding
from toysae.training.kernels.wide_loops import Array
from toysae.training.kernels.wide_member import Spread
from toysae.training.kernels.wide_ranges import Range, Tile, of_samples

#: Where more than this share of the latents are candidates, the full product is faster: at d = 768
#: and 4,096 latents from 0.3 on, with TopK from 0.15.
CANDIDATE_SHARE = 0.25


def has_fast_product() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32."""
    # Not documented by torch: where it is not there, nothing is lost but speed.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


class Screen:
    """Memory for the product, and its parts.

    Args:
        batch, d, m: samples, dimensions and latents.
        sample_ranges, latent_ranges: what is rounded at once; the first range of samples is what
            the number of candidates is told from.
        tiles: what is multiplied at once.
    """

    def __init__(
        self,
        batch: int,
        d: int,
        m: int,
        sample_ranges: list[Range],
        latent_ranges: list[Range],
        tiles: list[Tile],
    ) -> None:
        width = m + -m % LANES
        self._m = m
        self._sample_ranges, self._latent_ranges = sample_ranges, latent_ranges
        self._n_probed = sample_ranges[0][2]
        self._probe = of_samples(tiles, 0, self._n_probed)
        self._rest = of_samples(tiles, self._n_probed, batch)
        self._x, self._w, self._z = _half(batch, d), _half(m, d), _half(batch, width)
        self.product = Product(_bits(self._z), _rounded(self._x, batch), _rounded(self._w, width))

    def passes(
        self, x: Array, w_enc: Array, count: Callable[[int, int], int], spread: Spread
    ) -> bool:
        """Compute `product`; False, and not all of it, where there are too many candidates.

        Args:
            x: samples `[batch, d]`.
            w_enc: rows `[m, d]`.
            count: the number of candidates on samples from a first to a last, of their `product`.
            spread: over threads.
        """
        spread(partial(_round, x, self._x, self.product.samples), self._sample_ranges)
        spread(partial(_round, w_enc, self._w, self.product.encoder), self._latent_ranges)
        spread(self._multiply, self._probe)
        if count(0, self._n_probed) > CANDIDATE_SHARE * self._n_probed * self._m:
            return False
        spread(self._multiply, self._rest)
        return True

    def _multiply(self, samples: slice, latents: slice) -> None:
        torch.mm(self._x[samples], self._w[latents].T, out=self._z[samples, latents])


def _half(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.bfloat16)


def _rounded(rows: Tensor, n: int) -> Rounded:
    return Rounded(_bits(rows), np.zeros(n, np.float32), np.zeros(n, np.float32))


def _round(rows: Array, half: Tensor, rounded: Rounded, place: int, first: int, last: int) -> None:
    half[first:last] = torch.from_numpy(rows[first:last])
    measure_rounding(first, last, rows, rounded)


def _bits(half: Tensor) -> Array:
    """The same memory as numbers that NumPy knows."""
    return half.view(torch.uint16).numpy()
