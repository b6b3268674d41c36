from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden import orthogonalised
from toysae.hidden.orthogonalised import Orthogonalised, least_overlap, mean_largest_overlap
from toysae.hidden.random_unit import random_unit


def directions(n, config, seed=0):
    generator = ComposedSets(sizes=(1, n - 1))
    (space,) = config.spaces(generator, [seed], CPU)
    return space.directions


def overlap(rows):
    """The definition, by loops."""
    rows = rows.double()
    cosine = torch.nn.functional.cosine_similarity
    return sum(
        max(abs(float(cosine(a, b, dim=0))) for j, b in enumerate(rows) if j != i)
        for i, a in enumerate(rows)
    ) / len(rows)


@pytest.mark.parametrize(
    ("n", "d", "target"),
    # Four lines of the plane at 45 degrees are the best there; six diagonals of the icosahedron
    # meet at 1 / sqrt(5) = .447; orthogonal directions at 0.
    [(4, 2, 0.7072), (6, 3, 0.4475), (4, 4, 0.01), (12, 6, 0.4), (60, 12, 0.34)],
)
def test_target_is_reached(n, d, target):
    rows = directions(n, Orthogonalised(d_hidden=d, target=target))
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(n), rtol=0, atol=1e-6)
    assert overlap(rows) <= target + 1e-6
    assert overlap(rows) > 0.9 * target or n <= d


def test_random_directions_below_the_target_are_left():
    rows = directions(20, Orthogonalised(d_hidden=10, target=1.0))
    assert torch.equal(rows, random_unit(20, 10, Draws(0, ("hidden",))))


def test_seeds_differ_and_repeat():
    config = Orthogonalised(d_hidden=6, target=0.4)
    assert torch.equal(directions(12, config, 1), directions(12, config, 1))
    assert not torch.allclose(directions(12, config, 1), directions(12, config, 2), atol=0.1)


@given(st.integers(2, 9), st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=25)
def test_nothing_overlaps_less_than_the_bound(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    rows = torch.nn.functional.normalize(rows, dim=1)
    measured = mean_largest_overlap(rows)
    assert measured == pytest.approx(overlap(rows), abs=1e-6)
    assert measured >= least_overlap(n, d) - 1e-6


def test_bound_by_hand():
    """Three directions of the plane at 120 degrees, and six of space, meet it."""
    assert least_overlap(3, 2) == pytest.approx(0.5)
    assert least_overlap(6, 3) == pytest.approx(1 / math.sqrt(5))
    assert least_overlap(3, 3) == least_overlap(1, 1) == 0.0
    assert least_overlap(16384, 768) == pytest.approx(0.03522958883)


def test_overlap_does_not_depend_on_blocks(monkeypatch):
    rows = random_unit(50, 8, Draws(1))
    whole = mean_largest_overlap(rows)
    monkeypatch.setattr(orthogonalised, "_PAIRS", 7 * 50)
    assert mean_largest_overlap(rows) == pytest.approx(whole, rel=1e-6)
    split = directions(60, Orthogonalised(d_hidden=12, target=0.34))
    assert overlap(split) <= 0.34 + 1e-6


def test_a_single_feature_overlaps_with_nothing():
    assert mean_largest_overlap(torch.ones(1, 1)) == 0.0


def test_target_below_the_bound():
    with pytest.raises(
        ConfigError,
        match=r"^hidden.target = 0.4: 6 features in 3 dimensions overlap by at least 0.4472 "
        r"\(Welch bound\); raise hidden.target or hidden.d_hidden$",
    ):
        directions(6, Orthogonalised(d_hidden=3, target=0.4))


@pytest.mark.parametrize("max_steps", [2, 500])
def test_target_that_is_not_reached(max_steps):
    """Five lines of the plane: at least cos 36 degrees = .809, above their Welch bound of .612."""
    with pytest.raises(
        ConfigError,
        match=r"^hidden.target = 0.7: 5 features in 2 dimensions came to 0.[89]\d* "
        rf"\(Welch bound: 0.6124\); raise .* or hidden.max_steps = {max_steps}$",
    ):
        directions(5, Orthogonalised(d_hidden=2, target=0.7, max_steps=max_steps))


def test_large_spaces_are_kept_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TOYSAE_CACHE", str(tmp_path))
    monkeypatch.setattr(orthogonalised, "_CACHED_FROM", 12)
    config = Orthogonalised(d_hidden=6, target=0.4)
    made = directions(12, config)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    monkeypatch.setattr(Orthogonalised, "_orthogonalise", None)
    assert torch.equal(directions(12, config), made)
    with pytest.raises(TypeError):
        directions(13, config)


@pytest.mark.parametrize(
    ("field", "value"), [("target", 0.0), ("target", 1.1), ("max_steps", 0), ("d_hidden", 0)]
)
def test_bad_value(field, value):
    with pytest.raises(ConfigError, match=rf"^hidden.{field} = {value}: must "):
        Orthogonalised(**{field: value})
