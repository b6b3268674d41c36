"""Similarity of activations themselves, not only of when they fire."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.metrics._inputs import finite, require_axes, require_same_samples
from toysae.metrics._row_blocks import row_blocks, rows_within

_ENTRIES_AT_ONCE = 2**24


@dataclass(frozen=True)
class MagnitudeSimilarity:
    """Similarity of the activations of all pairs, `[n, m]`, float64."""

    ruzicka: Tensor
    """`sum min(|a|, |b|) / sum max(|a|, |b|)`, in [0, 1]; NaN if neither ever fires."""
    cosine: Tensor
    """Cosine of the columns, in [-1, 1]; NaN if either never fires."""
    pearson: Tensor
    """Correlation of the columns, in [-1, 1]; NaN if either is constant."""

    def n_defined(self, similarity: str) -> int:
        """Pairs for which a similarity, such as `"pearson"`, is not NaN."""
        return int((~torch.isnan(getattr(self, similarity))).sum())


def magnitude_similarity(a: Tensor, b: Tensor) -> MagnitudeSimilarity:
    """Ruzicka similarity, cosine and Pearson correlation of the activations of all pairs.

    Ruzicka is Jaccard for magnitudes: equal to it where all activations are 0 or 1, and 1 only for
    equal ones. It knows scale; cosine and Pearson do not. Swapping the arguments transposes. The
    minima take `N n m` steps, so this is for hundreds of latents and not for all of an SAE.

    Args:
        a: activations `[N, n]`.
        b: activations `[N, m]` on the same samples.

    Returns:
        The three tables.

    Raises:
        ShapeError: not two axes, or different samples.
        DataError: NaN or infinity.

    Source: Ruzicka 1958.
    """
    for value, name in ((a, "a"), (b, "b")):
        require_axes(value, name, "[samples, latents]")
    require_same_samples(a, b, ("a", "b"))
    a, b = finite(a, "a"), finite(b, "b")
    return MagnitudeSimilarity(
        _ruzicka(a.abs(), b.abs()), _cosines(a, b), _cosines(_centred(a), _centred(b))
    )


def _centred(table: Tensor) -> Tensor:
    """Columns less their mean; exactly 0 where they are constant."""
    constant = (table == table[:1]).all(dim=0)
    return (table - table.mean(dim=0)).masked_fill(constant, 0.0)


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    a, b = _scaled(a), _scaled(b)
    lengths_a, lengths_b = (torch.linalg.vector_norm(table, dim=0) for table in (a, b))
    return (a.T @ b / (lengths_a[:, None] * lengths_b[None, :])).clamp(-1, 1)


def _scaled(table: Tensor) -> Tensor:
    """Columns with a largest entry of 1, so that no square leaves the range of numbers."""
    if len(table) == 0:
        return table
    peak = table.abs().amax(dim=0)
    return table / peak.masked_fill(peak == 0, 1.0)


def _ruzicka(a: Tensor, b: Tensor) -> Tensor:
    shared = a.new_zeros(a.shape[1], b.shape[1])
    for rows in row_blocks(len(a), rows_within(_ENTRIES_AT_ONCE, shared.numel())):
        shared += torch.minimum(a[rows, :, None], b[rows, None, :]).sum(dim=0)
    return shared / (a.sum(dim=0)[:, None] + b.sum(dim=0)[None, :] - shared)
