"""Dictionaries of which one side, or both, is dead: every agreement is undefined, none is 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from toysae.metrics import dictionary
from toysae.metrics.stability import cycle_consistency

from .draw import normal

A, B = normal(0, 4, 3), normal(1, 5, 3)
DEAD = (torch.zeros(4, dtype=torch.bool), torch.zeros(5, dtype=torch.bool))
SIDES = pytest.mark.parametrize("sides", ["a", "b", "ab"])


def masks(sides: str) -> dict[str, Tensor]:
    return {f"alive_{side}": DEAD["ab".index(side)] for side in sides}


def alive(sides: str) -> tuple[int, int]:
    """Rows of each dictionary that are left."""
    return 0 if "a" in sides else 4, 0 if "b" in sides else 5


@SIDES
@pytest.mark.parametrize(
    "function",
    [
        dictionary.hungarian,
        dictionary.hungarian_abs,
        dictionary.greedy,
        dictionary.greedy_abs,
        dictionary.soft_matching,
        dictionary.soft_matching_sinkhorn,
        lambda a, b, **mask: dictionary.joint_matching(a, b, a, b, **mask),
    ],
)
def test_every_matching_counts_the_rows_of_each_side(
    function: Callable[..., Any], sides: str
) -> None:
    found = function(A, B, **masks(sides))
    assert (found.n_rows, found.n_cols) == alive(sides)
    if isinstance(found, dictionary.SoftMatching):
        assert math.isnan(found.mean)
        assert math.isnan(found.bound)
        assert not found.plan.any()
        return
    assert found.n_matched == 0
    for name in ("total", "mean_over_matched", "mean_over_min", "mean_over_max"):
        assert math.isnan(getattr(found, name)), name
    if isinstance(found, dictionary.GreedyMatching):
        assert math.isnan(found.mean_with_forced)


@SIDES
def test_zero_rows_are_as_masked_ones(sides: str) -> None:
    a, b = (0 * x if side in sides else x for x, side in ((A, "a"), (B, "b")))
    for function in (dictionary.hungarian, dictionary.greedy, dictionary.soft_matching):
        found = function(a, b)
        assert (found.n_rows, found.n_cols) == alive(sides)


@SIDES
def test_best_partners(sides: str) -> None:
    nearest = dictionary.mutual_nearest(A, B, **masks(sides))
    assert (len(nearest.rows), nearest.n_a, nearest.n_b) == (0, 0, 0)
    assert math.isnan(nearest.rate)
    ties = dictionary.best_partner_ties(A, B, **masks(sides))
    assert (ties.n_a, ties.n_b) == (0, 0)
    assert (ties.a_to_b.tolist(), ties.b_to_a.tolist()) == ([0] * 4, [0] * 5)
    votes = dictionary.multiplicity(dictionary.max_cosine(A, B, **masks(sides)), -math.inf)
    assert votes.on_a.most == votes.on_b.most == 0
    assert math.isnan(votes.on_b.coverage)
    assert math.isnan(votes.on_b.effective_number)


@SIDES
def test_matching_agreement(sides: str) -> None:
    found = dictionary.matching_agreement(A, B, A, B, **masks(sides))
    assert found.n_defined == 0
    assert math.isnan(found.agreement)
    assert math.isnan(found.shared_fraction)
    assert found.decoder_match.tolist() == found.encoder_match.tolist() == [-1] * 4
    assert not found.shared.any()


def test_within_dictionary() -> None:
    found = dictionary.within_dictionary(A, alive=DEAD[0])
    assert math.isnan(found.mean_max_cosine)
    assert math.isnan(found.mean_abs_cosine)
    assert found.index.tolist() == [-1] * 4


def test_a_detour_by_a_dead_dictionary_is_undefined() -> None:
    to_dead = dictionary.hungarian(A, B, alive_b=DEAD[1])
    from_dead = dictionary.hungarian(B, A, alive_a=DEAD[1])
    found = cycle_consistency(to_dead, from_dead, dictionary.hungarian(A, A))
    assert (found.n_a, found.n_detours) == (0, 0)
    assert math.isnan(found.share)
    assert math.isnan(cycle_consistency(dictionary.hungarian(A, A), to_dead, to_dead).share)
