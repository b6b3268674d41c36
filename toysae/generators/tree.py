"""Forests of features: a child fires only with its parent.

The world in which absorption and feature splitting are studied (Chanin et al., "A is for
Absorption", arXiv 2409.14507; Bussmann et al., "Matryoshka sparse autoencoders", arXiv 2503.17547),
and with correlated latents that of SynthSAEBench (arXiv 2602.14687).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice
from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients, by_sample
from toysae.generators.copula.low_rank import LowRank
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.laws.profiles import Profile
from toysae.generators.monte_carlo import estimate_truth
from toysae.generators.trees.compensation import COMPENSATIONS
from toysae.generators.trees.forest import Forest, forest_size
from toysae.generators.trees.growth import Growth, IndependentGrowth, LatentGrowth, Level
from toysae.generators.truth import PairMoments, Truth

#: Rare enough at depth 1 for exclusive siblings to have their marginals, at the default size.
_DEFAULT_PROBABILITY = profiles.Zipf(0.3)


@dataclass(frozen=True)
class Tree(Generator):
    """Features in trees; a child can fire only where its parent fires.

    Given that their parent fires, exclusive siblings are alternatives (at most one fires), others
    are independent. Different trees are independent, unless `correlation` is given.

    Features are numbered level by level: roots, then all their children, then theirs. What is left
    of `n_features` is flat: features without parent or children. Or give `parents`.

    Probabilities are marginals where `compensation` is `exact`. With `none` they are those of each
    feature's own draw, which counts only if its parent fires and, among exclusive siblings, if it
    wins: of those that want to fire a uniformly random one does. Marginals are then lower, and the
    truth says how much. With `published` own draws are raised by the formula of SAELens, which
    makes up for most of it: `p / p_parent`, times `1 + (sum of the siblings' p) / p_parent` among
    exclusive siblings, at most 1.

    Attributes:
        n_features: `>= 1`.
        roots: number of trees, `>= 0`.
        branching: children of each feature above the lowest level, `>= 1`.
        depth: levels below the roots, `>= 0`.
        parents: instead of the three above, the parent of each feature, -1 for none; parents come
            before their children.
        exclusive: whether siblings exclude each other.
        probability: of each feature, in [0, 1]; see above. Null is a power law of its place,
            `0.3 / (i + 1)`.
        compensation: `exact`, `published` or `none`.
        magnitude: law of how strongly a feature fires.
        scale_by_parent: whether a child's magnitude is multiplied by its parent's value over the
            parent's mean.
        correlation: own draws are whether latents correlated by common factors, over all features,
            exceed a threshold; or null. The truth is then estimated, and `exact` is refused.
    """

    n_features: int = 20
    roots: int = 4
    branching: int = 2
    depth: int = 1
    parents: tuple[int, ...] | None = None
    exclusive: bool = True
    probability: Profile | None = None
    compensation: str = "exact"
    magnitude: Magnitude = magnitudes.Uniform()
    scale_by_parent: bool = False
    correlation: LowRank | None = None

    name: ClassVar[str] = "tree"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        check_at_least("generator.roots", self.roots, 0)
        check_at_least("generator.branching", self.branching, 1)
        check_at_least("generator.depth", self.depth, 0)
        check_choice("generator.compensation", self.compensation, tuple(COMPENSATIONS))
        if self.correlation is not None and self.compensation == "exact":
            raise ConfigError(
                "generator.compensation = 'exact': marginals of correlated latents in trees have "
                "no closed form; with generator.correlation it must be none or published"
            )
        self._magnitudes, self._own  # noqa: B018  (the impossible is refused at construction)

    @cached_property
    def forest(self) -> Forest:
        """Who is whose child."""
        if self.parents is not None:
            self._check_parents(self.parents)
            return Forest(torch.tensor(self.parents))
        size = forest_size(self.roots, self.branching, self.depth)
        if size > self.n_features:
            raise ConfigError(
                f"generator.n_features = {self.n_features}: {self.roots} trees of depth "
                f"{self.depth} and branching {self.branching} take {size}; must be at least that"
            )
        return Forest.regular(self.n_features, self.roots, self.branching, self.depth)

    def _check_parents(self, parents: Sequence[int]) -> None:
        if len(parents) != self.n_features:
            raise ConfigError(
                f"generator.parents: found {len(parents)}, must be one for each of "
                f"generator.n_features = {self.n_features}"
            )
        for feature, parent in enumerate(parents):
            if not -1 <= parent < feature:
                raise ConfigError(
                    f"generator.parents[{feature}] = {parent}: must be -1 (none) or a feature "
                    f"before it, below {feature}"
                )

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        return Magnitudes.of(self.magnitude, self.n_features)

    @cached_property
    def _own(self) -> Tensor:
        """Probability of each feature's own draw; for `exact`, to fire given its parent fires."""
        profile = self.probability or _DEFAULT_PROBABILITY
        p = profiles.probabilities("generator.probability", profile, self.n_features)
        return COMPENSATIONS[self.compensation](self.forest, p, self.exclusive)

    @cached_property
    def _given_parent(self) -> Tensor:
        """Probability of each feature to fire, given its parent fires, without correlation."""
        if self.exclusive and self.compensation != "exact":
            return self.forest.winning(self._own)
        return self._own

    @cached_property
    def _growth(self) -> Growth:
        if self.correlation is None:
            return IndependentGrowth(self.forest, self.exclusive, self._given_parent)
        loadings = self.correlation.loadings(self.n_features)
        return LatentGrowth(self.forest, self.exclusive, self._own, loadings)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        on_cpu = replace(draws, device=CPU)
        levels = self._growth.fire(on_cpu, n)
        features = torch.cat([level.features for level in levels])
        values = self._magnitudes.at(on_cpu.uniform("magnitude", (len(features),)), features)
        if self.scale_by_parent:
            self._scale(values, levels)
        offsets, order = by_sample(torch.cat([level.samples for level in levels]), n)
        firing = SparseCoefficients(offsets, features[order], values[order], self.n_features)
        return firing.to(draws.device)

    def _scale(self, values: Tensor, levels: Sequence[Level]) -> None:
        """Multiply children by what their parents have become, in place, level by level."""
        by_level = values.split([len(level.features) for level in levels])
        to_ratio = (1 / self._magnitudes.mean).float()
        for (parents, above), (children, level) in pairwise(zip(by_level, levels)):
            ratios = parents * to_ratio[above.features]
            children *= ratios[level.origins]
        values.clamp_(min=torch.finfo(values.dtype).tiny)

    def truth(self) -> Truth:
        if self.correlation is not None:
            return self._estimated_truth
        return Truth(
            self.names,
            self.groups,
            self._marginals,
            self._marginals * self._magnitudes.mean,
            self._square,
            self._pair_moments,
            parents=self.forest.parents,
        )

    @cached_property
    def _estimated_truth(self) -> Truth:
        return estimate_truth(self.sample, self.names, self.groups, self.forest.parents)

    @cached_property
    def _marginals(self) -> Tensor:
        """Firing probabilities without correlation."""
        return self.forest.along_path(self._given_parent)

    @cached_property
    def _square(self) -> Tensor:
        """`E[c^2]` without correlation."""
        of_parent = self.forest.of_parent(self._spreading, 1.0)
        return self._marginals * self._magnitudes.square * of_parent

    @cached_property
    def _spreading(self) -> Tensor:
        """`E[(value / mean)^2]` of each feature that fires: what children of one parent share."""
        if not self.scale_by_parent:
            return torch.ones(self.n_features, dtype=torch.float64)
        return self.forest.along_path(self._magnitudes.square / self._magnitudes.mean.square())

    def _pair_moments(self, features: Tensor) -> PairMoments:
        """Given that the deepest common ancestor fires, what lies below it is independent."""
        common = self.forest.common_ancestors(features)
        marginals, mean = self._marginals[features], self._magnitudes.mean[features]
        ancestor = torch.where(common >= 0, self._marginals[common], 1.0)
        together = marginals.outer(marginals) / ancestor
        apart = (common != features[:, None]) & (common != features[None, :])
        excluded = apart & (common >= 0) if self.exclusive else torch.zeros_like(apart)
        together[excluded | (ancestor == 0)] = 0
        products = together * mean.outer(mean)
        products *= torch.where(common >= 0, self._spreading[common], 1.0)
        itself = features[:, None] == features[None, :]
        square = self._square[features][:, None]
        return PairMoments.exact(together, torch.where(itself, square, products))

    @cached_property
    def names(self) -> Sequence[str]:
        """`tree2.0.1` is the second child of the first child of root 2; `flat3` has no tree."""
        names: list[str] = []
        born = [0] * self.n_features
        counts = {"tree": 0, "flat": 0}
        sizes = self.forest.family_sizes.tolist()
        for feature, parent in enumerate(self.forest.parents.tolist()):
            if parent >= 0:
                names.append(f"{names[parent]}.{born[parent]}")
                born[parent] += 1
            else:
                kind = "tree" if sizes[feature] else "flat"
                names.append(f"{kind}{counts[kind]}")
                counts[kind] += 1
        return names

    @cached_property
    def groups(self) -> Mapping[str, Sequence[int]]:
        """Features by depth (`roots` are those of trees), those without tree, and all parents."""
        is_parent = self.forest.family_sizes > 0
        roots, flat = (self.forest.roots[is_parent[self.forest.roots] == k] for k in (True, False))
        members = {"roots": roots, "flat": flat, "parents": is_parent.nonzero()[:, 0]}
        for depth, level in enumerate(self.forest.levels[1:], start=1):
            members[f"depth_{depth}"] = level
        return {name: tuple(place.tolist()) for name, place in members.items() if len(place)}
