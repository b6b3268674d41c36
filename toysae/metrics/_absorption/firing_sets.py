"""Activations as a sparse matrix of columns, for questions about the samples of single latents."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._firing.firing import require_threshold
from toysae.metrics._inputs import refuse_non_finite, require_axes
from toysae.metrics.codes import SparseCodes

Activations = Tensor | SparseCodes
"""Activations `[N, m]` as a table, or by what fires."""


def columns(activations: Activations, name: str, threshold: float = 0.0) -> csc_array:
    """Activations strictly above `threshold` in absolute value, `[N, m]`, float64."""
    require_threshold(threshold)
    if isinstance(activations, SparseCodes):
        codes = activations
        refuse_non_finite(codes.values, name)
    else:
        require_axes(activations, name, "[samples, columns]")
        refuse_non_finite(activations, name)
        codes = SparseCodes.from_dense(activations, threshold)
    values = codes.values.detach().cpu().double().numpy()
    shape = (codes.n_samples, codes.n_latents)
    rows = csr_array((values, codes.latents.cpu().numpy(), codes.offsets.cpu().numpy()), shape)
    table = rows.tocsc()
    table.data[np.abs(table.data) <= threshold] = 0
    table.eliminate_zeros()
    return table


def indicators(table: csc_array) -> csc_array:
    """1 where the table is not 0."""
    fired = table.copy()
    fired.data = np.ones_like(fired.data)
    return fired


def require_same_n_samples(a: csc_array, b: csc_array, names: tuple[str, str]) -> None:
    """Raises `ShapeError` where two tables are not of the same samples."""
    if a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"{names[0]} has {a.shape[0]} samples and {names[1]} has {b.shape[0]}: "
            "both must come from the same samples"
        )


def f1(true_positives: np.ndarray, n_true: np.ndarray | float, n_fired: np.ndarray) -> np.ndarray:
    """`2 TP / (n_true + n_fired)`; NaN where both are 0."""
    with np.errstate(invalid="ignore"):
        return 2 * true_positives / (n_true + n_fired)
