"""Best partners found through float32 are those of the whole table in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toysae.metrics import dictionary
from toysae.metrics._dictionaries import best_partners as module
from toysae.metrics._dictionaries.best_partners import best_partners, screen
from toysae.metrics._dictionaries.screening import rounding
from toysae.metrics._directions import Directions, Partners, unit_rows_of_pair

from .draw import SEEDS, normal


@pytest.fixture
def always_screened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW_PAIRS", 0)


def assert_best(found: Partners, table: Tensor, others: Directions) -> None:
    """As large as the largest up to rounding in float64, and the first of exact copies."""
    best = table.amax(dim=1)
    torch.testing.assert_close(found.similarity, best, rtol=0, atol=1e-14)
    chosen = table.gather(1, found.partner[:, None])[:, 0]
    assert bool((chosen >= best - 1e-14).all())
    copies = (others.unit[found.partner][:, None] == others.unit).all(dim=2)
    assert torch.equal(found.partner, copies.int().argmax(dim=1))


def assert_best_both_ways(
    a: Tensor, b: Tensor, similarity: Callable[[Tensor], Tensor], block: int = 4096
) -> None:
    ours, theirs = unit_rows_of_pair(a, b)
    forth, back = best_partners(ours, theirs, block=block, similarity=similarity)
    table = similarity((ours.unit @ theirs.unit.T).clamp(-1, 1))
    assert_best(forth, table, theirs)
    assert_best(back, table.T, ours)


def crowded(seed: int, n: int, m: int, d: int, spread: float) -> tuple[Tensor, Tensor]:
    """Rows so close to a few centres that float32 does not tell their cosines apart, and copies."""
    centres, chosen = normal(seed, 5, d), torch.arange(n + m) * 7919 % 5
    rows = centres[chosen] + spread * normal(seed + 1, n + m, d)
    rows[n + m // 2] = rows[n + 1]
    rows[n - 1] = rows[0]
    return rows[:n], rows[n:]


@pytest.mark.usefixtures("always_screened")
@pytest.mark.parametrize("similarity", [torch.positive, torch.abs])
class TestScreened:
    # Several tiles, of which the last of a row and of a column are not full.
    @pytest.mark.parametrize(("n", "m"), [(700, 2500), (2500, 700), (256, 257), (1, 300)])
    def test_independent_rows(self, n: int, m: int, similarity: Callable[[Tensor], Tensor]) -> None:
        assert_best_both_ways(normal(1, n, 24), normal(2, m, 24), similarity)

    @pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-7, 0.0])
    def test_near_ties_are_resolved_in_float64(
        self, spread: float, similarity: Callable[[Tensor], Tensor]
    ) -> None:
        assert_best_both_ways(*crowded(3, 600, 900, 16, spread), similarity)

    def test_rows_in_blocks(self, similarity: Callable[[Tensor], Tensor]) -> None:
        assert_best_both_ways(*crowded(4, 300, 520, 8, 1e-5), similarity, block=7)

    @settings(max_examples=15)
    @given(SEEDS, st.integers(1, 600), st.integers(1, 600), st.integers(1, 6))
    def test_any_shape(
        self, similarity: Callable[[Tensor], Tensor], seed: int, n: int, m: int, d: int
    ) -> None:
        rows = normal(seed % 2**31, n + m, d)
        assert_best_both_ways(rows[:n], rows[n:], similarity)


@pytest.mark.usefixtures("always_screened")
def test_the_second_best_in_float32_wins_in_float64() -> None:
    """Cosines that differ by 2e-9, the better one far away: float32 cannot know."""
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(1000, 1)
    b[10] = torch.tensor([1.0, 1e-4])
    b[900] = torch.tensor([1.0, 0.7e-4])
    assert (b[10] / b[10].norm()).float()[0] == (b[900] / b[900].norm()).float()[0]
    best = dictionary.max_cosine(a, b)
    assert best.a_to_b_index.tolist() == [900]
    assert best.a_to_b.item() == pytest.approx(1 - 0.7e-4**2 / 2, abs=1e-13)


@pytest.mark.usefixtures("always_screened")
def test_zero_and_dead_rows_keep_their_places() -> None:
    a, b = normal(5, 300, 4), normal(6, 400, 4)
    a[17] = 0
    alive = torch.ones(400, dtype=torch.bool)
    alive[100:350] = False
    best = dictionary.max_cosine(a, b, alive_b=alive)
    table = dictionary.cosine_matrix(a, b)
    table[:, ~alive] = -torch.inf
    some = torch.arange(300) != 17
    assert torch.equal(best.a_to_b_index[some], table[some].max(dim=1).indices)
    assert best.a_to_b_index[17] == -1
    assert best.a_to_b[17].isnan()
    assert bool((best.b_to_a_index[100:350] == -1).all())
    assert 17 not in best.b_to_a_index
    assert torch.equal(
        best.b_to_a_index[alive],
        table[some][:, alive].max(dim=0).indices + (table[some][:, alive].max(dim=0).indices >= 17),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.usefixtures("always_screened")
def test_low_precision_is_taken_as_it_is(dtype: torch.dtype) -> None:
    a, b = normal(7, 300, 12).to(dtype), normal(8, 500, 12).to(dtype)
    exact = dictionary.cosine_matrix(a.double(), b.double())
    best = dictionary.max_cosine(a, b)
    torch.testing.assert_close(best.a_to_b, exact.amax(dim=1), rtol=0, atol=1e-12)
    torch.testing.assert_close(best.b_to_a, exact.amax(dim=0), rtol=0, atol=1e-12)


@pytest.mark.usefixtures("always_screened")
def test_mutual_nearest_through_float32() -> None:
    a = normal(9, 700, 16)
    b = a[torch.randperm(700, generator=torch.Generator().manual_seed(0))] + 0.1 * normal(
        1, 700, 16
    )
    table = dictionary.cosine_matrix(a, b)
    forth, back = table.argmax(dim=1), table.argmax(dim=0)
    mutual = dictionary.mutual_nearest(a, b)
    expected = [i for i in range(700) if back[forth[i]] == i]
    assert mutual.rows.tolist() == expected
    assert mutual.cols.tolist() == forth[expected].tolist()


def test_large_dictionaries_are_screened_and_small_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screened: list[int] = []

    def noted(a: Tensor, *others: object) -> module.Peaks:
        screened.append(len(a))
        return screen(a, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "screen", noted)
    dictionary.max_cosine(normal(0, 1024, 2), normal(1, 4096, 2))
    assert screened == []
    dictionary.max_cosine(normal(0, 1025, 2), normal(1, 4096, 2))
    assert screened == [1025]


def test_report_counts_tiles() -> None:
    told: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        told.append((done, total))

    a, b = unit_rows_of_pair(normal(0, 2049, 2), normal(1, 2049, 2))
    best_partners(a, b, block=4096, similarity=torch.positive, report=report)
    assert told == [(done, 10) for done in range(1, 11)]


def kept_rows(rows: Tensor) -> Directions:
    return unit_rows_of_pair(rows, rows)[0]


class TestRounding:
    @pytest.mark.parametrize("d", [2, 64, 768])
    def test_float32_is_within_its_bound(self, d: int) -> None:
        a, b = kept_rows(normal(0, 300, d)).unit, kept_rows(normal(1, 300, d)).unit
        off = ((a.float() @ b.float().T).double() - a @ b.T).abs().max().item()
        assert 0 < off <= rounding(d)

    def test_value(self) -> None:
        assert rounding(764) == 768 / 2**23

    def test_lower_precision_of_products_is_allowed_for(self) -> None:
        before = torch.get_float32_matmul_precision()
        try:
            torch.set_float32_matmul_precision("high")
            assert rounding(764) == 768 / 2**23 + 2**-9
            torch.set_float32_matmul_precision("medium")
            assert rounding(764) == 768 / 2**23 + 2**-7
        finally:
            torch.set_float32_matmul_precision(before)
