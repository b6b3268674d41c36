from __future__ import annotations

import pytest
import torch

from toysae.draws import CPU
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.antipodal import Antipodal


def directions(n, d, seed=0):
    generator = ComposedSets(sizes=(1, n - 1))
    (space,) = Antipodal(d_hidden=d).spaces(generator, [seed], CPU)
    return space.directions


def test_pairs_are_opposite_and_right_angled_to_each_other():
    rows = directions(4, 2)
    expected = torch.tensor([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1.0]])
    torch.testing.assert_close(rows @ rows.T, expected, rtol=0, atol=1e-6)
    assert torch.equal(rows[0], -rows[1])
    assert torch.equal(rows[2], -rows[3])


def test_the_last_of_an_odd_number_has_its_axis_alone():
    rows = directions(3, 4)
    expected = torch.tensor([[1, -1, 0], [-1, 1, 0], [0, 0, 1.0]])
    torch.testing.assert_close(rows @ rows.T, expected, rtol=0, atol=1e-6)


def test_too_few_dimensions():
    with pytest.raises(
        ConfigError,
        match=r"^hidden.d_hidden = 2: antipodal pairs of 5 features need at least 3 dimensions$",
    ):
        directions(5, 2)
