"""Do two SAEs hold the same directions? Decoders and encoders, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import ortho_group
from torch import Tensor

from experiments.validate.config import ValidateConfig
from experiments.validate.inputs import Subject
from toysae.metrics.chance import chance_corrected, expected_max_cosine
from toysae.metrics.dictionary import (
    MatchingAgreement,
    MaxCosine,
    MutualNearest,
    fraction_above,
    matching_agreement,
    max_cosine,
    multiplicity,
)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Weights(NamedTuple):
    """Decoder and encoder of one SAE, a row a latent, `[m, d]` each."""

    decoder: Tensor
    encoder: Tensor


@dataclass(frozen=True)
class Alignment:
    """How two SAEs `a` and `b` line up.

    Attributes:
        best: decoder cosines with replacement, both ways.
        mutual: latents that are each other's nearest, by decoder.
        matching: one-to-one matchings by decoder and by encoder.
    """

    best: MaxCosine
    mutual: MutualNearest
    matching: MatchingAgreement

    @property
    def hungarian_matched(self) -> float:
        """Mean decoder cosine of the pairs of the one-to-one matching."""
        return self.matching.decoder_cosine.nanmean().item()

    @property
    def hungarian_all(self) -> float:
        """The same sum over the latents of the wider SAE: what found no partner counts as 0."""
        widest = max(_n_defined(self.best.a_to_b), _n_defined(self.best.b_to_a))
        return self.matching.decoder_cosine.nansum().item() / widest if widest else torch.nan

    @property
    def shared_b(self) -> float:
        """Share of the latents of `b` that are shared."""
        n_b = _n_defined(self.best.b_to_a)
        return int(self.matching.shared.sum()) / n_b if n_b else torch.nan


class Chance(NamedTuple):
    """What the same numbers are where one of the SAEs is rotated at random.

    A rotation keeps all that is inside an SAE (how its latents crowd, how encoder and decoder
    belong together) and destroys its relation to the other. NaN where the SAEs are too wide.
    """

    hungarian: float
    mutual: float
    agreement: float
    shared: float


@dataclass(frozen=True)
class Pair:
    """Two SAEs, how they line up, and what chance would do."""

    a: Subject
    b: Subject
    alignment: Alignment
    chance: Chance

    @property
    def replicates(self) -> bool:
        """Whether the two differ in nothing but the seed."""
        return self.a.replicates == self.b.replicates

    @property
    def same_seed(self) -> bool:
        """Whether both checkpoints name the same seed; they may have started from one place."""
        return self.a.seed is not None and self.a.seed == self.b.seed


def compare(a: Subject, b: Subject, config: ValidateConfig) -> Pair:
    """Hold two SAEs of the same dimension against each other."""
    ours, theirs = Weights(a.decoder, a.encoder), Weights(b.decoder, b.encoder)
    chance = Chance(*[torch.nan] * 4)
    if max(a.n_latents, b.n_latents) <= config.most_latents.chance:
        chance = _rotated_level(ours, theirs, config)
    return Pair(a, b, align(ours, theirs, config.same_above), chance)


def align(a: Weights, b: Weights, same_above: float) -> Alignment:
    """Line up two SAEs; a latent found again has a cosine above `same_above`."""
    best = max_cosine(a.decoder, b.decoder)
    return Alignment(
        best,
        best.mutual_nearest,
        matching_agreement(a.decoder, b.decoder, a.encoder, b.encoder, threshold=same_above),
    )


def _rotated_level(a: Weights, b: Weights, config: ValidateConfig) -> Chance:
    found = []
    for rotation in _rotations(a.decoder.shape[1], config.chance_draws, config.seed):
        turned = Weights(*(rows.double() @ rotation.to(rows.device) for rows in b))
        alignment = align(a, turned, config.same_above)
        matching = alignment.matching
        found.append(
            Chance(
                alignment.hungarian_all,
                alignment.mutual.rate,
                matching.agreement,
                matching.shared_fraction,
            )
        )
    return Chance(*(fmean(values) for values in zip(*found)))


@lru_cache(maxsize=4)
def _rotations(d: int, n: int, seed: int) -> Sequence[Tensor]:
    if d == 1:
        return [torch.ones(1, 1, dtype=torch.float64)] * n
    drawn = ortho_group.rvs(d, size=n, random_state=np.random.default_rng(seed))
    return list(torch.from_numpy(drawn.reshape(n, d, d)))


@lru_cache
def level(d: int, m: int) -> float:
    """Expected best cosine of a fixed direction among `m` random ones."""
    return expected_max_cosine(d, m)


def agreement_row(pair: Pair, config: ValidateConfig) -> dict[str, Any]:
    """The numbers of a pair, one a column of `pairs.csv`."""
    best, matching = pair.alignment.best, pair.alignment.matching
    d = pair.a.sae.d_hidden
    votes = multiplicity(best, config.same_above)
    return {
        "a": pair.a.name,
        "b": pair.b.name,
        "replicates": pair.a.replicates if pair.replicates else "",
        "same_seed": pair.same_seed,
        "d_hidden": d,
        "n_latents_a": pair.a.n_latents,
        "n_latents_b": pair.b.n_latents,
        "max_cosine": best.symmetric,
        "max_cosine_worse": best.minimum,
        **_direction("a_to_b", best.a_to_b, level(d, _n_defined(best.b_to_a)), config),
        **_direction("b_to_a", best.b_to_a, level(d, _n_defined(best.a_to_b)), config),
        "hungarian_matched": pair.alignment.hungarian_matched,
        "hungarian": pair.alignment.hungarian_all,
        "hungarian_chance": pair.chance.hungarian,
        "mutual_nearest": pair.alignment.mutual.rate,
        "mutual_nearest_chance": pair.chance.mutual,
        "coverage_a": votes.on_a.coverage,
        "coverage_b": votes.on_b.coverage,
        "most_votes_a": int(votes.on_a.counts.max()),
        "most_votes_b": int(votes.on_b.counts.max()),
        "effective_number_a": votes.on_a.effective_number,
        "effective_number_b": votes.on_b.effective_number,
        "encoder_hungarian_matched": matching.encoder_cosine.nanmean().item(),
        "encoder_at_decoder_match": matching.encoder_cosine_at_decoder_match.nanmean().item(),
        "matchings_agree": matching.agreement,
        "matchings_agree_chance": pair.chance.agreement,
        "shared_a": matching.shared_fraction,
        "shared_b": pair.alignment.shared_b,
        "shared_chance": pair.chance.shared,
    }


def _direction(name: str, cosines: Tensor, chance: float, config: ValidateConfig) -> dict[str, Any]:
    """Mean, chance level, quantiles and shares above thresholds of one direction."""
    mean = cosines.nanmean().item()
    quantiles = cosines.nanquantile(cosines.new_tensor(QUANTILES)).tolist()
    above = fraction_above(cosines, config.cosine_thresholds)
    return {
        name: mean,
        f"{name}_chance": chance,
        f"{name}_corrected": torch.nan if math.isnan(chance) else chance_corrected(mean, chance),
        **{f"{name}_q{100 * q:02.0f}": value for q, value in zip(QUANTILES, quantiles)},
        **{
            f"{name}_above_{threshold:g}": share
            for threshold, share in zip(config.cosine_thresholds, above.fraction.tolist())
        },
        f"{name}_n": above.n_defined,
    }


def best_in_replicates(subject: Subject, pairs: Sequence[Pair]) -> Tensor:
    """Best decoder cosine of each latent in each replicate of its SAE, `[replicates, m]`."""
    rows = [
        pair.alignment.best.a_to_b if pair.a is subject else pair.alignment.best.b_to_a
        for pair in pairs
        if pair.replicates and (pair.a is subject or pair.b is subject)
    ]
    return torch.stack(rows) if rows else torch.empty(0, subject.n_latents, dtype=torch.float64)


def _n_defined(values: Tensor) -> int:
    return int((~values.isnan()).sum())
