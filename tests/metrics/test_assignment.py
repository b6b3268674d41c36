"""The matching of large dictionaries is that of the whole table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from toysae.metrics import dictionary
from toysae.metrics._dictionaries import assignment, matching
from toysae.metrics._dictionaries.assignment import heaviest_matching
from toysae.metrics._dictionaries.augment_kernel import settle_rows

from .draw import SEEDS, normal

ROUNDING = 1e-9


@pytest.fixture
def sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse candidates whatever the size, in several tiles."""
    monkeypatch.setattr(matching, "FEW_PAIRS", -1)
    monkeypatch.setattr(assignment, "_EDGE", 64)


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def best_total(table: Tensor) -> float:
    gain = table.clamp(min=0).numpy()
    return float(gain[linear_sum_assignment(gain, maximize=True)].sum())


def assert_optimal(
    a: Tensor, b: Tensor, similarity: Callable[[Tensor], Tensor] = torch.positive
) -> None:
    a, b = unit(a), unit(b)
    found = heaviest_matching(a, b, similarity)
    table = similarity((a @ b.T).clamp(-1, 1))
    total = found.gain.sum().item()
    assert total == pytest.approx(best_total(table), abs=ROUNDING)
    assert found.price == pytest.approx(total, abs=ROUNDING)
    assert found.price >= best_total(table) - 1e-12 * len(a)
    assert len(found.rows.unique()) == len(found.rows) == len(found.columns.unique())
    assert torch.equal(found.rows, found.rows.sort().values)
    torch.testing.assert_close(found.gain, table[found.rows, found.columns], rtol=0, atol=1e-12)
    assert bool((found.gain > 0).all())


@pytest.mark.usefixtures("sparse")
@pytest.mark.parametrize("similarity", [torch.positive, torch.abs])
class TestOptimal:
    @pytest.mark.parametrize(("n", "m"), [(300, 300), (150, 400), (400, 150), (1, 200), (64, 65)])
    @pytest.mark.parametrize("d", [2, 40])
    def test_independent_rows(
        self, n: int, m: int, d: int, similarity: Callable[[Tensor], Tensor]
    ) -> None:
        assert_optimal(normal(1, n, d), normal(2, m, d), similarity)

    @pytest.mark.parametrize("noise", [0.1, 1.0, 3.0])
    def test_found_again_in_another_order(
        self, noise: float, similarity: Callable[[Tensor], Tensor]
    ) -> None:
        a = normal(3, 250, 30)
        b = a[torch.from_numpy(np.random.default_rng(0).permutation(250))]
        assert_optimal(a, b + noise * normal(4, 250, 30), similarity)

    @pytest.mark.parametrize("n_different", [1, 3, 40])
    def test_copies(self, n_different: int, similarity: Callable[[Tensor], Tensor]) -> None:
        rows, rng = normal(5, n_different, 10), np.random.default_rng(1)
        a = rows[torch.from_numpy(rng.integers(n_different, size=200))]
        b = rows[torch.from_numpy(rng.integers(n_different, size=260))]
        assert_optimal(a, b, similarity)

    @settings(max_examples=10)
    @given(SEEDS, st.integers(1, 150), st.integers(1, 150), st.integers(1, 5), st.booleans())
    def test_any_shape(
        self,
        similarity: Callable[[Tensor], Tensor],
        seed: int,
        n: int,
        m: int,
        d: int,
        rounded: bool,
    ) -> None:
        rows = normal(seed, n + m, d)
        if rounded:  # Ties.
            rows = rows.round() + torch.eye(d, dtype=torch.float64)[0] / 2
        assert_optimal(rows[:n], rows[n:], similarity)


@pytest.mark.usefixtures("sparse")
class TestHungarian:
    def test_is_that_of_the_table_and_says_so(self) -> None:
        a, b = normal(0, 120, 20), normal(1, 90, 20)
        a[5] = 0
        alive = torch.ones(90, dtype=torch.bool)
        alive[30:40] = False
        matching = dictionary.hungarian(a, b, alive_b=alive)
        table = dictionary.cosine_matrix(a, b).nan_to_num(nan=0.0)
        table[:, ~alive] = 0
        assert matching.total == pytest.approx(best_total(table), abs=ROUNDING)
        assert 0 <= matching.bound < ROUNDING
        assert (matching.n_rows, matching.n_cols) == (119, 80)
        assert 5 not in matching.rows
        assert not bool(((matching.cols >= 30) & (matching.cols < 40)).any())
        torch.testing.assert_close(
            matching.cosine, table[matching.rows, matching.cols], rtol=0, atol=1e-12
        )

    def test_absolute(self) -> None:
        a = normal(0, 100, 8)
        matching = dictionary.hungarian_abs(a, -a)
        assert matching.mean_over_max == pytest.approx(1)
        assert dictionary.hungarian(a[:1], -a[:1]).n_matched == 0

    def test_orthogonal_rows_are_no_match(self) -> None:
        rows = torch.eye(200, dtype=torch.float64)
        matching = dictionary.hungarian(rows[:150], rows[100:])
        assert matching.rows.tolist() == list(range(100, 150))
        assert matching.cols.tolist() == list(range(50))
        assert matching.bound == 0

    def test_negligible_pairs_are_no_match_and_count_in_the_bound(self) -> None:
        a = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
        b = torch.tensor([[1.0, 0.0, 0.0], [0.0, 5e-7, 1.0]], dtype=torch.float64)
        matching = dictionary.hungarian(a, b)
        assert matching.rows.tolist() == [0]
        assert matching.bound == pytest.approx(5e-7, rel=1e-6)

    def test_of_decoders_and_encoders(self) -> None:
        a, b = (normal(seed, 100, 12) for seed in (0, 1))
        c, d = (normal(seed, 100, 15) for seed in (2, 3))
        c[3] = 0
        found = dictionary.matching_agreement(a, b, c, d)
        decoder, encoder = dictionary.cosine_matrix(a, b), dictionary.cosine_matrix(c, d)
        assert found.decoder_cosine.sum().item() == pytest.approx(best_total(decoder))
        rows = torch.arange(100)
        expected = encoder[rows, found.decoder_match]
        torch.testing.assert_close(
            found.encoder_cosine_at_decoder_match, expected, equal_nan=True, rtol=0, atol=1e-12
        )
        assert found.encoder_match[3] == -1
        assert found.n_defined == 99
        joint = dictionary.joint_matching(a, b, c, d)
        assert joint.total == pytest.approx(best_total(((decoder + encoder) / 2).nan_to_num()))
        assert 3 not in joint.rows


def test_small_tables_are_solved_whole() -> None:
    assert dictionary.hungarian(normal(0, 30, 4), normal(1, 20, 4)).bound == 0


def test_large_dictionaries_take_the_sparse_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "cosines", None)
    a = normal(0, 1025, 6)
    found = dictionary.hungarian(a, a.flip(0))
    assert found.cols.tolist() == list(range(1024, -1, -1))
    with pytest.raises(TypeError):
        dictionary.hungarian(a[:1024], a[:1024])


def test_report_counts_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_EDGE", 64)
    told: list[tuple[int, int]] = []
    a, b = unit(normal(0, 130, 3)), unit(normal(1, 65, 3))
    heaviest_matching(a, b, torch.positive, lambda *done: told.append(done))
    # Six tiles of proposals, what solving says in between, and six in each look for dearer pairs.
    assert told[:7] == [(done, told[0][1]) for done in (1, 2, 3, 4, 5, 6, 6)]
    assert told[0][1] == 12
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total % 6 for _, total in told} == {0}
    assert all(done <= total for done, total in told)
    assert told[-1][0] == told[-1][1]


def test_further_rounds_are_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_EDGE", 64)
    told: list[tuple[int, int]] = []
    # Copies of one row all want the same partners: what the tiles propose is not enough.
    a, b = unit(normal(0, 1, 8)).expand(60, 8), unit(normal(1, 200, 8))
    heaviest_matching(a, b, torch.positive, lambda *done: told.append(done))
    assert told[-1][0] == told[-1][1] > 2 * 4


class TestSettleRows:
    """The kernel alone, on sparse graphs."""

    @staticmethod
    def graph(gain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, column = np.nonzero(gain > 0)
        starts = np.searchsorted(row, np.arange(len(gain) + 1))
        return starts, column, gain[row, column]

    @given(SEEDS, st.integers(1, 7), st.integers(1, 7), st.integers(0, 40))
    def test_prices_prove_the_best_of_all_matchings(
        self, seed: int, n: int, m: int, most_pairs: int
    ) -> None:
        rng = np.random.default_rng(seed)
        gain = rng.integers(-3, 5, size=(n, m)).clip(0).astype(float)
        row_price, column_price = gain.max(axis=1), np.zeros(m)
        column_of, row_of = np.full(n, -1), np.full(m, -1)
        settled, calls = 0, 0
        while settled < n:
            settled = settle_rows(
                self.graph(gain), (row_price, column_price), column_of, row_of, settled, most_pairs
            )
            calls += 1
        assert calls <= n
        matched = [(i, j) for i, j in enumerate(column_of) if j >= 0]
        assert all(row_of[j] == i for i, j in matched)
        assert (row_of >= 0).sum() == len(matched)
        total = sum(gain[pair] for pair in matched)
        assert total == gain[linear_sum_assignment(gain, maximize=True)].sum()
        assert row_price.sum() + column_price.sum() == total
        assert min(row_price.min(), column_price.min()) >= 0
        assert (row_price[:, None] + column_price >= gain).all()
