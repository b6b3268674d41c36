from __future__ import annotations

import math

import torch

from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.random_unit import RandomUnit


def directions(n, d, seed=0):
    generator = ComposedSets(sizes=(n // 2, n - n // 2))
    (space,) = RandomUnit(d_hidden=d).spaces(generator, [seed], CPU)
    return space.directions


def test_cosines_are_those_of_independent_directions():
    """Mean 0 and variance 1 / d; the kurtosis of a coordinate on the sphere is 3 d / (d + 2)."""
    n, d = 300, 10
    rows = directions(n, d).double()
    cosines = (rows @ rows.T)[torch.triu_indices(n, n, 1).unbind()]
    pairs = len(cosines)
    assert abs(float(cosines.mean())) < 5 * math.sqrt(1 / d / pairs)
    spread = math.sqrt((3 / (d * (d + 2)) - 1 / d**2) / pairs)
    assert abs(float(cosines.square().mean()) - 1 / d) < 5 * spread


def test_one_dimension_has_room_for_any_number():
    assert set(directions(40, 1).flatten().tolist()) == {-1.0, 1.0}


def test_more_features_leave_the_first_as_they_were():
    assert torch.equal(directions(9, 4)[:6], directions(6, 4))
