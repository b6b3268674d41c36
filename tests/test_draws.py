from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.draws import Draws

NAMES = st.text("abc", min_size=1, max_size=3)
SOURCES = st.builds(
    Draws,
    seed=st.integers(0, 2**64),
    path=st.lists(NAMES, max_size=3).map(tuple),
    block=st.integers(0, 1000),
)


def numbers(draws: Draws, name: str = "x") -> list[float]:
    return draws.uniform(name, (4,)).tolist()


@given(SOURCES, NAMES, NAMES)
def test_draw_does_not_depend_on_what_was_drawn_before(source, first, second):
    alone = numbers(source, first)
    source.normal(second, (7,))
    source.child(second).uniform(first, (3,))
    assert numbers(source, first) == alone
    assert numbers(Draws(source.seed, source.path, source.block), first) == alone


@given(SOURCES, SOURCES, NAMES, NAMES)
def test_draws_of_different_keys_differ(first, second, name_of_first, name_of_second):
    """A path and the name at its end are one sequence: `child("a")` draws "b" where "a", "b" is."""
    keys = [
        (s.seed, (*s.path, name), s.block)
        for s, name in ((first, name_of_first), (second, name_of_second))
    ]
    same = numbers(first, name_of_first) == numbers(second, name_of_second)
    assert same == (keys[0] == keys[1])


@pytest.mark.parametrize(
    "other",
    [
        Draws(2, ("a", "b"), 3),
        Draws(1, ("ab",), 3),
        Draws(1, ("b", "a"), 3),
        Draws(1, ("a", "b", "x"), 3),
        Draws(1, ("a", "b"), 4),
        Draws(3, ("a", "b"), 1),
        Draws(11, ("a", "b"), 3),
        Draws(1, ("a",), 3),
    ],
)
def test_keys_that_look_alike_are_not(other):
    assert numbers(other) != numbers(Draws(1, ("a", "b"), 3))


def test_child_and_block_are_parts_of_the_key():
    assert Draws(5).child("data").at_block(2) == Draws(5, ("data",), 2)
    assert Draws(5, ("data",), 2).child("x").block == 2


def test_key_is_the_hash_that_recorded_results_rest_on():
    """Results are reproduced from seeds, so the layout of the key must never change."""
    digest = hashlib.blake2b(b"7\x1fdata\x1ftrain\x1fx\x1f3", digest_size=16).digest()
    key = int.from_bytes(digest, "big")
    generator = np.random.Generator(np.random.SFC64(key))
    expected = generator.random(4, dtype=np.float32).tolist()
    assert numbers(Draws(7, ("data", "train"), 3)) == expected


def test_uniform_fills_the_unit_interval():
    x = Draws(0).uniform("x", (50_000,))
    assert x.dtype == torch.float32
    assert float(x.min()) >= 0
    assert float(x.max()) < 1
    sigma = 1 / math.sqrt(12 * len(x))
    assert abs(float(x.double().mean()) - 0.5) < 5.5 * sigma
    counts = torch.bincount((x * 10).long(), minlength=10).double()
    assert float(((counts - 5000) ** 2 / 5000).sum()) < 45  # chi^2 of 9 degrees: p < 1e-6


def test_normal_has_its_first_four_moments():
    x = Draws(0).normal("x", (50_000,))
    assert x.dtype == torch.float32
    moments = [float(x.double().pow(k).mean()) for k in (1, 2, 3, 4)]
    variances = [1, 2, 15, 96]  # of x, x^2, x^3, x^4
    for moment, expected, variance in zip(moments, (0, 1, 0, 3), variances):
        assert abs(moment - expected) < 5.5 * math.sqrt(variance / len(x))


@pytest.mark.parametrize(
    "other", [Draws(1), Draws(0).child("a"), Draws(0).at_block(1), Draws(0, ("x",))]
)
def test_sources_are_uncorrelated(other):
    a, b = Draws(0).uniform("x", (20_000,)), other.uniform("x", (20_000,))
    correlation = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    assert abs(correlation) < 5.5 / math.sqrt(20_000)


def test_shape_is_as_asked():
    assert Draws(0).uniform("x", (2, 0, 3)).shape == (2, 0, 3)
    assert Draws(0).normal("x", ()).shape == ()


@given(SOURCES, NAMES)
def test_integer_seed_has_63_bits_and_is_a_function_of_the_key(source, name):
    seed = source.integer_seed(name)
    assert 0 <= seed < 2**63
    assert seed == source.integer_seed(name)
    assert seed != source.at_block(source.block + 1).integer_seed(name)


def test_integer_seeds_use_all_63_bits():
    together = 0
    for block in range(64):
        together |= Draws(0, block=block).integer_seed("x")
    assert together == 2**63 - 1


def test_uniform_and_normal_of_one_name_are_independent():
    """Under one key the normal numbers would be functions of the uniform ones."""
    uniform, normal = Draws(0).uniform("x", (50_000,)), Draws(0).normal("x", (50_000,))
    correlation = torch.corrcoef(torch.stack([uniform, normal]))[0, 1]
    ranks = torch.corrcoef(torch.stack([uniform, normal.abs()]))[0, 1]
    assert abs(float(correlation)) < 5.5 / math.sqrt(50_000)
    assert abs(float(ranks)) < 5.5 / math.sqrt(50_000)
    assert Draws(0)._key("x") != Draws(0)._key("normal:x")
