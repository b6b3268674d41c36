from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import BLOCK, Stream

SPACE = Orthonormal().spaces(ComposedSets(), [0], CPU)[0]
STREAM = Stream(ComposedSets(), SPACE, seed=1)


def same(a, b, n=100):
    return torch.equal(a.hidden(0, n), b.hidden(0, n))


@pytest.mark.parametrize(
    ("start", "n"), [(0, 1), (5, 100), (BLOCK - 1, 2), (BLOCK, 7), (BLOCK - 3, BLOCK + 9)]
)
def test_any_part_is_a_part_of_the_whole(start, n):
    whole = STREAM.coefficients(0, 3 * BLOCK).dense()
    part = STREAM.coefficients(start, n).dense()
    assert torch.equal(part, whole[start : start + n])


def test_blocks_are_not_repeated():
    samples = STREAM.coefficients(0, 3 * BLOCK).dense()
    assert len(torch.unique(samples, dim=0)) == len(samples)


def test_hidden_is_the_embedding_of_the_coefficients():
    coefficients = STREAM.coefficients(10, 50)
    torch.testing.assert_close(STREAM.hidden(10, 50), coefficients.dense() @ SPACE.directions)
    assert STREAM.hidden(10, 50).shape == (50, 4)


def test_seed_and_split_and_generator_make_other_data():
    assert same(STREAM, Stream(ComposedSets(), SPACE, seed=1, split="train"))
    for other in ({"seed": 2}, {"split": "evaluation"}, {"generator": ComposedSets((1, 3))}):
        assert not same(STREAM, replace(STREAM, **other))


def test_splits_are_uncorrelated():
    train = STREAM.coefficients(0, 5000).dense().double()
    evaluation = replace(STREAM, split="evaluation").coefficients(0, 5000).dense().double()
    correlation = torch.corrcoef(torch.cat([train, evaluation], dim=1).T)[:4, 4:]
    assert float(correlation.abs().max()) < 5.5 / 5000**0.5


def test_equal_streams_are_those_of_equal_data():
    """Spaces are compared by identity: members share batches only where they share the space."""
    assert Stream(ComposedSets(), SPACE, seed=1) == STREAM
    assert len({STREAM, Stream(ComposedSets(), SPACE, seed=1)}) == 1
    for other in (
        replace(STREAM, seed=2),
        replace(STREAM, split="evaluation"),
        replace(STREAM, space=HiddenSpace(SPACE.directions)),
        replace(STREAM, generator=ComposedSets(one_hot_fraction=0.5)),
    ):
        assert other != STREAM


def test_samples_are_made_where_the_space_lies():
    assert STREAM.device == CPU
    assert STREAM.hidden(0, 1).device == CPU
    elsewhere = HiddenSpace(SPACE.directions.to("meta"))
    assert replace(STREAM, space=elsewhere).device == torch.device("meta")
