"""Which latent belongs to which feature, by three keys, and whether they agree.

Direction, activation and firing each answer it. Where they disagree, a number that rests on one of
them (such as F1 at the latent of the nearest decoder row) speaks about a pair that others deny.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from toysae.metrics._detection.columns import Activations, above, device_of
from toysae.metrics._detection.pair_tables import (
    AbsCorrelations,
    BlockTable,
    Cosines,
    F1s,
    require_one_a_column,
)
from toysae.metrics._detection.running_best import RunningBest
from toysae.metrics._directions import Partners
from toysae.metrics._progress import Report, reported
from toysae.metrics._row_blocks import row_blocks
from toysae.metrics._tables import NEGLIGIBLE

__all__ = ["KEYS", "MatchingKeys", "matching_keys"]

KEYS = ("decoder", "correlation", "f1")
"""Cosine of decoder row and feature; |Pearson| of activation and coefficient; F1 of firing."""


@dataclass(frozen=True)
class MatchingKeys:
    """Best partners by each of `KEYS`, both ways."""

    per_feature: Mapping[str, Partners]
    """By key, the best latent of each feature, `[n]`; -1 for none."""
    per_latent: Mapping[str, Partners]
    """By key, the best feature of each latent, `[m]`; -1 for none."""

    @property
    def feature_agreement(self) -> Mapping[str, float]:
        """By pair of keys, such as "decoder f1": share of features given the same latent."""
        return _agreements(self.per_feature)

    @property
    def latent_agreement(self) -> Mapping[str, float]:
        """By pair of keys: share of latents that are given the same feature."""
        return _agreements(self.per_latent)

    @property
    def all_agree_on_features(self) -> float:
        """Share of features to which all three keys give the same latent."""
        return _agreement([self.per_feature[key].partner for key in KEYS])

    @property
    def all_agree_on_latents(self) -> float:
        """Share of latents to which all three keys give the same feature."""
        return _agreement([self.per_latent[key].partner for key in KEYS])


def matching_keys(
    features: Tensor,
    decoder: Tensor,
    coefficients: Activations,
    latents: Activations,
    *,
    threshold: float = 0.0,
    alive: Tensor | None = None,
    block: int = 256,
    report: Report | None = None,
) -> MatchingKeys:
    """Best latent of each feature and best feature of each latent, by three keys.

    The keys are `cos(f_i, d_j)` (signed), `|Pearson(c_i, z_j)|` over all samples, and F1 of
    `[c_i != 0]` and `[|z_j| > threshold]`. Agreement is the share of items that two keys (or all)
    give the same partner, among those that each gives one; in [0, 1]. Not symmetric.

    Args:
        features: truth `[n, d]`.
        decoder: learned `[m, d]`.
        coefficients: truth `[N, n]`, a table or `SparseCodes`.
        latents: activations `[N, m]` of the same samples.
        threshold: activation above which a latent fires, strictly; for F1 only.
        alive: bool mask `[m]`; other latents are left out by every key.
        block: features compared at once; `block x m` values of each key are held.
        report: called with the blocks done and all blocks.

    Returns:
        Partners by key, the lowest index among ties. A key gives an item no partner where no
        similarity is above rounding: dead latents have none by correlation and F1. Agreements are
        NaN where no item has a partner by each key.

    Raises:
        ShapeError: dictionaries and tables that do not belong together.
        DataError: NaN or infinity, or a threshold that is negative or not finite.

    Source: toysae.
    """
    truth, learned = require_one_a_column(features, decoder, coefficients, latents)
    n, m = len(features), len(decoder)
    tables: tuple[BlockTable, ...] = (
        Cosines(features, decoder, alive),
        AbsCorrelations(truth, learned, alive),
        F1s(truth, above(learned, threshold), alive),
    )
    best = [RunningBest(n, m, torch.device("cpu")) for _ in KEYS]
    blocks = list(row_blocks(n, block))
    for rows in reported(blocks, len(blocks), report):
        for table, running in zip(tables, best):
            running.add(rows, table.of(rows))
    device = device_of(latents)
    return MatchingKeys(
        {key: _partners(running.rows, device) for key, running in zip(KEYS, best)},
        {key: _partners(running.columns, device) for key, running in zip(KEYS, best)},
    )


def _partners(best: Partners, device: torch.device) -> Partners:
    """Without those that resemble nothing, which are nobody's partner."""
    nobody = ~(best.similarity > NEGLIGIBLE)
    return Partners(
        best.similarity.masked_fill(nobody, torch.nan).to(device),
        best.partner.masked_fill(nobody, -1).to(device),
    )


def _agreements(partners: Mapping[str, Partners]) -> dict[str, float]:
    return {
        f"{first} {second}": _agreement([partners[first].partner, partners[second].partner])
        for first, second in combinations(KEYS, 2)
    }


def _agreement(partners: list[Tensor]) -> float:
    """Share of the items that each key gives a partner to which all give the same; or NaN."""
    together = torch.stack(partners)
    defined = (together >= 0).all(dim=0)
    same = (together == together[0]).all(dim=0)
    return same[defined].double().mean().item()
