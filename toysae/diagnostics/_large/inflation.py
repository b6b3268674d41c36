"""Variance inflation out of an inverse factor, and the latents that it is found for."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from toysae.diagnostics._large.gram import ScaledGram, block_bounds
from toysae.diagnostics._relations import relations_of
from toysae.diagnostics.collinearity import Collinearity, Reason
from toysae.errors import ConfigError, DataError
from toysae.metrics.codes import SparseCodes

#: A column with no more than this share of its square left by the others is one of a relation.
NOISE = 1e-12


def frequent(codes: SparseCodes, min_firings: int) -> Tensor:
    """`[m]` mask of the latents that fire often enough, silent ones never; at least one sample."""
    if min_firings < 0:
        raise ConfigError(f"min_firings={min_firings}: allowed are 0 and above")
    if codes.n_samples == 0:
        raise DataError("codes hold no samples: collinearity needs at least one")
    return codes.firings >= max(min_firings, 1)


def restricted(codes: SparseCodes, used: Tensor) -> SparseCodes:
    """The codes of the latents in the mask, numbered anew."""
    if used.all():
        return codes
    numbers = (used.cumsum(0) - 1).int()
    remains = used[codes.latents.long()]
    before = torch.cat([remains.new_zeros(1, dtype=torch.int64), remains.cumsum(0)])
    return replace(
        codes,
        offsets=before[codes.offsets],
        latents=numbers[codes.latents[remains].long()],
        values=codes.values[remains],
        n_latents=int(used.sum()),
    )


def inflation(
    gram: ScaledGram, kept: Tensor, support: float
) -> tuple[Collinearity, Collinearity, Tensor]:
    """Both variance inflations out of the inverse factor, and whom each latent is a multiple of."""
    size = len(kept) - 1
    about_origin = gram.buffer.new_zeros(size)
    for first, last in block_bounds(size, gram.block):
        rows = gram.lower[first:last, :last]
        about_origin[:last] += rows[kept[first:last]].square().sum(0)
    last_row = gram.lower[-1, :-1]
    about_mean = about_origin + (last_row.square() if kept[-1] else 0.0)

    varying = 1 - gram.cosines.square()
    constant = varying <= NOISE
    relations = relations_of(gram.lower, kept, support)
    lengths = gram.lengths
    uncentered = _collinearity(
        about_origin, lengths.square(), relations.groups(), torch.zeros_like(constant), kept[:-1]
    )
    centered = _collinearity(
        about_mean * varying,
        lengths.square() * varying,
        relations.with_intercept().groups(),
        constant,
        kept,
    )
    return replace(centered, rank=centered.rank - 1), uncentered, relations.partners()


def _collinearity(
    raw: Tensor,
    squares: Tensor,
    groups: list[tuple[list[int], bool]],
    constant: Tensor,
    kept: Tensor,
) -> Collinearity:
    values = raw.clamp(min=1.0)
    reasons = [Reason.NONE] * len(values)
    relations = []
    for everyone, parallel in groups:
        members = [j for j in everyone if not constant[j]]
        if not members:
            continue
        values[members] = torch.inf
        relations.append(tuple(members))
        for j in members:
            reasons[j] = Reason.DUPLICATE if parallel else Reason.COLLINEAR
    values[constant] = torch.nan
    for j in constant.nonzero().flatten().tolist():
        reasons[j] = Reason.CONSTANT
    return Collinearity(
        vif=values,
        n_effective=squares / values,
        reasons=tuple(reasons),
        relations=tuple(relations),
        rank=int(kept.sum()),
    )
