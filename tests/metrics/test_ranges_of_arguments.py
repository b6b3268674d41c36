"""Every number that an argument may be: the ends of its range are taken, what is beyond is not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.argument_ranges import (
    ABOVE_0,
    ABOVE_1,
    BELOW_0,
    BELOW_1,
    BEYOND_0_TO_1,
    FROM_0_TO_1,
    INSIDE_0_1,
    OUTSIDE_0_1,
    Arguments,
    Call,
    refused,
    taken,
)
from toysae.errors import ToysaeError
from toysae.metrics import (
    chance,
    cofiring,
    communities,
    composition,
    density,
    dictionary,
    nulls,
    positions,
    profiles,
    published,
    reliability,
    subspaces,
    uncertainty,
)
from toysae.metrics.absorption import absorption
from toysae.metrics.board import board_coverage
from toysae.metrics.codes import SparseCodes
from toysae.metrics.groups import by_group
from toysae.metrics.hedging import hedging
from toysae.metrics.outputs import cross_entropy

from .draw import normal, tensor

E3 = torch.eye(3, dtype=torch.float64)
ACTIVE = (normal(0, 40, 3) - 0.2).clamp(min=0)
FIRES = ACTIVE > 0
CODES = SparseCodes.from_dense(ACTIVE)
DENSITY = density.density(ACTIVE)
SCORE = composition.composed_score(E3, E3)
LINKED = communities.cofiring_graph(CODES, level=0.999)


def all_pairs_of(n: int) -> torch.Tensor:
    return torch.ones(n, n, dtype=torch.bool)


ARGUMENTS: Arguments = {
    "wilson successes": (lambda k: uncertainty.wilson(k, 3), (0, 3), (-1, 4)),
    "wilson confidence": (lambda p: uncertainty.wilson(1, 3, p), INSIDE_0_1, OUTSIDE_0_1),
    "seed_interval confidence": (
        lambda p: uncertainty.seed_interval([1.0, 2.0], p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "bootstrap confidence": (
        lambda p: uncertainty.bootstrap_interval([1.0, 2, 4], confidence=p, n_resamples=9),
        (0.5, 0.99), OUTSIDE_0_1,
    ),
    "bootstrap n_resamples": (
        lambda n: uncertainty.bootstrap_interval([1.0, 2, 4], n_resamples=n), (2, 3), (0, -1)
    ),
    "hierarchical n_resamples": (
        lambda n: uncertainty.hierarchical_bootstrap([[1.0], [2.0]], n_resamples=n), (1, 2), (0, -1)
    ),
    "jackknife confidence": (
        lambda p: uncertainty.jackknife_over_seeds({("a", "b"): 1.0}, p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "wilson_jaccard confidence": (
        lambda p: cofiring.wilson_jaccard(FIRES, FIRES, p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "minimum_p n": (uncertainty.minimum_p, (0, 1), (-1,)),
    "bonferroni_z n_tests": (uncertainty.bonferroni_z, (1, 2), (0, -1)),
    "bonferroni_z level": (
        lambda p: uncertainty.bonferroni_z(1, p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "p_values": (lambda p: uncertainty.holm(tensor([p, 0.5])), FROM_0_TO_1, (BELOW_0, ABOVE_1)),
    "family": (lambda n: uncertainty.holm(tensor([0.1, 0.5]), n), (2, 3), (1, 0)),
    "isotropic d": (lambda d: chance.expected_max_cosine(d, 3), (1, 2), (0, -1)),
    "isotropic m": (lambda m: chance.expected_max_cosine(3, m), (0, 1), (-1,)),
    "quantile p": (lambda p: chance.max_cosine_quantile(p, 3, 3), INSIDE_0_1, OUTSIDE_0_1),
    "chance": (
        lambda c: chance.chance_corrected(0.5, c), (-9.0, 0.0, 1.0),
        (ABOVE_1, 2.0, -math.inf, math.nan),
    ),
    "expected_jaccard p1": (
        lambda p: cofiring.expected_jaccard(p, 0.5), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "expected_jaccard p2": (
        lambda p: cofiring.expected_jaccard(0.5, p), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "exact_expected_jaccard n1": (
        lambda n: cofiring.exact_expected_jaccard(n, 3, 5), (0, 5), (-1, 6)
    ),
    "exact_expected_jaccard n2": (
        lambda n: cofiring.exact_expected_jaccard(3, n, 5), (0, 5), (-1, 6)
    ),
    "survival frequency": (
        lambda p: cofiring.survival_probability(p, 5), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "survival n_samples": (lambda n: cofiring.survival_probability(0.5, n), (0, 1), (-1,)),
    "survival minimum": (
        lambda n: cofiring.survival_probability(0.5, 5, n), (0, 1), (-1,)
    ),
    "cofiring n11": (lambda n: cofiring.cofiring(n, 3, 4, 6), (1, 3), (-1, 0, 4)),
    "cofiring n1": (lambda n: cofiring.cofiring(2, n, 4, 6), (2, 4), (1, 5)),
    "cofiring n2": (lambda n: cofiring.cofiring(2, 4, n, 6), (2, 4), (1, 5)),
    "shrunken strength": (
        lambda s: cofiring.shrunken_jaccard(FIRES, FIRES, s), (1e-300, 9.0), (0.0, -1.0, math.nan)
    ),
    "jaccard minimum": (lambda n: cofiring.jaccard(FIRES, FIRES, n), (0, 1), (-1,)),
    "best_cofiring minimum": (lambda n: cofiring.best_cofiring(CODES, CODES, n), (0, 1), (-1,)),
    "cofiring_pairs minimum": (
        lambda n: cofiring.cofiring_pairs(CODES, CODES, 0.1, "phi", n), (0, 1), (-1,)
    ),
    "cofiring_graph minimum": (
        lambda n: communities.cofiring_graph(CODES, minimum=n), (0, 1), (-1,)
    ),
    "cofiring_graph level": (
        lambda p: communities.cofiring_graph(CODES, p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "cofiring_graph above": (
        lambda a: communities.cofiring_graph(CODES, above=a), (0.0, 2.0), (BELOW_0, -1.0, math.nan)
    ),
    "cosine_graph above": (
        lambda a: communities.cosine_graph(E3, a), (0.0, 2.0), (BELOW_0, -1.0, math.nan)
    ),
    "cofiring_tree minimum": (lambda n: communities.cofiring_tree(CODES, n), (0, 1), (-1,)),
    "tree cut": (lambda n: communities.cofiring_tree(CODES, 1).clusters(n), (1, 2), (0, -1)),
    "antipodal below": (
        lambda c: density.antipodal_pairs(E3, below=c), (-1.0, -0.5, 0.0),
        (-ABOVE_1, ABOVE_0, math.nan),
    ),
    "spectral n_communities": (
        lambda n: communities.spectral_communities(LINKED, n), (1, 3), (-1, 0, 4)
    ),
    "co_occurring min_probability": (
        lambda p: composition.co_occurring(ACTIVE, p), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "recall_beside_diagonal solo": (
        composition.recall_beside_diagonal, FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "exact max_order": (lambda k: composition.exact_composition(E3, E3, k), (1, 3), (0, -1)),
    "greedy max_order": (lambda k: composition.greedy_composition(E3, E3, k), (1, 3), (0, -1)),
    "rotated_null n_rotations": (
        lambda n: composition.rotated_null(E3, E3, n), (1, 2), (0, -1)
    ),
    "simulated_p_value n_draws": (
        lambda n: composition.simulated_p_value(E3, E3, n), (1, 2), (0, -1)
    ),
    "shapley atoms": (
        lambda j: composition.shapley_shares(E3[:1], E3, torch.tensor([[j]])), (-1, 0, 2), (-2, 3)
    ),
    "null_ladder n_draws": (
        lambda n: nulls.null_ladder(
            lambda a, b: dictionary.max_cosine(a, b).symmetric, E3, E3, n_draws=n
        ),
        (1, 2), (0, -1),
    ),
    "dead_upper_bound n_samples": (density.dead_upper_bound, (0, 1), (-1,)),
    "dead_upper_bound confidence": (
        lambda p: density.dead_upper_bound(9, p), INSIDE_0_1, OUTSIDE_0_1
    ),
    "dense_latents above": (
        lambda p: density.dense_latents(DENSITY, p), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "density_histogram bins": (
        lambda n: density.density_histogram(DENSITY, n), (1, 2), (0, -1)
    ),
    "hedging assigned": (
        lambda j: hedging(E3, E3, torch.tensor([0, 1, j]), ACTIVE), (-1, 0, 2), (-2, 3)
    ),
    "absorption pairs": (
        lambda j: absorption(ACTIVE, ACTIVE, E3, E3, [(0, j)]), (1, 2), (-1, 0, 3)
    ),
    "group index": (
        lambda j: by_group(torch.arange(3.0), {"some": [j]}), (0, 2), (-1, 3)
    ),
    "targets": (
        lambda t: cross_entropy(torch.zeros(1, 3), torch.tensor([t])), (0, 2), (-1, 3)
    ),
    "sinkhorn tolerance": (
        lambda t: dictionary.soft_matching_sinkhorn(E3, E3, tolerance=t, max_sweeps=9),
        (1e-9, 1.0), (0.0, -1.0),
    ),
    "sinkhorn max_sweeps": (
        lambda n: dictionary.soft_matching_sinkhorn(E3, E3, max_sweeps=n), (1, 2), (0, -1)
    ),
    "quantile levels": (
        lambda p: dictionary.quantiles(tensor([1.0, 2.0]), [p, 0.5]), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "max_cosine block": (lambda n: dictionary.max_cosine(E3, E3, block=n), (1, 2), (0, -1)),
    "per_position resamples": (
        lambda n: positions.per_position(normal(1, 4, 3), resamples=n), (1, 2), (0, -1)
    ),
    "profile positions": (
        lambda p: profiles.position_profile(ACTIVE[:2], torch.tensor([p, 1]), 2), (0, 1), (-1, 2)
    ),
    "published batch": (
        lambda n: published.dictionary_learning_explained_variance(ACTIVE, ACTIVE, n),
        (1, 2), (0, -1),
    ),
    "design_effect size": (
        lambda m: reliability.design_effect(m, 0.5), (1, 1e300), (BELOW_1, math.inf, math.nan)
    ),
    "design_effect icc": (
        lambda r: reliability.design_effect(3, r), (-1, 1), (-ABOVE_1, ABOVE_1, math.nan)
    ),
    "spearman_brown reliability": (
        lambda r: reliability.spearman_brown(r, 3), FROM_0_TO_1, BEYOND_0_TO_1
    ),
    "spearman_brown factor": (
        lambda k: reliability.spearman_brown(0.5, k), (ABOVE_0, 1e300),
        (0, -1, math.inf, math.nan),
    ),
    "cka max_samples": (
        lambda n: subspaces.linear_cka(ACTIVE, ACTIVE, max_samples=n), (4, 9), (0, -1)
    ),
    "board fractions": (
        lambda p: board_coverage(ACTIVE, ACTIVE, fractions=(p,)), (0.0, BELOW_1),
        (BELOW_0, 1.0, math.nan),
    ),
    "latents of codes": (
        lambda j: SparseCodes(torch.tensor([0, 1]), torch.tensor([j]).int(), torch.ones(1), 2),
        (0, 1), (-1, 2),
    ),
}  # fmt: skip


@taken(ARGUMENTS)
def test_ends_of_the_range_are_taken(call: Call, value: Any) -> None:
    call(value)


@refused(ARGUMENTS)
def test_what_is_beyond_is_refused(call: Call, value: Any) -> None:
    with pytest.raises(ToysaeError):
        call(value)
