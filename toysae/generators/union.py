"""Generators side by side, over features of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import (
    Coefficients,
    DenseCoefficients,
    SparseCoefficients,
    offsets_of,
)
from toysae.generators.truth import PairMoments, Truth


@dataclass(frozen=True)
class Union(Generator):
    """Independent parts over disjoint features, in the order of `parts`.

    Each part draws under its own name: adding a part, or features to it, leaves what the others
    draw as it was.

    Attributes:
        parts: generators by name. Their features are named `part.feature`, their groups
            `part/group`, and each part is a group too. Names hold no `/`.
    """

    parts: Mapping[str, Generator]

    name: ClassVar[str] = "union"

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("generator.parts: is empty; give at least one generator by name")
        for part in self.parts:
            if "/" in part:
                raise ConfigError(f"generator.parts.{part}: a name must not hold '/'")

    def __hash__(self) -> int:
        return hash(tuple(self.parts.items()))

    @property
    def n_features(self) -> int:
        return sum(part.n_features for part in self.parts.values())

    @cached_property
    def first_features(self) -> dict[str, int]:
        """Index of the first feature of each part."""
        first, place = {}, 0
        for name, part in self.parts.items():
            first[name] = place
            place += part.n_features
        return first

    def sample(self, draws: Draws, n: int) -> Coefficients:
        drawn = [part.sample(draws.child(name), n) for name, part in self.parts.items()]
        if all(isinstance(part, DenseCoefficients) for part in drawn):
            return DenseCoefficients(torch.cat([part.dense() for part in drawn], dim=1))
        return _side_by_side([part.sparse() for part in drawn])

    def truth(self) -> Truth:
        truths = {name: part.truth() for name, part in self.parts.items()}
        names: list[str] = []
        groups: dict[str, Sequence[int]] = {}
        for name, truth in truths.items():
            first = self.first_features[name]
            names += [f"{name}.{feature}" for feature in truth.names]
            groups[name] = range(first, first + truth.n_features)
            for group, members in truth.groups.items():
                groups[f"{name}/{group}"] = tuple(first + member for member in members)
        parts = list(truths.values())
        return Truth(
            names,
            groups,
            torch.cat([truth.marginals for truth in parts]),
            torch.cat([truth.mean for truth in parts]),
            torch.cat([truth.square for truth in parts]),
            lambda features: _pair_moments(parts, features),
            marginals_error=_errors([(t.marginals_error, t.marginals) for t in parts]),
            mean_error=_errors([(t.mean_error, t.mean) for t in parts]),
            square_error=_errors([(t.square_error, t.square) for t in parts]),
            parents=_parents(parts),
        )


def _side_by_side(parts: Sequence[SparseCoefficients]) -> SparseCoefficients:
    """One list of firings with the features of all parts; within a sample, part after part."""
    counts = torch.stack([part.offsets.diff() for part in parts])
    offsets = offsets_of(counts.sum(0))
    # Where each part's firings of a sample go: after those of the parts before it.
    starts = offsets[:-1] + counts.cumsum(0) - counts
    features = offsets.new_empty(int(offsets[-1]))
    values = parts[0].values.new_empty(int(offsets[-1]))
    first = 0
    for part, start in zip(parts, starts):
        shift = start - part.offsets[:-1]
        place = shift.repeat_interleave(part.offsets.diff(), output_size=len(part.features))
        place += torch.arange(len(part.features), device=place.device)
        features[place] = part.features + first
        values[place] = part.values
        first += part.feature_count
    return SparseCoefficients(offsets, features, values, first)


def _pair_moments(parts: Sequence[Truth], features: Tensor) -> PairMoments:
    """Features of different parts are independent: their moments are products."""
    marginals = torch.cat([truth.marginals for truth in parts])[features]
    mean = torch.cat([truth.mean for truth in parts])[features]
    probabilities = marginals[:, None] * marginals[None, :]
    products = mean[:, None] * mean[None, :]
    errors = []
    for values, error in (("marginals", "marginals_error"), ("mean", "mean_error")):
        v = torch.cat([getattr(truth, values) for truth in parts])[features]
        found = _errors([(getattr(t, error), getattr(t, values)) for t in parts])
        e = torch.zeros_like(v) if found is None else found[features]
        errors.append((v[:, None] * e[None, :] + e[:, None] * v[None, :]).abs())
    first = 0
    for truth in parts:
        inside = (features >= first) & (features < first + truth.n_features)
        block = inside.nonzero()[:, 0]
        if len(block):
            own = truth.pair_moments(features[block] - first)
            at = (block[:, None], block[None, :])
            probabilities[at], products[at] = own.probabilities, own.products
            errors[0][at], errors[1][at] = own.probabilities_error, own.products_error
        first += truth.n_features
    return PairMoments(probabilities, products, *errors)


def _errors(parts: Sequence[tuple[Tensor | None, Tensor]]) -> Tensor | None:
    """Standard errors of all parts, 0 for exact ones; None if all are exact."""
    if all(error is None for error, _ in parts):
        return None
    return torch.cat([torch.zeros_like(v) if error is None else error for error, v in parts])


def _parents(parts: Sequence[Truth]) -> Tensor | None:
    """Parents in the numbering of the union; features of a part without a tree are roots."""
    if all(truth.parents is None for truth in parts):
        return None
    shifted, first = [], 0
    for truth in parts:
        parents = truth.parents
        if parents is None:
            parents = torch.full((truth.n_features,), -1)
        shifted.append(torch.where(parents >= 0, parents + first, -1))
        first += truth.n_features
    return torch.cat(shifted)
