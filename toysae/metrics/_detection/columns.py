"""Activations by latent, whatever form they came in: what metrics of single latents work on.

Sparse work is done on the CPU, by scipy and compiled loops; results go back to where the input was.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._firing.firing import require_threshold
from toysae.metrics._inputs import refuse_non_finite, require_axes, require_bool
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics.codes import SparseCodes

_COLUMNS_AT_ONCE = 256

Activations = Tensor | SparseCodes
"""A table `[N, m]`, or what of it is not 0."""


def n_samples_of(activations: Activations) -> int:
    """Rows of the table that `activations` stand for."""
    return activations.n_samples if isinstance(activations, SparseCodes) else len(activations)


def device_of(activations: Activations) -> torch.device:
    """Where the activations are held."""
    return (activations.values if isinstance(activations, SparseCodes) else activations).device


def samples_by_latents(activations: Activations, name: str, threshold: float = 0.0) -> csr_array:
    """`activations` above `threshold` in absolute value, float64 `[N, m]`, sample by sample."""
    require_threshold(threshold)
    if isinstance(activations, Tensor):
        require_axes(activations, name, "[samples, latents]")
        refuse_non_finite(activations, name)
        activations = SparseCodes.from_dense(activations)
    refuse_non_finite(activations.values, name)
    parts = (
        activations.values.detach().cpu().double().numpy(),
        activations.latents.cpu().numpy(),
        activations.offsets.cpu().numpy(),
    )
    table = csr_array(parts, shape=(activations.n_samples, activations.n_latents))
    return above(table, threshold) if threshold > 0 else table


def both_by_samples(
    coefficients: Activations, latents: Activations, threshold: float = 0.0
) -> tuple[csr_array, csr_array]:
    """`samples_by_latents` of the truth and, above `threshold`, of latents on the same samples."""
    truth = samples_by_latents(coefficients, "coefficients")
    learned = samples_by_latents(latents, "latents", threshold)
    require_same_rows(truth.shape[0], learned.shape[0])
    return truth, learned


def require_same_rows(n_coefficients: int, n_latents: int) -> None:
    """Raises `ShapeError` where truth and latents are not of the same samples."""
    if n_coefficients != n_latents:
        raise ShapeError(
            f"coefficients has {n_coefficients} samples and latents has {n_latents}: "
            "both must come from the same samples, one row each"
        )


def alive_mask(alive: Tensor | None, m: int) -> Tensor:
    """`alive [m]` on the CPU, checked; True everywhere where there is none."""
    if alive is None:
        return torch.ones(m, dtype=torch.bool)
    require_bool(alive, "alive", (m,))
    return alive.cpu()


def indicators(table: csr_array | csc_array) -> csr_array | csc_array:
    """1 where `table` is not 0, int32, by samples or by latents as `table` is."""
    ones = np.ones(table.nnz, dtype=np.int32)
    return type(table)((ones, table.indices, table.indptr), table.shape)


def above(table: csr_array | csc_array, threshold: float) -> csr_array | csc_array:
    """What of `table` is strictly above `threshold` in absolute value."""
    require_threshold(threshold)
    table = table.copy()
    table.data[np.abs(table.data) <= threshold] = 0
    table.eliminate_zeros()
    return table


def counts_by_column(table: csr_array | csc_array) -> Tensor:
    """Entries of each column, `[m]`, int64."""
    return torch.from_numpy(np.asarray(indicators(table).sum(axis=0), dtype=np.int64).ravel())


def column_sums(table: csr_array | csc_array) -> Tensor:
    """Sum of each column, `[m]`, float64."""
    return torch.from_numpy(np.asarray(table.sum(axis=0), dtype=np.float64).ravel())


def sums_over_samples(first: csr_array, second: csr_array) -> Tensor:
    """`first^T second`, `[n, m]`; in blocks, so that it can be interrupted."""
    by_column = first.T.tocsr()
    blocks = row_blocks(first.shape[1], _COLUMNS_AT_ONCE)
    products = [torch.from_numpy((by_column[rows] @ second).toarray()) for rows in blocks]
    return torch.cat(products) if products else torch.zeros(0, second.shape[1])


def squares(table: csc_array) -> Tensor:
    """Sum of squares of each column, `[m]`, float64."""
    return column_sums(table.multiply(table))


def variation(table: csc_array) -> Tensor:
    """`sum (x - mean x)^2` of each column, `[m]`, float64; NaN if constant, or no samples."""
    n, m = table.shape
    if n == 0:
        return torch.full((m,), torch.nan, dtype=torch.float64)
    mean = column_sums(table) / n
    about = table.copy()
    about.data = about.data - np.repeat(mean.numpy(), np.diff(table.indptr))
    silent = n - counts_by_column(table)
    # Rounding would give a constant column a tiny variation, and its R2 a huge value.
    constant = torch.from_numpy((table.max(axis=0) - table.min(axis=0)).toarray() == 0)
    return (squares(about) + silent * mean.square()).masked_fill(constant, torch.nan)


def require_pairs(feature: Tensor, latent: Tensor, n: int, m: int) -> tuple[Tensor, Tensor]:
    """Indices of pairs on the CPU, checked: one axis, equally many, -1 for no partner."""
    feature, latent = feature.detach().cpu().long(), latent.detach().cpu().long()
    if feature.ndim != 1 or feature.shape != latent.shape:
        raise ShapeError(
            f"feature has shape {tuple(feature.shape)} and latent {tuple(latent.shape)}: "
            "expected one axis, one entry a pair"
        )
    for index, size, name in ((feature, n, "feature"), (latent, m, "latent")):
        if len(index) and not (int(index.min()) >= -1 and int(index.max()) < size):
            raise ShapeError(
                f"{name} from {int(index.min())} to {int(index.max())}: expected 0 to {size - 1}, "
                "or -1 for a pair without partner"
            )
    return feature, latent
