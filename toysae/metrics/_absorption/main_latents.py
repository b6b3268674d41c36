"""Parents, their children, and the latents that stand for a parent alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._absorption.firing_sets import Activations, columns, require_same_n_samples
from toysae.metrics._absorption.unions import greedy_union
from toysae.metrics._directions import cosines, unit_rows_of_pair

MIN_COSINE = 0.7
"""Cosine with a feature above which a latent may stand for it, strictly."""

MIN_SHARE = 0.4
"""Share of the parent that another latent must carry to have absorbed it."""

Pairs = Sequence[tuple[int, int]]
"""Features as (parent, child)."""


def is_active(active: csc_array, feature: int) -> NDArray[np.bool_]:
    """Samples on which a feature is active, `[N]`."""
    rows = np.zeros(active.shape[0], dtype=bool)
    rows[active.indices[active.indptr[feature] : active.indptr[feature + 1]]] = True
    return rows


def main_latents(
    active: csc_array, fired: csc_array, cosines: Tensor, pairs: Pairs
) -> dict[int, list[int]]:
    """The latents that stand for each parent, found where none of its children is active.

    Of the latents with a cosine above 0.7, the best by F1 for the parent on the samples without
    any of its children, and those that raise the F1 of their union by 0.03. So a parent may be
    split, and a latent that fires for a child only is none of its own, however close it points.

    Args:
        active: 1 where each feature is active, `[N, n]`.
        fired: 1 where each latent fires, `[N, m]`.
        cosines: of latents with features `[m, n]`; NaN where undefined.
        pairs: parents and children.
    """
    found = {}
    for parent in {parent for parent, _ in pairs}:
        children = [child for other, child in pairs if other == parent]
        without = ~np.any([is_active(active, child) for child in children], axis=0)
        near = torch.nonzero(cosines[:, parent] > MIN_COSINE).flatten().cpu().numpy()
        alone = fired[:, near].tocsr()[without].tocsc()
        union = greedy_union(is_active(active, parent)[without], alone, np.arange(len(near)))
        found[parent] = [int(near[j]) for j in union.latents]
    return found


def detectors(
    coefficients: Activations,
    latents: Activations,
    features: Tensor,
    decoder: Tensor,
    pairs: Pairs,
    threshold: float,
) -> tuple[csc_array, csc_array, Tensor]:
    """Coefficients, activations, and the cosines `[m, n]` of latents with features, all checked."""
    truth = columns(coefficients, "coefficients")
    codes = columns(latents, "latents", threshold)
    require_same_n_samples(truth, codes, ("coefficients", "latents"))
    learned, true = unit_rows_of_pair(decoder, features, names=("decoder", "features"))
    for table, rows, names in (
        (truth, true.n_rows, ("coefficients", "features")),
        (codes, learned.n_rows, ("latents", "decoder")),
    ):
        if table.shape[1] != rows:
            raise ShapeError(
                f"{names[0]} has {table.shape[1]} columns and {names[1]} has {rows} rows: "
                "expected the same"
            )
    _require_pairs(pairs, true.n_rows)
    return truth, codes, cosines(learned, true)


def _require_pairs(pairs: Pairs, n_features: int) -> None:
    """Raises `ShapeError` unless each pair names two different features that are there."""
    for parent, child in pairs:
        if parent == child or not (0 <= parent < n_features and 0 <= child < n_features):
            raise ShapeError(
                f"pair ({parent}, {child}): expected (parent, child), two different features of "
                f"{n_features}, counted from 0"
            )
