"""Hold one SAE against the world it was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from toysae.generators.truth import Truth
from toysae.hidden.stream import Stream
from toysae.metrics.chance import chance_corrected, expected_max_cosine
from toysae.metrics.composition import composed_score
from toysae.metrics.density import density, mean_l0
from toysae.metrics.detection import detection
from toysae.metrics.dictionary import hungarian, max_cosine
from toysae.metrics.groups import by_group
from toysae.metrics.monosemanticity import monosemanticity
from toysae.metrics.reconstruction import explained_variance, shrinkage
from toysae.metrics.recovery import angle_to_nearest
from toysae.results.saelens_column import saelens_column
from toysae.saes.base import SAE
from toysae.saes.trainable import TrainableFamily

#: A latent within this angle of a feature (or of the sum of two) is called true (or composed).
OUTCOME_DEGREES = 15.0

#: A feature is recovered if a latent is closer than this cosine (14 degrees).
RECOVERED_COSINE = 0.97

#: A latent fires above this activation, as in training; below lie rounding errors of dot products.
FIRE_THRESHOLD = 1e-6

#: Latents that fire on more than this fraction of samples are dense.
DENSE = 0.1

#: Composed directions are the sums of at most so many pairs of features.
MOST_PAIRS = 4096
MOST_PAIR_FEATURES = 512

#: In worlds of more features composed scores, which try every pair of them, are left undefined.
MOST_SCORED_FEATURES = 1024

OUTCOMES = ("true", "composed", "other")


@dataclass(frozen=True)
class EvaluationWorld:
    """Samples that no SAE was trained on, with the truth about them.

    Attributes:
        coefficients: `[N, n_features]`.
        hidden: `[N, d]`.
        features: true directions `[n_features, d]`.
        truth: marginals, groups, names.
    """

    coefficients: Tensor
    hidden: Tensor
    features: Tensor
    truth: Truth

    @classmethod
    def sample(cls, stream: Stream, n_samples: int) -> EvaluationWorld:
        """The first `n_samples` of an evaluation stream."""
        coefficients, hidden = stream.samples(0, n_samples)
        return cls(
            coefficients.dense(),
            hidden,
            stream.space.directions,
            stream.generator.truth(),
        )

    def on_cpu(self) -> EvaluationWorld:
        """The same in main memory."""
        if self.hidden.device.type == "cpu":
            return self
        return EvaluationWorld(
            self.coefficients.cpu(), self.hidden.cpu(), self.features.cpu(), self.truth
        )

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of features that can fire together.

        In large worlds the pairs of the `MOST_PAIR_FEATURES` most frequent features only, and of
        these the `MOST_PAIRS` most frequent.
        """
        frequent = self.truth.marginals.topk(min(MOST_PAIR_FEATURES, len(self.features))).indices
        features = frequent.sort().values
        probabilities = self.truth.pair_moments(features).probabilities.triu(1)
        possible = probabilities.nonzero()
        order = probabilities[tuple(possible.T)].argsort(descending=True, stable=True)
        kept = possible[order[:MOST_PAIRS].sort().values]
        return [(i, j) for i, j in features[kept].tolist()]

    @cached_property
    def composed(self) -> Tensor:
        """Sums of the unit directions of the features of each pair, `[pairs, d]`."""
        unit = self.features / self.features.norm(dim=1, keepdim=True)
        if not self.pairs:
            return unit.new_empty(0, unit.shape[1])
        return torch.stack([unit[i] + unit[j] for i, j in self.pairs])


@dataclass(frozen=True)
class Measurement:
    """What one SAE did.

    Attributes:
        summary: scalars; NaN where undefined.
        features: one row a true feature.
        latents: one row a latent.
    """

    summary: dict[str, float]
    features: list[dict[str, Any]]
    latents: list[dict[str, Any]]


def measure_member(sae: SAE, world: EvaluationWorld) -> Measurement:
    """Every measurement of one SAE (`M = 1`) on an evaluation world.

    Latents that never fire on it are dead: they are counted, and left out of every agreement but
    those of SAELens. `toysae.results.recovery_measurements` has the measurements that take longer.
    """
    applied = sae.apply(world.hidden)
    latents, decoder = applied.latents[0], sae.decoder[0]
    firing = density(latents, FIRE_THRESHOLD)
    alive = ~firing.dead
    cosines = max_cosine(world.features, decoder, alive_b=alive)
    matching = hungarian(world.features, decoder, alive_b=alive)
    scored = world.features if len(world.features) <= MOST_SCORED_FEATURES else world.features[:0]
    composition = composed_score(decoder, scored, alive=alive)
    to_feature = angle_to_nearest(decoder, world.features, alive=alive)
    to_composed = angle_to_nearest(decoder, world.composed, alive=alive)
    outcome = classify(to_feature.degrees, to_composed.degrees)
    detected = detection(world.coefficients, latents, threshold=FIRE_THRESHOLD)
    alone = sae.encode(world.features)[0]
    mono = monosemanticity(alone)
    n_alive = int(alive.sum())
    d, n_features = world.features.shape[1], len(world.features)
    summary = {
        **_beside_chance("cosine_feature_to_latent", cosines.mean_a_to_b, d, n_alive),
        **_beside_chance("cosine_latent_to_feature", cosines.mean_b_to_a, d, n_features),
        "hungarian_over_matched": matching.mean_over_matched,
        "hungarian_over_max": matching.mean_over_max,
        "recovered": float((cosines.a_to_b > RECOVERED_COSINE).double().mean()),
        "composed_recovered": _composed_recovered(decoder, world, alive),
        "angle_to_feature": to_feature.mean,
        "angle_to_composed": to_composed.mean,
        **outcome_fractions(outcome),
        "composed_by_score": composition.fraction_composed,
        "composed_score_decided": composition.n_decided / n_alive if n_alive else math.nan,
        "monosemanticity": mono.mean,
        "monosemanticity_published": mono.published_mean,
        "feature_f1": detected.mean_best_f1_per_feature,
        "explained_variance": float(explained_variance(world.hidden, applied.reconstructions[0])),
        "shrinkage": float(shrinkage(world.hidden, applied.reconstructions[0]).mean_norm_ratio),
        "l0": mean_l0(latents, FIRE_THRESHOLD),
        "l0_true": mean_l0(world.coefficients),
        "n_dead": float(firing.n_dead),
        "n_dense": float((firing.frequency > DENSE).sum()),
        **_objective(sae, world.hidden),
        **saelens_column(world.features, decoder, world.coefficients, latents),
    }
    for name, group in by_group(cosines.a_to_b, world.truth.groups).items():
        summary[f"cosine_feature_to_latent/{name}"] = group.mean
    return Measurement(
        summary,
        _feature_rows(world, cosines, detected),
        _latent_rows(world, firing, outcome, to_feature, to_composed, composition, mono),
    )


def classify(angle_to_feature: Tensor, angle_to_composed: Tensor) -> list[str | None]:
    """Outcome of each latent: true, composed, other, or None where it is dead.

    True if it lies within 15 degrees of a feature, else composed if within 15 degrees of the sum of
    two features that fire together, else other.
    """
    labels: list[str | None] = []
    for feature, composed in zip(angle_to_feature.tolist(), angle_to_composed.tolist()):
        if math.isnan(feature):
            labels.append(None)
        elif feature < OUTCOME_DEGREES:
            labels.append("true")
        else:
            labels.append("composed" if composed < OUTCOME_DEGREES else "other")
    return labels


def outcome_fractions(labels: Sequence[str | None]) -> dict[str, float]:
    """Share of each outcome among alive latents, `fraction_true`, ...; NaN if none is alive."""
    alive = [label for label in labels if label is not None]
    return {
        f"fraction_{outcome}": alive.count(outcome) / len(alive) if alive else math.nan
        for outcome in OUTCOMES
    }


def _beside_chance(name: str, cosine: float, d: int, m: int) -> dict[str, float]:
    """A mean best cosine among `m` vectors, that of random ones, and what lies between."""
    chance = expected_max_cosine(d, m) if m else math.nan
    corrected = chance_corrected(cosine, chance) if m else math.nan
    return {name: cosine, f"{name}_chance": chance, f"{name}_corrected": corrected}


def _composed_recovered(decoder: Tensor, world: EvaluationWorld, alive: Tensor) -> float:
    """Share of the pair sums that a latent points along, as `recovered` for single features."""
    if not len(world.composed):
        return math.nan
    best = max_cosine(world.composed, decoder, alive_b=alive).a_to_b
    return float((best > RECOVERED_COSINE).double().mean())


def _objective(sae: SAE, x: Tensor) -> dict[str, float]:
    """The loss that this SAE was trained to lower, on evaluation data."""
    family = sae.family
    if not isinstance(family, TrainableFamily):
        return {}
    at_the_end = torch.ones((), device=x.device)
    forward = family.forward(sae.params, x[None], at_the_end)
    error = family.error(
        sae.params, x, forward, lambda reconstruction: (reconstruction - x).square().sum(-1)
    )
    kept = torch.ones(1, sae.n_latents, device=x.device)
    return {
        "error": float(error),
        "penalty": float(family.penalty(sae.params, forward, at_the_end, kept)),
    }


def _feature_rows(world: EvaluationWorld, cosines: Any, detected: Any) -> list[dict[str, Any]]:
    truth = world.truth
    groups: list[list[str]] = [[] for _ in truth.names]
    for name, members in truth.groups.items():
        for i in members:
            groups[i].append(name)
    return [
        {
            "feature": name,
            "group": "|".join(groups[i]),
            "marginal": float(truth.marginals[i]),
            "cosine": float(cosines.a_to_b[i]),
            "latent": int(cosines.a_to_b_index[i]),
            "recovered": bool(cosines.a_to_b[i] > RECOVERED_COSINE),
            "best_f1": float(detected.best_f1_per_feature[i]),
        }
        for i, name in enumerate(truth.names)
    ]


def _latent_rows(
    world: EvaluationWorld,
    firing: Any,
    outcome: Sequence[str | None],
    to_feature: Any,
    to_composed: Any,
    composition: Any,
    mono: Any,
) -> list[dict[str, Any]]:
    names = world.truth.names
    pair_names = ["+".join(names[k] for k in pair) for pair in world.pairs]
    rows = []
    for j, label in enumerate(outcome):
        nearest, pair = int(to_feature.index[j]), int(to_composed.index[j])
        rows.append(
            {
                "latent": j,
                "density": float(firing.frequency[j]),
                "outcome": label or "dead",
                "nearest_feature": names[nearest] if nearest >= 0 else "",
                "angle_to_feature": float(to_feature.degrees[j]),
                "nearest_pair": pair_names[pair] if pair >= 0 else "",
                "angle_to_composed": float(to_composed.degrees[j]),
                "s1": float(composition.s1[j]),
                "s2": float(composition.s2[j]),
                "composition_p_value": float(composition.p_value[j]),
                "monosemanticity": float(mono.score[j]),
            }
        )
    return rows
