"""Variance inflation block by block, where most pairs of latents never meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from toysae.diagnostics._blocks import check_threshold, shifted_inverse
from toysae.diagnostics._column_space import scale_columns
from toysae.diagnostics._inputs import ArrayLike, as_matrix, as_tensor, resolution
from toysae.diagnostics.collinearity import vif


@dataclass(frozen=True)
class LocalInflation:
    """Bounds of the centred VIF from blocks of columns that fire together.

    Attributes:
        lowest: `[k]`, the exact VIF within the block: other columns can only raise it. NaN for a
            constant column.
        highest: `[k]`, a bound that the VIF among all columns cannot exceed; infinite where the
            correlations between blocks are too strong for one.
        blocks: `[k]` int64, number of the block of each column; -1 for a column that was dropped.
        between: bound of the spectral norm of the correlations between blocks.
    """

    lowest: Tensor
    highest: Tensor
    blocks: Tensor
    between: float

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.blocks[self.blocks >= 0].unique())


def block_local_vif(x: ArrayLike, threshold: float = 0.05) -> LocalInflation:
    """Centred VIF within the connected components of the graph `|phi| > threshold` of firings.

    With `B` the correlations within a block and `ε` the norm of those between blocks,
    `[B⁻¹]_jj <= VIF_j <= [(B - ε)⁻¹]_jj`, the upper bound where `B - ε` is positive definite.

    Args:
        x: `[N, k]` activations, rows are samples; a column fires where it is not 0.
        threshold: of the absolute correlation of firings (strict); a column that fires always or
            never has none.

    Returns:
        Both bounds of each column and its block; NaN for constant columns.

    Raises:
        ShapeError: `x` is not a matrix.
        DataError: NaN or infinite values.
        ConfigError: `threshold` is outside [0, 1).

    Source: Schur complement; Weyl's inequality.
    """
    check_threshold(threshold)
    matrix, eps = as_matrix(x, "x"), resolution(x)
    fires = scale_columns((matrix != 0).double(), centered=True, eps=eps).columns
    linked = (fires.T @ fires).abs() > threshold
    n_blocks, labels = connected_components(linked.cpu().numpy(), directed=False)
    scaled = scale_columns(matrix, centered=True, eps=eps)
    correlations = scaled.columns.T @ scaled.columns
    blocks = torch.from_numpy(labels.astype(np.int64)).to(matrix.device)
    between = correlations.masked_fill(blocks[:, None] == blocks, 0.0)
    # Both norms bound the spectral one.
    bound = float(torch.minimum(between.norm(), between.abs().sum(1).max()))

    original = as_tensor(x)
    lowest, highest = torch.empty_like(scaled.lengths), torch.empty_like(scaled.lengths)
    for block in range(n_blocks):
        inside = blocks == block
        lowest[inside] = vif(original[:, inside]).vif
        # Where nothing is between the blocks, the VIF within one is that among all.
        highest[inside] = (
            shifted_inverse(correlations[inside][:, inside], bound) if bound else lowest[inside]
        )
    highest = torch.where(lowest.isnan(), torch.nan, torch.maximum(highest, lowest))
    return LocalInflation(lowest, highest, blocks, bound)
