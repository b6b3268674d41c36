from __future__ import annotations

import math

import pytest
import torch

from toysae.draws import CPU
from toysae.errors import ConfigError
from toysae.generators.coefficients import DenseCoefficients
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.orthonormal import Orthonormal

FOUR = ComposedSets()


def directions(seed, d=4, generator=FOUR):
    (space,) = Orthonormal(d_hidden=d).spaces(generator, [seed], CPU)
    return space.directions


@pytest.mark.parametrize("d", [4, 5, 9])
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_orthonormal(d, seed):
    rows = directions(seed, d)
    assert rows.shape == (4, d)
    torch.testing.assert_close(rows @ rows.T, torch.eye(4), rtol=0, atol=2e-6)


def test_seed_gives_the_space_whatever_the_company():
    alone = directions(3)
    for space, seed in zip(Orthonormal().spaces(FOUR, [1, 3, 3, 5], CPU), (1, 3, 3, 5)):
        assert torch.equal(space.directions, alone) == (seed == 3)


def test_directions_are_uniform_on_the_sphere():
    """Haar: every entry has mean 0 and variance 1/d, and neither sign is preferred."""
    n = 1500
    config = Orthonormal(d_hidden=4)
    rows = torch.stack([s.directions for s in config.spaces(FOUR, range(n), CPU)]).double()
    assert float(rows.mean(0).abs().max()) < 5.5 * math.sqrt(1 / 4 / n)
    # E x^4 = 3 / (d (d + 2)) = 1/8 on the sphere, so the variance of x^2 is 1/8 - 1/16.
    assert float((rows.square().mean(0) - 1 / 4).abs().max()) < 5.5 * math.sqrt(1 / 16 / n)
    determinant = torch.linalg.det(rows)
    assert abs(float(determinant.sign().mean())) < 5.5 / math.sqrt(n)


def test_embedding_adds_up_what_fires():
    (space,) = Orthonormal(d_hidden=6).spaces(FOUR, [0], CPU)
    c = torch.tensor([[0.5, 0.0, 0.0, 0.25], [0.0, 0.0, 0.0, 0.0]])
    expected = 0.5 * space.directions[0] + 0.25 * space.directions[3]
    torch.testing.assert_close(
        space.embed(DenseCoefficients(c)), torch.stack([expected, 0 * expected])
    )
    assert space.d_hidden == 6


def test_too_few_dimensions():
    with pytest.raises(
        ConfigError, match=r"^hidden.d_hidden = 4: .* 5 features need at least 5 dimensions$"
    ):
        directions(0, generator=ComposedSets(sizes=(2, 3)))
    with pytest.raises(ConfigError, match=r"^hidden.d_hidden = 0: must be at least 1$"):
        Orthonormal(d_hidden=0)
