from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.collinearity import vif
from toysae.diagnostics.local import block_local_vif
from toysae.errors import ConfigError


def on_their_own(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """`k` latents and, for each, one that fires with it."""
    first = (rng.random((n, k)) < 0.3) * rng.random((n, k))
    return np.hstack([first, first * rng.random((n, k))])


def test_blocks_that_never_meet_are_exact() -> None:
    # Fires are balanced over a full factorial, so phi between blocks is 0.
    states = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)], dtype=float)
    x = np.hstack([states, states[:, :1] * np.arange(1, 9)[:, None] ** 0])
    x[:, 3] *= np.array([1, 1, 1, 2, 1, 1, 1, 2.0])
    found = block_local_vif(x)
    assert found.n_blocks == 3
    assert found.blocks[0] == found.blocks[3]
    inside = vif(x[:, [0, 3]]).vif
    np.testing.assert_allclose(found.lowest, [inside[0], 1, 1, inside[1]])
    # Activations of different blocks are correlated a little, by less than a column with itself
    # and by more than the pair leaves open.
    r = np.corrcoef(x.T)
    between = r * (found.blocks[:, None] != found.blocks).numpy()
    norm = min(np.linalg.norm(between), np.abs(between).sum(1).max())
    assert found.between == pytest.approx(norm)
    assert np.linalg.eigvalsh(r[np.ix_([0, 3], [0, 3])])[0] < norm < 1
    alone = 1 / (1 - norm)
    np.testing.assert_allclose(found.highest, [math.inf, alone, alone, math.inf])


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.15]))
def test_the_bounds_hold(seed: int, threshold: float) -> None:
    x = on_their_own(np.random.default_rng(seed), 400, 3)
    found, truth = block_local_vif(x, threshold), vif(x).vif
    assert (found.lowest <= truth * (1 + 1e-9)).all()
    assert (found.highest >= truth * (1 - 1e-9)).all()
    if found.n_blocks == 1:
        np.testing.assert_allclose(found.lowest, found.highest)


def test_bounds_are_close_where_blocks_are_almost_apart() -> None:
    x = on_their_own(np.random.default_rng(0), 20_000, 4)
    found = block_local_vif(x)
    assert found.n_blocks == 4
    assert (found.highest / found.lowest < 1.3).all()
    assert 0 < found.between < 0.1
    r = np.corrcoef(x.T)
    for pair in ([0, 4], [1, 5], [2, 6], [3, 7]):
        shifted = r[np.ix_(pair, pair)] - found.between * np.eye(2)
        np.testing.assert_allclose(found.highest[pair], np.diag(np.linalg.inv(shifted)))


def test_threshold_is_strict() -> None:
    # Fires 1100 and 1010: phi 0; 1100 against 1000: sqrt(1/3).
    x = np.array([[1.0, 1], [1, 0], [0, 0], [0, 0]])
    assert block_local_vif(x, 0.577).n_blocks == 1
    assert block_local_vif(x, 0.578).n_blocks == 2


def test_constant_columns_and_relations() -> None:
    rng = np.random.default_rng(0)
    x = on_their_own(rng, 100, 1)
    x = np.hstack([x, np.full((100, 1), 2.0), x[:, :1]])
    found = block_local_vif(x)
    assert found.lowest.isnan().tolist() == [False, False, True, False]
    assert found.lowest.isinf().tolist() == [True, False, False, True]
    assert found.highest.isnan().tolist() == [False, False, True, False]
    assert math.isinf(found.highest[0])


@pytest.mark.parametrize("threshold", [-0.1, 1.0])
def test_errors(threshold: float) -> None:
    with pytest.raises(ConfigError, match="below 1"):
        block_local_vif(np.eye(3), threshold)


def test_a_correlation_at_the_threshold_makes_no_block() -> None:
    states = np.array([[1.0, 1], [1, 0], [0, 1], [0, 0]])
    assert block_local_vif(states, 0.0).n_blocks == 2
