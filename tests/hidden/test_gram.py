from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toysae.config import build_hidden
from toysae.draws import CPU
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.gram import Gram

#: Three directions of the plane at 120 degrees; rank 2.
MERCEDES = ((1.0, -0.5, -0.5), (-0.5, 1.0, -0.5), (-0.5, -0.5, 1.0))
PAIR = ((1.0, 0.6), (0.6, 1.0))


def spaces(config, n, seeds=(0,)):
    return [s.directions for s in config.spaces(ComposedSets(sizes=(1, n - 1)), seeds, CPU)]


@pytest.mark.parametrize("d", [2, 3, 7])
def test_the_matrix_is_reached_at_its_rank_and_above(d):
    for rows in spaces(Gram(d_hidden=d, gram=MERCEDES), 3, range(5)):
        assert rows.shape == (3, d)
        torch.testing.assert_close(rows @ rows.T, torch.tensor(MERCEDES), rtol=0, atol=1e-5)


@given(st.integers(2, 8), st.integers(1, 8), st.integers(0, 2**32))
@settings(max_examples=15)
def test_any_cosines_that_exist_are_reached(n, rank, seed):
    rows = torch.randn(n, rank, generator=torch.Generator().manual_seed(seed)).double()
    rows /= rows.norm(dim=1, keepdim=True)
    wanted = rows @ rows.T
    gram = tuple(tuple(row) for row in wanted.tolist())
    (made,) = spaces(Gram(d_hidden=rank, gram=gram), n)
    torch.testing.assert_close((made @ made.T).double(), wanted, rtol=0, atol=1e-5)


def test_seeds_are_rotations():
    first, second = spaces(Gram(d_hidden=2, gram=MERCEDES), 3, (0, 1))
    assert not torch.allclose(first, second, atol=1e-2)


def test_null_is_the_identity():
    (rows,) = spaces(Gram(d_hidden=5), 3)
    torch.testing.assert_close(rows @ rows.T, torch.eye(3), rtol=0, atol=2e-6)


def test_is_built_from_configuration():
    node = {"name": "gram", "d_hidden": 2, "gram": [[1, 0.6], [0.6, 1]]}
    assert build_hidden(node) == Gram(d_hidden=2, gram=PAIR)


@pytest.mark.parametrize(
    ("gram", "d", "message"),
    [
        (MERCEDES, 1, r"hidden.d_hidden = 1: a Gram matrix of rank 2 needs at least 2 dimensions"),
        # Eigenvalues 1 + 2 * 0.9 * cos(0, 2 pi / 3): the double one is 1 - 0.9 for +, 1.9 for -.
        (
            ((1.0, -0.9, -0.9), (-0.9, 1.0, -0.9), (-0.9, -0.9, 1.0)),
            3,
            r"hidden.gram: its smallest eigenvalue is -0.8, must be at least -1e-06; "
            r"no directions have these cosines",
        ),
        (
            ((1.0, 0.0), (0.0,)),
            2,
            r"hidden.gram: found 2 rows of lengths \[2, 1\]; must be a square matrix",
        ),
        ((), 2, r"hidden.gram: found 0 rows of lengths \[\]; must be a square matrix"),
        (((1.0, 0.5), (0.4, 1.0)), 2, r"hidden.gram: is not symmetric; .*"),
        (((1.0, float("nan")), (float("nan"), 1.0)), 2, r"hidden.gram: is not symmetric; .*"),
        (((4.0, 0.0), (0.0, 1.0)), 2, r"hidden.gram: its diagonal is off 1 by 3; .*"),
    ],
)
def test_impossible_matrices(gram, d, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Gram(d_hidden=d, gram=gram)


def test_one_row_a_feature():
    with pytest.raises(ConfigError, match=r"^hidden.gram: found 2 rows for 4 features; give one"):
        spaces(Gram(gram=PAIR), 4)
    with pytest.raises(ConfigError, match=r"^hidden.d_hidden = 2: .* needs at least 3 dimensions$"):
        spaces(Gram(d_hidden=2), 3)
