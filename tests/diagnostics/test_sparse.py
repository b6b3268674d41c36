from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics import sparse
from toysae.diagnostics._large.work import Work
from toysae.diagnostics.collinearity import vif
from toysae.diagnostics.local import block_local_vif
from toysae.diagnostics.ridge import regularized_vif
from toysae.diagnostics.sparse import sparse_block_local_vif, sparse_regularized_vif
from toysae.errors import ConfigError, DataError, ShapeError
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes

SHARES = np.array([1e-6, 1e-3, 0.1, 1.0])


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> object:
    """Blocks so small that small matrices have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "_BLOCK", 4)
        yield


def codes_of(table: np.ndarray) -> SparseCodes:
    return SparseCodes.from_dense(torch.from_numpy(table))


def latents(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return (rng.random((n, k)) < 0.4) * rng.exponential(size=(n, k))


def pairs_of_latents(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """`k` latents and, for each, one that fires with it."""
    first = latents(rng, n, k)
    return np.hstack([first, first * rng.random((n, k))])


def ragged(rng: np.random.Generator) -> np.ndarray:
    """With a constant latent, a duplicate and a silent one among others."""
    x = latents(rng, 150, 9)
    return np.hstack([x, np.full((150, 1), 0.7), 2 * x[:, [3]], np.zeros((150, 1))])


def test_shrunk_by_hand() -> None:
    """Fires 1100 and 1010 are uncorrelated; 1100 and 1000 have phi 1 / sqrt 3."""
    table = np.array([[1.0, 1], [1, 0], [0, 0], [0, 0]])
    found = sparse_regularized_vif(codes_of(table), np.array([0.5, 1.0]), min_firings=0)
    # R_.5 has the correlation 1 / (2 sqrt 3), so 1 / (1 - 1 / 12) = 12 / 11.
    np.testing.assert_allclose(found.vif, [[12 / 11, 12 / 11], [1, 1]])
    assert found.penalties.tolist() == [0.5, 1.0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_shrunk_as_the_dense_one(seed: int, k: int) -> None:
    table = latents(np.random.default_rng(seed), 120, k)
    table[0] += 0.1
    found, dense = (
        sparse_regularized_vif(codes_of(table), SHARES, min_firings=0),
        regularized_vif(table, SHARES),
    )
    np.testing.assert_allclose(found.vif, dense.vif, rtol=1e-7)
    np.testing.assert_allclose(found.degrees_of_freedom, dense.degrees_of_freedom, atol=1e-7)


def test_exact_relations_are_finite_and_constants_undefined() -> None:
    table = ragged(np.random.default_rng(0))
    found, dense = (
        sparse_regularized_vif(codes_of(table), SHARES),
        regularized_vif(table, SHARES),
    )
    np.testing.assert_allclose(found.vif, dense.vif, rtol=1e-6)
    assert found.vif[0].isnan().tolist() == [j in (9, 11) for j in range(12)]
    # Two copies, half of the smallest eigenvalue each.
    assert float(found.vif[0, 3]) == pytest.approx(0.5e6, rel=1e-2)
    np.testing.assert_allclose(found.degrees_of_freedom, dense.degrees_of_freedom, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.15]))
def test_blocks_are_those_of_the_dense_one(seed: int, threshold: float) -> None:
    table = pairs_of_latents(np.random.default_rng(seed), 400, 5)
    found, dense = (
        sparse_block_local_vif(codes_of(table), threshold),
        block_local_vif(table, threshold),
    )
    same = found.blocks[:, None] == found.blocks
    assert torch.equal(same, dense.blocks[:, None] == dense.blocks)
    assert found.n_blocks == dense.n_blocks
    np.testing.assert_allclose(found.lowest, dense.lowest, rtol=1e-7)
    np.testing.assert_allclose(found.highest, dense.highest, rtol=1e-7)
    assert found.between == pytest.approx(dense.between)
    truth = vif(table).vif
    assert (found.lowest <= truth * (1 + 1e-9)).all()
    assert (found.highest >= truth * (1 - 1e-9)).all()


def test_a_latent_of_its_own_is_bounded_by_what_lies_between_blocks() -> None:
    """A correlation of .05 makes no block here, and may inflate a variance by 1 / (1 - .05)."""
    first = np.tile([1.0, 1.0, 0.0, 0.0], 110)
    second = first.copy()
    second[:440:4], second[2:440:4] = 0, 1  # half of each kind: correlation 0
    second[:44:4] = 1  # and 11 back, of 440: correlation 22 / 440
    table = np.stack([first, second], axis=1)
    r = float(np.corrcoef(table.T)[0, 1])
    found = sparse_block_local_vif(codes_of(table), 0.3)
    assert r == pytest.approx(0.05, abs=2e-3)
    assert found.n_blocks == 2
    assert found.between == pytest.approx(r)
    assert found.lowest.tolist() == [1, 1]
    assert found.highest.tolist() == pytest.approx([1 / (1 - r)] * 2)


def copies_with_noise(flips: list[float]) -> np.ndarray:
    """Latents that fire on half of 4,000 samples, each on those of the first but for a share."""
    rng = np.random.default_rng(0)
    first = rng.random((4000, 1)) < 0.5
    return np.where(rng.random((4000, len(flips))) < flips, ~first, first).astype(float)


# Correlations of 1 - 2 (a + b - 2ab) for shares a and b of flips. Of two that flip .025 it is .9,
# so their least eigenvalue is .1, which a third of correlation .38 with both exceeds.
NOT_POSITIVE = copies_with_noise([0.025, 0.025, 0.3])
# Four of .64 that are in no block add up to 1.9, more than any correlation leaves.
MORE_THAN_ONE = copies_with_noise([0.1, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("table", "threshold", "between", "highest"),
    [
        (NOT_POSITIVE, 0.6, (0.1, 1), [math.inf, math.inf, 2]),
        (MORE_THAN_ONE, 0.9, (1, 2), [math.inf] * 4),
    ],
)
def test_blocks_that_lean_on_others_have_no_upper_bound(
    table: np.ndarray, threshold: float, between: tuple[float, float], highest: list[float]
) -> None:
    seen: list[tuple[int, int]] = []
    codes = codes_of(table)
    found = sparse_block_local_vif(codes, threshold, report=lambda *done: seen.append(done))
    dense = block_local_vif(table, threshold)
    assert between[0] < found.between < between[1]
    assert found.highest.isinf().tolist() == [math.isinf(bound) for bound in highest]
    np.testing.assert_allclose(found.highest, dense.highest)
    assert seen[-1] == (1000, 1000)


def test_dropped_and_constant_latents_are_in_no_block() -> None:
    table = ragged(np.random.default_rng(0))
    table[:9, 0], table[9:, 0] = 1, 0
    found = sparse_block_local_vif(codes_of(table), 0.3)
    assert found.blocks[[0, 11]].tolist() == [-1, -1]
    assert found.lowest.isnan().tolist() == [j in (0, 9, 11) for j in range(12)]
    assert found.highest.isnan().tolist() == [j in (0, 9, 11) for j in range(12)]
    assert found.lowest.isinf().tolist() == [j in (3, 10) for j in range(12)]
    assert found.blocks[3] == found.blocks[10]


def test_nothing_left() -> None:
    silent = codes_of(np.zeros((20, 3)))
    assert sparse_regularized_vif(silent, SHARES).vif.isnan().all()
    assert sparse_regularized_vif(silent, SHARES).degrees_of_freedom.tolist() == [0, 0, 0, 0]
    found = sparse_block_local_vif(silent)
    assert found.lowest.isnan().all()
    assert (found.n_blocks, found.between) == (0, 0)


def shrunk(codes: SparseCodes, report: Report | None = None) -> object:
    return sparse_regularized_vif(codes, SHARES, report=report)


def in_one_block(codes: SparseCodes, report: Report | None = None) -> object:
    return sparse_block_local_vif(codes, 0.0, report=report)


def in_blocks(codes: SparseCodes, report: Report | None = None) -> object:
    return sparse_block_local_vif(codes, 0.2, report=report)


MEASURES = (shrunk, in_one_block, in_blocks)
BLOCKED = codes_of(pairs_of_latents(np.random.default_rng(0), 400, 15))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "codes",
    [BLOCKED, *(codes_of(latents(np.random.default_rng(0), 200, k)) for k in (0, 1, 4, 5))],
)
def test_progress_ends_at_the_whole(measure: Callable[..., object], codes: SparseCodes) -> None:
    seen: list[tuple[int, int]] = []
    measure(codes, lambda done, whole: seen.append((done, whole)))
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("stage", ["gram", "factor", "inverse"])
def test_can_be_interrupted_in_every_stage(
    measure: Callable[..., object], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def add(self: Work, reported: str, share: float) -> None:
        seen.append(reported)
        if reported == stage:
            raise KeyboardInterrupt

    for kind in (Work, *Work.__subclasses__()):
        monkeypatch.setattr(kind, "add", add)
    with pytest.raises(KeyboardInterrupt):
        measure(BLOCKED)
    assert seen[-1] == stage


def test_one_block_of_many_rows_tells_of_its_parts() -> None:
    """Else a large SAE, most latents of which are tied, stands still for hours."""
    seen: list[int] = []
    in_one_block(BLOCKED, lambda done, whole: seen.append(done))
    assert len(set(seen)) > 50


def test_exact_where_nothing_is_between_the_blocks() -> None:
    table = ragged(np.random.default_rng(0))
    found, dense = sparse_block_local_vif(codes_of(table), 0.0), block_local_vif(table, 0.0)
    for bounds in (found, dense):
        assert torch.equal(bounds.highest.isinf(), bounds.lowest.isinf())
        torch.testing.assert_close(bounds.highest, bounds.lowest, equal_nan=True)
    np.testing.assert_allclose(found.lowest, dense.lowest, rtol=1e-6)


def test_no_bound_where_much_is_between_the_blocks() -> None:
    found = sparse_block_local_vif(codes_of(pairs_of_latents(np.random.default_rng(0), 40, 9)), 0.6)
    assert found.between > 1
    assert found.highest.isinf().all()
    assert found.lowest.isfinite().all()


def test_errors() -> None:
    codes = codes_of(np.eye(12))
    for share in (0.0, 1.1):
        with pytest.raises(ConfigError, match="from 1e-09 to 1"):
            sparse_regularized_vif(codes, np.array([share]))
    with pytest.raises(ShapeError, match="expected one axis"):
        sparse_regularized_vif(codes, np.array(0.1))
    with pytest.raises(ConfigError, match="threshold=1"):
        sparse_block_local_vif(codes, 1.0)
    for call in (
        lambda codes, n: sparse_regularized_vif(codes, SHARES, min_firings=n),
        lambda codes, n: sparse_block_local_vif(codes, min_firings=n),
    ):
        with pytest.raises(ConfigError, match="min_firings=-1"):
            call(codes, -1)
        with pytest.raises(DataError, match="no samples"):
            call(codes_of(np.zeros((0, 3))), 0)
