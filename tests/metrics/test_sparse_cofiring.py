"""Co-firing at real size gives what the dense functions give."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import cofiring
from toysae.metrics._firing import best_cofiring, count_blocks
from toysae.metrics._tables import best_along_rows
from toysae.metrics.codes import SparseCodes

from .draw import SEEDS, firing_tables

sparse = SparseCodes.from_dense


def zipf_tables(seed: int, n_samples: int = 300) -> tuple[Tensor, Tensor]:
    """Firings of 40 and 30 latents, dense ones, rare ones and copies of each other's."""
    generator = torch.Generator().manual_seed(seed)
    frequency = 0.9 / torch.arange(1, 41)
    first = torch.rand(n_samples, 40, generator=generator) < frequency
    second = first[:, torch.randperm(40, generator=generator)[:30]].clone()
    second ^= torch.rand(n_samples, 30, generator=generator) < 0.05
    return first, second


@pytest.fixture(params=[1, 3])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(1)


@pytest.fixture(params=[7, 128])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_blocks, "_ROWS_AT_ONCE", request.param)
    monkeypatch.setattr(count_blocks, "_JOINT_FIRINGS_AT_ONCE", 5000)


def dense_best(table: Tensor, minimum: int, counts: cofiring.FiringCounts) -> tuple[Tensor, ...]:
    enough = (counts.n1 >= max(minimum, 1)) & (counts.n2 >= max(minimum, 1))
    table = table.masked_fill(~enough, torch.nan)
    return (*best_along_rows(table), *best_along_rows(table.T))


def assert_same(found: cofiring.BothWays, expected: tuple[Tensor, ...]) -> None:
    for mine, theirs in zip((*found.a_to_b, *found.b_to_a), expected, strict=True):
        assert torch.equal(mine.nan_to_num(nan=-9), theirs.nan_to_num(nan=-9))


@given(firing_tables())
def test_counts_are_the_dense_ones(tables: tuple[Tensor, Tensor]) -> None:
    dense = cofiring.firing_counts(*tables)
    found = cofiring.sparse_firing_counts(*(sparse(table.double()) for table in tables))
    assert found.n11.dtype == torch.int32
    assert found.n_samples == dense.n_samples
    for mine, theirs in zip(found[:3], dense[:3]):
        assert torch.equal(mine.long(), theirs)


@pytest.mark.usefixtures("_threads", "_blocks")
def test_counts_do_not_depend_on_threads_and_blocks() -> None:
    first, second = zipf_tables(0)
    blocks: list[tuple[int, int]] = []
    found = cofiring.sparse_firing_counts(
        sparse(first.double()), sparse(second.double()), report=lambda *done: blocks.append(done)
    )
    assert torch.equal(found.n11.long(), cofiring.firing_counts(first, second).n11)
    assert len(blocks) > 1
    assert blocks == [(i + 1, len(blocks)) for i in range(len(blocks))]


@pytest.mark.usefixtures("_threads", "_blocks")
@pytest.mark.parametrize("minimum", [0, 10])
def test_best_partners_are_those_of_the_dense_tables(minimum: int) -> None:
    first, second = zipf_tables(1)
    found = cofiring.best_cofiring(sparse(first.double()), sparse(second.double()), minimum)
    counts = cofiring.firing_counts(first, second)
    dense = cofiring.cofiring(*counts)
    assert_same(found.jaccard, dense_best(dense.jaccard, minimum, counts))
    assert_same(found.f1, dense_best(dense.dice, minimum, counts))
    assert_same(found.phi, dense_best(dense.phi, minimum, counts))
    table = cofiring.jaccard(first, second, minimum)
    assert torch.equal(found.jaccard.a_to_b.partner, table.a_to_b_index)
    assert found.jaccard.mean_b_to_a == pytest.approx(table.mean_b_to_a)
    assert (found.surviving_a, found.surviving_b) == (table.surviving_a, table.surviving_b)
    n_defined = (found.jaccard.n_defined_a, found.jaccard.n_defined_b)
    assert n_defined == tuple(int((~best.isnan()).sum()) for best in (table.a_to_b, table.b_to_a))
    assert torch.equal(found.firings_b, table.firings_b)
    assert (found.n_samples, found.minimum) == (300, max(minimum, 1))


@given(firing_tables(), st.integers(0, 3))
def test_best_partners_of_small_tables(tables: tuple[Tensor, Tensor], minimum: int) -> None:
    counts = cofiring.firing_counts(*tables)
    dense = cofiring.cofiring(*counts)
    found = cofiring.best_cofiring(*(sparse(table.double()) for table in tables), minimum)
    assert_same(found.jaccard, dense_best(dense.jaccard, minimum, counts))
    assert_same(found.f1, dense_best(dense.dice, minimum, counts))
    assert_same(found.phi, dense_best(dense.phi, minimum, counts))


@pytest.mark.usefixtures("_blocks")
def test_within_one_table_nobody_is_its_own_partner() -> None:
    first, _ = zipf_tables(2)
    first = torch.cat([first, first[:, 5:6]], dim=1)
    found = cofiring.best_cofiring_within(sparse(first.double()))
    counts = cofiring.firing_counts(first, first)
    for both, table in (
        (found.jaccard, cofiring.cofiring(*counts).jaccard),
        (found.phi, cofiring.cofiring(*counts).phi),
    ):
        assert_same(both, dense_best(table.fill_diagonal_(torch.nan), 10, counts))
        assert both.a_to_b.partner[5] == 40
        assert both.a_to_b.partner[40] == 5


@pytest.mark.usefixtures("_threads", "_blocks")
@pytest.mark.parametrize("minimum", [0, 10])
def test_ties_are_those_of_the_dense_tables(minimum: int) -> None:
    first, second = zipf_tables(6)
    second = torch.cat([second, second[:, [4, 4, 20]]], dim=1)
    found = cofiring.best_cofiring_ties(sparse(first.double()), sparse(second.double()), minimum)
    counts = cofiring.firing_counts(first, second)
    enough = (counts.n1 >= max(minimum, 1)) & (counts.n2 >= max(minimum, 1))
    for ties, best, table in (
        (found.jaccard, found.best.jaccard, cofiring.cofiring(*counts).jaccard),
        (found.phi, found.best.phi, cofiring.cofiring(*counts).phi),
        (found.f1, found.best.f1, cofiring.cofiring(*counts).dice),
    ):
        table = table.masked_fill(~enough, torch.nan)
        rows, columns = best.a_to_b.similarity, best.b_to_a.similarity
        in_row = ((table - rows[:, None]).abs() < 1e-6).sum(1) - 1
        in_column = ((table - columns).abs() < 1e-6).sum(0) - 1
        assert torch.equal(ties.a_to_b, in_row.clamp(min=0))
        assert torch.equal(ties.b_to_a, in_column.clamp(min=0))
        assert ties.n_a == int((in_row > 0).sum()) > 0
        assert ties.n_b == int((in_column > 0).sum())


def test_ties_by_hand() -> None:
    """Two copies of one latent, which all fire with the same one of two."""
    first = sparse(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 0]]))
    second = sparse(torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    found = cofiring.best_cofiring_ties(first, second, 1)
    assert found.jaccard.a_to_b.tolist() == [1, 1]
    assert found.jaccard.b_to_a.tolist() == [0, 0, 0]
    assert (found.phi.n_a, found.phi.n_b) == (2, 0)
    assert found.best.jaccard.a_to_b.partner.tolist() == [0, 0]
    swapped = cofiring.best_cofiring_ties(second, first, 1)
    assert (swapped.jaccard.a_to_b.tolist(), swapped.jaccard.b_to_a.tolist()) == ([0, 0, 0], [1, 1])
    assert (swapped.phi.n_a, swapped.phi.n_b) == (0, 2)


def test_opposites_are_each_others_best_where_there_is_no_other() -> None:
    one, other = (sparse(torch.tensor(column)[:, None]) for column in ([1.0, 0.0], [0.0, 1.0]))
    best = cofiring.best_cofiring(one, other, 1).phi
    assert (best.a_to_b.similarity.item(), best.b_to_a.similarity.item()) == (-1, -1)
    assert (best.a_to_b.partner.item(), best.b_to_a.partner.item()) == (0, 0)


def test_a_swap_swaps_the_directions() -> None:
    first, second = (sparse(table.double()) for table in zipf_tables(3))
    forth, back = cofiring.best_cofiring(first, second), cofiring.best_cofiring(second, first)
    assert torch.equal(forth.phi.a_to_b.partner, back.phi.b_to_a.partner)
    assert torch.equal(forth.jaccard.b_to_a.partner, back.jaccard.a_to_b.partner)


@pytest.mark.usefixtures("_threads", "_blocks")
@pytest.mark.parametrize(
    ("coefficient", "above"), [("jaccard", 0.1), ("dice", 0.25), ("phi", -0.02), ("phi", 0.3)]
)
def test_pairs_are_those_of_the_dense_table(
    coefficient: best_cofiring.Coefficient, above: float
) -> None:
    first, second = zipf_tables(4)
    found = cofiring.cofiring_pairs(
        sparse(first.double()), sparse(second.double()), above, coefficient
    )
    counts = cofiring.firing_counts(first, second)
    enough = (counts.n1 >= 10) & (counts.n2 >= 10)
    table = getattr(cofiring.cofiring(*counts), coefficient).masked_fill(~enough, torch.nan)
    expected = (table > above).nonzero()
    assert len(expected) > 10
    assert torch.equal(torch.stack([found.rows, found.columns], dim=1), expected)
    assert torch.equal(found.value, table[found.rows, found.columns])
    assert torch.equal(found.n11.long(), counts.n11[found.rows, found.columns])
    assert found.n_pairs == int(enough.sum())
    assert found.share == len(expected) / found.n_pairs


def test_the_threshold_of_pairs_is_strict() -> None:
    fires = sparse(torch.eye(2).repeat(10, 1))
    assert cofiring.cofiring_pairs(fires, fires, 0.5).rows.tolist() == [0, 1]
    assert cofiring.cofiring_pairs(fires, fires, 1.0).rows.tolist() == []
    assert cofiring.cofiring_pairs(fires, fires, -1.0, "phi").columns.tolist() == [0, 1]


@given(SEEDS)
def test_tables_and_kernels_agree(seed: int) -> None:
    """The path of GPUs, here on the CPU, and the compiled one."""
    first, second = (sparse(table.double()) for table in zipf_tables(seed, 60))
    rows = slice(3, 19)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count_blocks, "_GPU_SAMPLES_AT_ONCE", 17)
        products = count_blocks.count_by_products(first, second, rows)
    counts = cofiring.sparse_firing_counts(first, second).n11[rows]
    assert torch.equal(products, counts)
    for kind in range(3):
        block = best_cofiring.Block(kind, first, second, 4)
        compiled = block.best_compiled(rows, counts, True)
        for mine, theirs in zip(compiled, block.best_by_table(rows, counts, True)):
            assert torch.equal(mine, theirs)
        pairs = block.pairs_compiled(rows, counts, 0.1)
        for mine, theirs in zip(pairs, block.pairs_by_table(rows, counts, 0.1)):
            assert torch.equal(mine, theirs)


def test_an_interrupt_stops_the_work() -> None:
    first, second = (sparse(table.double()) for table in zipf_tables(5))

    def interrupt(done: int, n_blocks: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cofiring.best_cofiring(first, second, report=interrupt)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (5, 3)])
def test_without_firings(shape: tuple[int, int]) -> None:
    silent, other = sparse(torch.zeros(shape)), sparse(torch.ones(shape[0], 2))
    found = cofiring.best_cofiring(silent, other)
    assert found.phi.a_to_b.similarity.isnan().all()
    assert (found.phi.n_defined_a, found.phi.n_defined_b) == (0, 0)
    assert found.jaccard.b_to_a.partner.tolist() == [-1, -1]
    assert math.isnan(cofiring.cofiring_pairs(silent, other, 0.1).share)
    ties = cofiring.best_cofiring_ties(silent, other).phi
    assert (ties.n_a, ties.b_to_a.tolist()) == (0, [0, 0])
    counts = cofiring.sparse_firing_counts(silent, other)
    assert torch.equal(counts.n11, torch.zeros(shape[1], 2, dtype=torch.int32))


def test_bad_input_is_refused() -> None:
    first, second = sparse(torch.ones(4, 2)), sparse(torch.ones(3, 2))
    for call in (
        lambda: cofiring.best_cofiring(first, second),
        lambda: cofiring.sparse_firing_counts(first, second),
        lambda: cofiring.cofiring_pairs(first, second, 0.1),
    ):
        with pytest.raises(ShapeError, match="a has 4 samples and b has 3"):
            call()
    with pytest.raises(ShapeError, match="minimum=-1"):
        cofiring.best_cofiring(first, first, -1)
    with pytest.raises(ShapeError, match="expected one of jaccard, dice, phi"):
        cofiring.cofiring_pairs(first, first, 0.1, "cosine")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="above=nan"):
        cofiring.cofiring_pairs(first, first, math.nan)
