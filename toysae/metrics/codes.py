"""Latents of many samples, held by what fires: what metrics at real size take.

24,576 latents on a million tokens are 98 GB as a table and 0.6 GB by their firings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._firing.codes_kernel import sort_by_latent
from toysae.metrics._firing.firing import SAMPLES_AT_ONCE, fires
from toysae.metrics._inputs import refuse_non_finite, require_axes
from toysae.metrics._row_blocks import row_blocks

_FIRINGS_AT_ONCE = 2**26


@dataclass(frozen=True)
class LatentFirings:
    """The same firings, latent by latent (the compressed columns of the sparse matrix)."""

    offsets: Tensor
    """`[n_latents + 1]` int64; the firings of latent `j` are those from `offsets[j]` up to
    `offsets[j + 1]`."""
    samples: Tensor
    """`[k]` int32, the sample of each firing; ascending within a latent."""
    places: Tensor
    """`[k]` int64, where each firing stands in `SparseCodes`: `codes.values[places]` are the
    activations, latent by latent."""


@dataclass(frozen=True)
class SparseCodes:
    """Non-zero activations, sample by sample (the compressed rows of a sparse matrix).

    Attributes:
        offsets: `[N + 1]` int64; the activations of sample `t` are those from `offsets[t]` up to
            `offsets[t + 1]`.
        latents: `[k]` int32, the latent of each activation; ascending within a sample, none twice.
        values: `[k]`, the activation; finite and not 0.
        n_latents: latents, silent ones included.

    Raises:
        ShapeError: offsets, latents and values that do not fit together.
        DataError: latents that do not ascend within a sample, or values that are NaN, infinite
            or 0: an entry is a firing, so what does not fire has none.
    """

    offsets: Tensor
    latents: Tensor
    values: Tensor
    n_latents: int

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or len(self.offsets) == 0 or self.offsets.dtype != torch.int64:
            raise ShapeError(
                f"offsets of shape {tuple(self.offsets.shape)} and dtype {self.offsets.dtype}: "
                "expected [samples + 1] of int64"
            )
        if self.latents.dtype != torch.int32:
            raise ShapeError(f"latents of dtype {self.latents.dtype}: expected int32")
        if self.latents.shape != self.values.shape or self.latents.ndim != 1:
            raise ShapeError(
                f"latents have shape {tuple(self.latents.shape)} and values "
                f"{tuple(self.values.shape)}: expected one axis, one entry an activation"
            )
        if int(self.offsets[0]) != 0 or int(self.offsets[-1]) != len(self.latents):
            raise ShapeError(
                f"offsets run from {int(self.offsets[0])} to {int(self.offsets[-1])}: "
                f"expected 0 to the number of activations, {len(self.latents)}"
            )
        if len(self.latents) and not (
            int(self.latents.min()) >= 0 and int(self.latents.max()) < self.n_latents
        ):
            raise ShapeError(
                f"latents from {int(self.latents.min())} to {int(self.latents.max())}: "
                f"expected 0 to {self.n_latents - 1}"
            )
        if bool((self.offsets.diff() < 0).any()) or bool(self._out_of_order().any()):
            raise DataError(
                "latents do not ascend within each sample: expected sorted latents, none twice"
            )
        refuse_non_finite(self.values, "values")
        n_zero = len(self.values) - int(torch.count_nonzero(self.values))
        if n_zero:
            raise DataError(
                f"values: {n_zero} of {len(self.values)} are 0, which is not firing; leave them "
                "out, as SparseCodes.from_dense and from_top_k do"
            )

    def _out_of_order(self) -> Tensor:
        first_of_sample = torch.zeros(
            len(self.latents) + 1, dtype=torch.bool, device=self.latents.device
        )
        first_of_sample[self.offsets] = True
        return (self.latents[1:] <= self.latents[:-1]) & ~first_of_sample[1:-1]

    @property
    def n_samples(self) -> int:
        """Samples, silent ones included."""
        return len(self.offsets) - 1

    @property
    def firings(self) -> Tensor:
        """Firings of each latent, `[n_latents]`, int64."""
        return torch.bincount(self.latents, minlength=self.n_latents)

    @classmethod
    def from_dense(cls, activations: Tensor, threshold: float = 0.0) -> SparseCodes:
        """The activations of a table `[N, m]` whose absolute value is strictly above `threshold`.

        Raises:
            ShapeError: not two axes.
            DataError: NaN or infinity, or a threshold that is negative or not finite.
        """
        require_axes(activations, "activations", "[samples, latents]")
        counts, latents, values = [], [], []
        for rows in row_blocks(len(activations), SAMPLES_AT_ONCE):
            block = activations[rows].detach()
            fired = fires(block, threshold)
            counts.append(fired.sum(dim=1))
            latents.append(fired.nonzero()[:, 1].int())
            values.append(block[fired])
        none = torch.zeros(0, dtype=torch.int32, device=activations.device)
        return cls(
            _ends(torch.cat([none, *counts])),
            torch.cat([none, *latents]),
            torch.cat([activations.detach()[:0].flatten(), *values]),
            activations.shape[1],
        )

    @classmethod
    def from_top_k(cls, latents: Tensor, values: Tensor, n_latents: int) -> SparseCodes:
        """What TopK encoders give: `latents [N, k]` and their activations `values [N, k]`.

        Activations of 0 are left out; the latents of a sample may come in any order.

        Raises:
            ShapeError: shapes that differ, or a latent outside 0..n_latents - 1.
            DataError: NaN, infinity, or a latent twice on a sample.
        """
        require_axes(latents, "latents", "[samples, k]")
        if latents.shape != values.shape:
            raise ShapeError(
                f"latents have shape {tuple(latents.shape)} and values {tuple(values.shape)}: "
                "expected the same"
            )
        refuse_non_finite(values, "values")
        ordered, order = latents.sort(dim=1)
        sorted_values = values.detach().gather(1, order)
        fired = sorted_values != 0
        twice = (ordered[:, 1:] == ordered[:, :-1]) & fired[:, 1:] & fired[:, :-1]
        if bool(twice.any()):
            raise DataError("a latent stands twice on a sample: expected each at most once")
        return cls(
            _ends(fired.sum(dim=1)),
            ordered[fired].int(),
            sorted_values[fired],
            n_latents,
        )

    def dense(self) -> Tensor:
        """The table `[N, m]`, of the type of the values."""
        table = self.values.new_zeros(self.n_samples, self.n_latents)
        samples = torch.arange(self.n_samples, device=table.device)
        table[samples.repeat_interleave(self.offsets.diff()), self.latents.long()] = self.values
        return table

    def by_latent(self) -> LatentFirings:
        """The firings latent by latent; takes 12 bytes a firing."""
        return self._by_sorting() if self.latents.is_cuda else self._by_counting()

    def _by_sorting(self) -> LatentFirings:
        places = self.latents.sort(stable=True).indices
        samples = torch.arange(self.n_samples, dtype=torch.int32, device=places.device)
        samples = samples.repeat_interleave(self.offsets.diff(), output_size=len(places))
        return LatentFirings(_ends(self.firings), samples[places], places)

    def _by_counting(self) -> LatentFirings:
        offsets = _ends(self.firings)
        samples = torch.empty(len(self.latents), dtype=torch.int32)
        places = torch.empty(len(self.latents), dtype=torch.int64)
        heads = offsets[:-1].clone()
        for first, last in self._sample_blocks(_FIRINGS_AT_ONCE):
            sort_by_latent(
                first,
                last,
                self.offsets.numpy(),
                self.latents.numpy(),
                heads.numpy(),
                samples.numpy(),
                places.numpy(),
            )
        return LatentFirings(offsets, samples, places)

    def _sample_blocks(self, firings: int) -> Iterator[tuple[int, int]]:
        """Ranges of samples that cover all, with about so many firings each."""
        targets = torch.arange(0, len(self.latents) + firings, firings, device=self.offsets.device)
        bounds = torch.searchsorted(self.offsets, targets).clamp(max=self.n_samples).unique()
        return pairwise([*bounds.tolist(), self.n_samples])


def _ends(counts: Tensor) -> Tensor:
    """Offsets `[n + 1]` of lists of the given lengths `[n]`, one after the other."""
    return torch.cat([counts.new_zeros(1, dtype=torch.int64), counts.cumsum(0)])
