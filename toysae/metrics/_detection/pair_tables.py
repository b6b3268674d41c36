"""Similarities of features and latents, a block of features at a time: nothing `n x m` is held."""

from __future__ import annotations

from typing import Protocol

import torch
from scipy.sparse import csr_array
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._detection.columns import (
    Activations,
    alive_mask,
    both_by_samples,
    column_sums,
    counts_by_column,
    indicators,
    variation,
)
from toysae.metrics._directions import unit_rows_of_pair


class BlockTable(Protocol):
    """A table `[n, m]` of which any rows can be had."""

    def of(self, rows: slice) -> Tensor:
        """The rows of some features, `[rows, m]`."""


class Cosines:
    """Signed cosine of features and decoder rows; NaN for those without direction or left out."""

    def __init__(self, features: Tensor, decoder: Tensor, alive: Tensor | None) -> None:
        kept = unit_rows_of_pair(
            features.cpu(), decoder.cpu(), None, alive, names=("features", "decoder")
        )
        self.features, self.decoder = (side.spread(side.unit, torch.nan) for side in kept)

    def of(self, rows: slice) -> Tensor:
        """The rows of some features, `[rows, m]`."""
        return self.features[rows] @ self.decoder.T


class F1s:
    """F1 of firing; NaN for latents that never fire with features that never are active, and for
    those left out."""

    def __init__(self, truth: csr_array, learned: csr_array, alive: Tensor | None = None) -> None:
        self.left_out = ~alive_mask(alive, learned.shape[1])
        self.positives, self.firings = counts_by_column(truth), counts_by_column(learned)
        self.by_feature, self.by_sample = indicators(truth).T.tocsr(), indicators(learned)

    def of(self, rows: slice) -> Tensor:
        """The rows of some features, `[rows, m]`."""
        joint = torch.from_numpy((self.by_feature[rows] @ self.by_sample).toarray()).double()
        f1 = 2 * joint / (self.positives[rows, None] + self.firings)
        return f1.masked_fill_(self.left_out, torch.nan)


class AbsCorrelations:
    """|Pearson| of activation and coefficient, in [0, 1]; NaN where either is constant, and for
    latents left out."""

    def __init__(self, truth: csr_array, learned: csr_array, alive: Tensor | None = None) -> None:
        self.left_out = ~alive_mask(alive, learned.shape[1])
        self.by_feature, self.by_sample = truth.T.tocsr(), learned
        self.sums = column_sums(truth), column_sums(learned)
        self.scales = variation(truth.tocsc()).sqrt(), variation(learned.tocsc()).sqrt()

    def of(self, rows: slice) -> Tensor:
        """The rows of some features, `[rows, m]`."""
        joint = torch.from_numpy((self.by_feature[rows] @ self.by_sample).toarray())
        by_chance = self.sums[0][rows, None] * self.sums[1] / self.by_sample.shape[0]
        scale = self.scales[0][rows, None] * self.scales[1]
        correlation = ((joint - by_chance) / scale).abs().clamp(max=1)
        return correlation.masked_fill_(self.left_out, torch.nan)


def require_one_a_column(
    features: Tensor, decoder: Tensor, coefficients: Activations, latents: Activations
) -> tuple[csr_array, csr_array]:
    """Both tables sample by sample; raises unless each column has its row in a dictionary."""
    truth, learned = both_by_samples(coefficients, latents)
    if (len(features), len(decoder)) != (truth.shape[1], learned.shape[1]):
        raise ShapeError(
            f"{len(features)} features and {len(decoder)} decoder rows, but coefficients of "
            f"{truth.shape[1]} features and {learned.shape[1]} latents: expected as many"
        )
    return truth, learned
