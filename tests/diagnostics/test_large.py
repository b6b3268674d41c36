from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics import large
from toysae.diagnostics._large import gram
from toysae.diagnostics._large.spectrum import symmetric_eigenvalues
from toysae.diagnostics._large.work import Work
from toysae.diagnostics.collinearity import (
    Collinearity,
    Reason,
    condition_indices,
    vif,
    vif_uncentered,
)
from toysae.diagnostics.large import SparseCollinearity, sparse_collinearity
from toysae.errors import ConfigError, DataError
from toysae.metrics.codes import SparseCodes


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> object:
    """Blocks and bands so small that small matrices have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "_BLOCK", 8)
        patch.setattr(large, "_BAND", 4)
        yield


def of(table: np.ndarray, **options: object) -> SparseCollinearity:
    codes = SparseCodes.from_dense(torch.as_tensor(table))
    return sparse_collinearity(codes, **{"min_firings": 0, **options})


def latents(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return (rng.random((n, k)) < 0.4) * rng.exponential(size=(n, k))


def one_hot(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return np.eye(k)[rng.permutation(np.arange(n) % k)]


def assert_same(found: Collinearity, expected: Collinearity) -> None:
    np.testing.assert_allclose(found.vif, expected.vif, rtol=1e-6)
    np.testing.assert_allclose(found.n_effective, expected.n_effective, rtol=1e-6, atol=1e-9)
    assert set(found.relations) == set(expected.relations)
    assert found.rank == expected.rank
    assert found.reasons == expected.reasons


def assert_agrees(table: np.ndarray) -> SparseCollinearity:
    found = of(table)
    assert_same(found.centered, vif(table))
    assert_same(found.uncentered, vif_uncentered(table))
    indices = condition_indices(table).indices
    assert (found.condition_indices.isinf() == indices.isinf()).all()
    np.testing.assert_allclose(found.condition_indices, indices, rtol=1e-6)
    assert (found.identifiable == vif(table).vif.isfinite()).all()
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_agrees_with_the_dense_functions(seed: int, k: int) -> None:
    table = latents(np.random.default_rng(seed), 120, k) + 0.0
    table[0] += 0.1
    found = assert_agrees(table)
    assert found.centered.relations == ()
    assert (found.duplicate_of == -1).all()
    assert found.firings.tolist() == (table != 0).sum(0).tolist()


@given(st.integers(0, 2**32 - 1))
def test_exact_relations_of_every_kind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = latents(rng, 150, 20)
    parts = [
        x,
        2 * x[:, [3]],
        x[:, [5]] + 3 * x[:, [7]],
        -0.5 * x[:, [9]],
        np.full((150, 1), 0.7),
        one_hot(rng, 150, 5),
        2 * one_hot(rng, 150, 3),
    ]
    chosen = [parts[0], *(part for part in parts[1:] if rng.random() < 0.6)]
    table = np.hstack(chosen)
    assert_agrees(table[:, rng.permutation(table.shape[1])])


def test_relations_are_named() -> None:
    rng = np.random.default_rng(0)
    a, b, c, d, e = latents(rng, 60, 5).T
    table = np.stack([a, b, 2 * a, b + c, c, d, 0 * a, e, 3 * a], axis=1)
    table[1:, 7] = 0
    table[0, 7] = 1
    found = of(table, min_firings=2)
    assert found.centered.relations == ((0, 2, 8), (1, 3, 4))
    assert found.centered.reasons == (
        Reason.DUPLICATE,
        Reason.COLLINEAR,
        Reason.DUPLICATE,
        Reason.COLLINEAR,
        Reason.COLLINEAR,
        Reason.NONE,
        Reason.ZERO,
        Reason.TOO_FEW,
        Reason.DUPLICATE,
    )
    assert found.duplicate_of.tolist() == [-1, -1, 0, -1, -1, -1, -1, -1, 0]
    assert found.centered.vif.isinf().tolist() == [j in (0, 1, 2, 3, 4, 8) for j in range(9)]
    assert found.centered.vif.isnan().tolist() == [j in (6, 7) for j in range(9)]
    assert found.identifiable.tolist() == [j == 5 for j in range(9)]
    kept = [0, 1, 2, 3, 4, 5, 8]
    np.testing.assert_allclose(found.centered.vif[kept], vif(table[:, kept]).vif)
    assert len(found.condition_indices) == 8
    assert int(found.condition_indices.isinf().sum()) == 3


def test_duplicates_are_named_by_their_places_among_all() -> None:
    """The first of them is the first that is used, and not the first of all."""
    a, b = latents(np.random.default_rng(0), 60, 2).T
    found = of(np.stack([0 * a, a, b, 2 * a], axis=1))
    assert found.duplicate_of.tolist() == [-1, -1, -1, 1]


def test_latents_with_just_enough_firings_stay() -> None:
    table = np.zeros((30, 2))
    table[:10, 0], table[5:14, 1] = 1, 1
    codes = SparseCodes.from_dense(torch.from_numpy(table))
    assert sparse_collinearity(codes).centered.reasons == (Reason.NONE, Reason.TOO_FEW)


def test_one_hot_group_is_tied_by_the_intercept_alone() -> None:
    rng = np.random.default_rng(0)
    table = np.hstack([one_hot(rng, 90, 3), latents(rng, 90, 10)])
    found = assert_agrees(table)
    assert found.centered.relations == ((0, 1, 2),)
    assert found.uncentered.relations == ()
    # Two groups are one relation about the origin, and two about the mean.
    found = assert_agrees(np.hstack([table, one_hot(rng, 90, 4)]))
    assert found.centered.relations == ((0, 1, 2), (13, 14, 15, 16))
    assert found.uncentered.relations == ((0, 1, 2, 13, 14, 15, 16),)


def test_more_latents_than_samples() -> None:
    table = np.random.default_rng(0).random((6, 20))
    found = assert_agrees(table)
    assert found.centered.vif.isinf().all()
    assert found.centered.rank == 5


def test_nothing_left() -> None:
    found = of(np.zeros((4, 2)))
    assert found.centered.vif.isnan().all()
    assert found.centered.reasons == (Reason.ZERO, Reason.ZERO)
    assert found.condition_indices.tolist() == [1.0]
    assert found.centered.rank == 0


def test_exactness_is_judged_by_the_stored_type() -> None:
    x = latents(np.random.default_rng(0), 200, 4).astype(np.float32)
    table = np.hstack([x, x[:, [0]] + x[:, [1]] / 3])
    assert of(table).centered.vif.isinf().tolist() == [True, True, False, False, True]
    # In float64 the same numbers are told apart, up to the 1e12 of a Gram matrix.
    near = table.astype(np.float64)
    assert (vif(near).vif[[0, 1, 4]] > 1e12).all()
    assert of(near).centered.vif.isinf().tolist() == [True, True, False, False, True]
    near[:, 4] += 1e-4 * latents(np.random.default_rng(1), 200, 1)[:, 0]
    found, dense = of(near).centered, vif(near)
    assert 1e6 < float(dense.vif.max()) < 1e12
    assert found.reasons == dense.reasons == (Reason.NONE,) * 5
    np.testing.assert_allclose(found.vif, dense.vif, rtol=1e-4)


def test_dense_latents_are_flagged_strictly_above_the_share() -> None:
    table = np.zeros((100, 3))
    table[:10, 0], table[:11, 1], table[:50, 2] = 1, 2, 3
    found = of(table)
    assert found.dense().tolist() == [False, True, True]
    assert found.dense(0.5).tolist() == [False, False, False]


def test_progress_ends_at_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_FIRINGS_AT_ONCE", 100)
    table = latents(np.random.default_rng(0), 200, 50)
    seen: list[tuple[int, int]] = []
    of(table, report=lambda done, whole: seen.append((done, whole)))
    done = [one for one, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (1000, 1000)
    assert len(set(done)) > 20


@pytest.mark.parametrize("k", [0, 1, 2, 3, 7])
def test_progress_of_little_ends_at_the_whole(k: int) -> None:
    seen: list[tuple[int, int]] = []
    of(
        latents(np.random.default_rng(0), 200, k),
        report=lambda done, whole: seen.append((done, whole)),
    )
    assert seen[-1] == (1000, 1000)


STAGES = ("gram", "band", "chase", "factor", "inverse")


@pytest.mark.parametrize("stage", STAGES)
def test_can_be_interrupted_in_every_stage(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-C, which reaches the thread that all stages report from."""
    seen: list[str] = []

    def add(self: Work, reported: str, share: float) -> None:
        seen.append(reported)
        if reported == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(Work, "add", add)
    table = latents(np.random.default_rng(0), 200, 60)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        of(table)
    assert seen[-1] == stage
    assert list(dict.fromkeys(seen)) == list(STAGES[: STAGES.index(stage) + 1])
    assert threading.active_count() == before


def test_eigenvalues_on_a_gpu_report_both_of_their_stages() -> None:
    """By torch's own solver, which goes there in one step; a device without numbers will do."""
    seen: list[tuple[int, int]] = []
    work = Work({"band": 2.0, "chase": 1.0}, lambda done, whole: seen.append((done, whole)))
    found = symmetric_eigenvalues(torch.empty(6, 6, device="meta"), 4, 2, work)
    assert found.shape == (6,)
    assert seen == [(667, 1000), (1000, 1000)]


def test_threads_change_nothing() -> None:
    table = latents(np.random.default_rng(0), 300, 60)
    alone, threads = of(table), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together = of(table)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(together.condition_indices, alone.condition_indices, rtol=1e-10)
    np.testing.assert_allclose(together.centered.vif, alone.centered.vif, rtol=1e-10)


def test_errors() -> None:
    with pytest.raises(ConfigError, match="min_firings=-1"):
        of(np.eye(3), min_firings=-1)
    with pytest.raises(DataError, match="no samples"):
        of(np.zeros((0, 3)))
    for density in (-0.1, np.nan):
        with pytest.raises(ConfigError, match="density="):
            of(np.eye(3)).dense(density)
