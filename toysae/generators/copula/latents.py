"""Correlated standard normal latents; a feature fires where its latent exceeds a threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.coefficients import by_sample
from toysae.generators.copula.cells import firings, true_cells
from toysae.generators.copula.low_rank import LowRankLatents

#: Latents held at a time on the CPU: a megabyte, which stays in the cache.
_CELLS = 2**18
#: Columns of a triangular factor that are multiplied at a time, without the zeros above them.
_COLUMNS = 128


class Latents(ABC):
    """Standard normal latents of some features, and the thresholds above which they fire."""

    @abstractmethod
    def correlations(self, features: Tensor) -> Tensor:
        """Correlations of the latents of the features of an index tensor `[k]`, `[k, k]`."""

    @abstractmethod
    def fire(self, draws: Draws, n: int) -> tuple[Tensor, Tensor]:
        """Which features fire on `n` samples.

        Returns:
            Offsets `[n + 1]` and features `[firings]` as `SparseCoefficients` holds them, int64, on
            the device of `draws` or on the CPU.
        """


@dataclass(frozen=True, eq=False)
class BlockLatents(Latents):
    """Latents in blocks of equal size that are independent of each other.

    Takes time and memory for every feature and feature of its block, not for all pairs.

    Attributes:
        thresholds: `[n_features]`; `-inf` always fires, `inf` never.
        blocks: correlation matrices, positive semi-definite, `[n_features / size, size, size]`.
    """

    thresholds: Tensor
    blocks: Tensor

    @cached_property
    def _roots(self) -> Tensor:
        return triangular_root(self.blocks).float()

    def correlations(self, features: Tensor) -> Tensor:
        size = self.blocks.shape[1]
        block, place = features // size, features % size
        inside = self.blocks[block[:, None], place[:, None], place[None, :]]
        return torch.where(block[:, None] == block[None, :], inside, 0.0)

    def fire(self, draws: Draws, n: int) -> tuple[Tensor, Tensor]:
        n_blocks, size, _ = self.blocks.shape
        n_features = n_blocks * size
        roots = self._roots.to(draws.device)
        thresholds = self.thresholds.float().view(n_blocks, 1, size).to(draws.device)
        cells = [torch.empty(0, dtype=torch.int64, device=draws.device)]
        for start, normal in self._normal(draws, n):
            latents = times_triangular(normal, roots)
            fires = (latents > thresholds).transpose(0, 1)
            cells.append(true_cells(fires) + start * n_features)
        return firings(torch.cat(cells), n, n_features)

    def _normal(self, draws: Draws, n: int) -> Iterator[tuple[int, Tensor]]:
        """First sample, and independent normal numbers `[n_blocks, samples, size]`, part by part.

        On the CPU each part is overwritten by the next.
        """
        n_blocks, size, _ = self.blocks.shape
        if draws.device.type != "cpu":
            yield 0, draws.normal("latents", (n_blocks, n, size))
            return
        from toysae.generators.copula.normal_kernel import fill_normal

        state = draws.kernel_state("latents")
        rows = max(1, _CELLS // (n_blocks * size))
        memory = torch.empty(min(rows, n) * n_blocks * size)
        for start in range(0, n, rows):
            stop = min(start + rows, n)
            part = memory[: (stop - start) * n_blocks * size]
            fill_normal(state, part.numpy())
            yield start, part.view(n_blocks, stop - start, size)


@dataclass(frozen=True, eq=False)
class FactorLatents(Latents):
    """Latents that correlate by what a few common factors contribute to them.

    Attributes:
        thresholds: `[n_features]`; `-inf` always fires, `inf` never.
        loadings: weight of each factor, `[n_features, rank]`, rows of norm below 1.
    """

    thresholds: Tensor
    loadings: Tensor

    @cached_property
    def _law(self) -> LowRankLatents:
        return LowRankLatents(self.thresholds, self.loadings)

    def correlations(self, features: Tensor) -> Tensor:
        loadings = self.loadings[features]
        return torch.where(features[:, None] == features[None, :], 1.0, loadings @ loadings.T)

    def fire(self, draws: Draws, n: int) -> tuple[Tensor, Tensor]:
        samples, features = self._law.fire(draws, self._law.factors(draws, n))
        offsets, order = by_sample(samples, n)
        return offsets, features[order]


def triangular_root(matrices: Tensor) -> Tensor:
    """Lower triangular `L` with `L L^T` equal to each positive semi-definite matrix of a stack."""
    root, failed = torch.linalg.cholesky_ex(matrices)
    if not bool(failed.any()):
        return root
    values, vectors = torch.linalg.eigh(matrices)
    half = vectors * values.clamp(min=0).sqrt()[..., None, :]
    return torch.linalg.qr(half.mT, mode="r").R.mT


def times_triangular(normal: Tensor, roots: Tensor) -> Tensor:
    """`normal @ root^T` for each block, `[n_blocks, rows, size]`, for lower triangular roots."""
    latents = torch.empty_like(normal)
    for start in range(0, normal.shape[-1], _COLUMNS):
        stop = start + _COLUMNS
        factor = roots[:, start:stop, :stop].mT
        torch.bmm(normal[..., :stop], factor, out=latents[..., start:stop])
    return latents
