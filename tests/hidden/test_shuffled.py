from __future__ import annotations

import torch

from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.shuffled import shuffled
from toysae.hidden.stream import BLOCK, Stream

#: x1 + x2 lie along the first axis, y1 + y2 along the second and, correlated, along the third.
SPACE = HiddenSpace(
    torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 1], [0, -1, -0.5]]),
    bias=torch.tensor([0.0, 5.0, 0.0]),
    noise=0.1,
)


def both(seed=0, start=0, n=BLOCK):
    streams = [Stream(ComposedSets(), space, seed) for space in (SPACE, shuffled(SPACE))]
    return [stream.hidden(start, n) for stream in streams]


def test_each_coordinate_keeps_its_values():
    before, after = both()
    assert torch.equal(before.sort(dim=0).values, after.sort(dim=0).values)
    assert not torch.equal(before, after)


def test_no_coordinate_knows_of_another():
    before, after = both()
    assert before.T.corrcoef()[1, 2] > 0.9
    off_diagonal = after.T.corrcoef() - torch.eye(3)
    assert off_diagonal.abs().max() < 5 / BLOCK**0.5
    # Not only uncorrelated: |x| tells nothing of |y|, either.
    assert (after.abs().T.corrcoef() - torch.eye(3)).abs().max() < 5 / BLOCK**0.5


def test_coordinates_have_orders_of_their_own():
    tied = HiddenSpace(torch.tensor([[1.0, 1], [-1, -1], [2, 2], [-2, -2]]))
    made = Stream(ComposedSets(), shuffled(tied), 0).hidden(0, 500)
    assert (made[:, 0] != made[:, 1]).double().mean() > 0.9


def test_samples_do_not_depend_on_how_they_are_read():
    stream = Stream(ComposedSets(), shuffled(SPACE), 3)
    whole = stream.hidden(0, 2 * BLOCK)
    assert torch.equal(stream.hidden(BLOCK - 7, 20), whole[BLOCK - 7 : BLOCK + 13])
    assert not torch.equal(whole[:BLOCK], whole[BLOCK:])
    assert not torch.equal(whole, Stream(ComposedSets(), shuffled(SPACE), 4).hidden(0, 2 * BLOCK))


def test_the_truth_about_the_world_stays():
    made = shuffled(SPACE)
    assert made.directions is SPACE.directions
    assert made.bias is SPACE.bias
    assert made.noise == SPACE.noise
    assert made.readout is SPACE.readout
    coefficients = Stream(ComposedSets(), SPACE, 0).coefficients(0, 10)
    assert torch.equal(made.embed(coefficients), SPACE.embed(coefficients))
