"""The blocked linear algebra behind collinearity at real size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.metrics.draw import SEEDS
from toysae.diagnostics._large import gram
from toysae.diagnostics._large.cholesky import factorize, invert
from toysae.diagnostics._large.gram import _multiply_samples, scaled_gram
from toysae.diagnostics._large.spectrum import reduce_to_band, symmetric_eigenvalues
from toysae.diagnostics._large.work import Work
from toysae.metrics.codes import SparseCodes

NOISE = 1e-12


def work() -> Work:
    return Work(dict.fromkeys(("gram", "band", "chase", "factor", "inverse"), 1.0), None)


def blocks_of(matrix: Tensor, block: int, *, upper: bool) -> Tensor:
    """The matrix with NaN where it may not be read."""
    kept = torch.full_like(matrix, torch.nan)
    for first in range(0, len(matrix), block):
        rows, beyond = slice(first, first + block), slice(first, None)
        if upper:
            kept[rows, beyond] = matrix[rows, beyond]
        else:
            kept[beyond, rows] = matrix[beyond, rows]
    return kept


def correlations(seed: int, n: int) -> Tensor:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3 * n, n))
    x /= np.linalg.norm(x, axis=0)
    return torch.from_numpy(x.T @ x)


@given(SEEDS, st.integers(1, 40), st.sampled_from([(4, 1), (4, 2), (8, 4), (16, 16), (64, 8)]))
def test_eigenvalues(seed: int, n: int, sizes: tuple[int, int]) -> None:
    block, band = sizes
    matrix = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, n)))
    matrix = matrix + matrix.T
    found = symmetric_eigenvalues(blocks_of(matrix, block, upper=True), block, band, work())
    expected = torch.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(found, expected, atol=1e-12 * float(expected.abs().max()) * n)


def test_eigenvalues_of_many_tiles_on_two_threads() -> None:
    matrix, threads = correlations(0, 230), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = symmetric_eigenvalues(blocks_of(matrix, 8, upper=True), 8, 2, work())
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(found, torch.linalg.eigvalsh(matrix), atol=1e-12)


@pytest.mark.parametrize("matrix", [torch.eye(9), torch.zeros(9, 9), torch.ones(9, 9)])
def test_eigenvalues_with_nothing_to_reflect(matrix: Tensor) -> None:
    matrix = matrix.double()
    found = symmetric_eigenvalues(matrix.clone(), 4, 2, work())
    np.testing.assert_allclose(found, torch.linalg.eigvalsh(matrix), atol=1e-13)


def test_a_band_has_the_same_eigenvalues_and_room_for_bulges() -> None:
    matrix = correlations(1, 21)
    stored = reduce_to_band(blocks_of(matrix, 9, upper=True), 9, 3, work())
    assert stored.shape == (21, 6)
    assert (stored[:, 4:] == 0).all()
    band = torch.zeros(21, 21, dtype=torch.float64)
    for offset in range(4):
        band += stored[: 21 - offset, offset].diag(-offset)
    np.testing.assert_allclose(
        torch.linalg.eigvalsh(band), torch.linalg.eigvalsh(matrix), atol=1e-13
    )


@given(SEEDS, st.integers(1, 90), st.sampled_from([4, 7, 40, 100]))
def test_factor_and_inverse(seed: int, n: int, block: int) -> None:
    matrix = correlations(seed, n)
    lower = blocks_of(matrix, block, upper=False)
    assert factorize(lower, block, NOISE, work()).all()
    factor = torch.linalg.cholesky(matrix)
    np.testing.assert_allclose(lower.tril(), factor, atol=1e-10)
    invert(lower, block, work())
    np.testing.assert_allclose(lower.tril(), torch.linalg.inv(factor), atol=1e-8)


@pytest.mark.parametrize("block", [4, 8, 50, 100])
def test_dropped_columns_are_expressed_in_the_kept_ones(block: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 90))
    x[:, 40] = x[:, 3] - 2 * x[:, 11]
    x[:, 41] = x[:, 7]
    x[:, 88] = x[:, 40] + x[:, 87]
    x /= np.linalg.norm(x, axis=0)
    lower = blocks_of(torch.from_numpy(x.T @ x), block, upper=False)
    kept = factorize(lower, block, NOISE, work()).numpy()
    assert np.flatnonzero(~kept).tolist() == [40, 41, 88]
    invert(lower, block, work())
    lower = lower.tril().numpy()
    for dropped, sources in ((40, [3, 11]), (41, [7]), (88, [3, 11, 87])):
        row = lower[dropped]
        assert row[dropped] == pytest.approx(1)
        assert np.flatnonzero(np.abs(row) > 1e-8).tolist() == [*sources, dropped]
        np.testing.assert_allclose(x @ row, 0, atol=1e-12)
    inverse = (lower[kept] ** 2).sum(0)[kept]
    np.testing.assert_allclose(inverse, np.diag(np.linalg.inv(x[:, kept].T @ x[:, kept])))


def some_codes() -> tuple[np.ndarray, SparseCodes]:
    rng = np.random.default_rng(0)
    table = (rng.random((70, 11)) < 0.5) * rng.standard_normal((70, 11))
    return table, SparseCodes.from_dense(torch.from_numpy(table))


def test_gram_is_that_of_the_table_with_ones() -> None:
    table, codes = some_codes()
    found = scaled_gram(codes, 4, work())
    design = np.hstack([table, np.ones((70, 1))])
    unit = design / np.linalg.norm(design, axis=0)
    expected = torch.from_numpy(unit.T @ unit)
    for part, upper in ((found.lower, False), (found.upper, True)):
        held = ~blocks_of(expected, 4, upper=upper).isnan()
        np.testing.assert_allclose(part[held], expected[held], atol=1e-14)
    assert (found.upper.diagonal() == 1).all()
    np.testing.assert_allclose(found.lengths, np.linalg.norm(table, axis=0))
    np.testing.assert_allclose(found.cosines, unit[:, -1] @ unit[:, :-1], atol=1e-14)


def test_products_of_samples_are_those_of_firings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_SAMPLES_AT_ONCE", 16)
    table, codes = some_codes()
    design = np.hstack([table, np.ones((70, 1))])
    upper = torch.zeros(12, 12, dtype=torch.float64)
    _multiply_samples(codes, upper, work())
    np.testing.assert_allclose(upper, design.T @ design, atol=1e-12)


# Of 70 samples and 11 latents, about 35 firings each: less than one latent has, or a few.
@pytest.mark.parametrize("at_once", [1, 10, 100])
def test_shares_of_firings_make_the_same_gram(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, codes = some_codes()
    expected = scaled_gram(codes, 4, work())
    monkeypatch.setattr(gram, "_FIRINGS_AT_ONCE", at_once)
    found = scaled_gram(codes, 4, work())
    np.testing.assert_array_equal(found.lower, expected.lower)


def test_shares_hold_as_many_firings_as_one_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_FIRINGS_AT_ONCE", 5)
    firings = [2, 3, 1, 7, 4, 1, 0, 1]
    starts = np.concatenate([[0], np.cumsum(firings)])
    assert list(gram._shares(starts)) == [(0, 2), (2, 3), (3, 4), (4, 7), (7, 8)]
