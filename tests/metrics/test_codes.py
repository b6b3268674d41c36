from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import codes as module
from toysae.metrics.codes import SparseCodes

from .draw import SEEDS, normal, tensor

TABLE = tensor([[0, 2, 0], [0, 0, 0], [-1, 0, 3]])


def codes_of(offsets: list[int], latents: list[int], n_latents: int = 3) -> SparseCodes:
    values = torch.ones(len(latents))
    return SparseCodes(
        torch.tensor(offsets), torch.tensor(latents, dtype=torch.int32), values, n_latents
    )


def test_from_dense() -> None:
    codes = SparseCodes.from_dense(TABLE)
    assert codes.offsets.tolist() == [0, 1, 1, 3]
    assert codes.latents.tolist() == [1, 0, 2]
    assert codes.values.tolist() == [2, -1, 3]
    assert codes.firings.tolist() == [1, 1, 1]
    assert (codes.n_samples, codes.n_latents) == (3, 3)
    assert torch.equal(codes.dense(), TABLE)
    assert SparseCodes.from_dense(TABLE, 2).latents.tolist() == [2]


@given(SEEDS, st.integers(0, 12), st.integers(0, 6))
def test_there_and_back(seed: int, n: int, m: int) -> None:
    table = normal(seed, n, m).clamp(min=0)
    assert torch.equal(SparseCodes.from_dense(table).dense(), table)


def test_more_samples_than_are_read_at_once() -> None:
    table = torch.zeros(20_000, 2)
    table[::7, 1] = 1
    assert torch.equal(SparseCodes.from_dense(table).dense(), table)


def test_from_top_k() -> None:
    latents = torch.tensor([[2, 0], [1, 1], [0, 1]])
    values = tensor([[3, -1], [0, 2], [0, 0]])
    codes = SparseCodes.from_top_k(latents, values, 3)
    assert codes.dense().tolist() == [[-1, 0, 3], [0, 2, 0], [0, 0, 0]]
    with pytest.raises(DataError, match="twice"):
        SparseCodes.from_top_k(torch.tensor([[1, 1]]), tensor([[1, 2]]), 3)
    with pytest.raises(DataError, match="NaN"):
        SparseCodes.from_top_k(torch.tensor([[1]]), tensor([[math.nan]]), 3)
    with pytest.raises(ShapeError, match="expected the same"):
        SparseCodes.from_top_k(torch.tensor([[1]]), tensor([[1, 2]]), 3)


def test_by_latent() -> None:
    firings = SparseCodes.from_dense(tensor([[0, 2, 5], [0, 4, 0], [-1, 0, 3]])).by_latent()
    assert firings.offsets.tolist() == [0, 1, 3, 5]
    assert firings.samples.tolist() == [2, 0, 1, 0, 2]
    assert firings.places.tolist() == [3, 0, 2, 1, 4]


@pytest.mark.parametrize("firings_at_once", [1, 2, 5, 1000])
@given(seed=SEEDS)
def test_by_latent_is_the_transpose(firings_at_once: int, seed: int) -> None:
    table = (normal(seed, 9, 5) - 0.3).clamp(min=0)
    codes = SparseCodes.from_dense(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FIRINGS_AT_ONCE", firings_at_once)
        firings = codes.by_latent()
    transposed = SparseCodes.from_dense(table.T)
    # The way of GPUs, here on the CPU.
    sorted_firings = codes._by_sorting()
    assert torch.equal(sorted_firings.samples, firings.samples)
    assert torch.equal(sorted_firings.places, firings.places)
    assert torch.equal(sorted_firings.offsets, firings.offsets)
    assert torch.equal(firings.offsets, transposed.offsets)
    assert torch.equal(firings.samples, transposed.latents)
    assert torch.equal(codes.values[firings.places], transposed.values)


@pytest.mark.parametrize("table", [torch.ones(0, 3), torch.zeros(4, 3), torch.ones(4, 0)])
def test_without_firings(table: Tensor) -> None:
    codes = SparseCodes.from_dense(table)
    firings = codes.by_latent()
    assert firings.offsets.tolist() == [0] * (table.shape[1] + 1)
    assert len(firings.samples) == len(firings.places) == 0
    assert torch.equal(codes.dense(), table)


def test_damaged_codes_are_refused() -> None:
    codes_of([0, 2, 3], [0, 2, 0])
    with pytest.raises(ShapeError, match="offsets run from 0 to 2"):
        codes_of([0, 2], [0, 1, 2])
    with pytest.raises(ShapeError, match="from 0 to 3"):
        codes_of([0, 2], [0, 3])
    with pytest.raises(ShapeError, match="latents from -1"):
        codes_of([0, 2], [-1, 0])
    for latents in ([1, 1, 2], [1, 0, 2]):
        with pytest.raises(DataError, match="do not ascend"):
            codes_of([0, 2, 3], latents)
    with pytest.raises(DataError, match="do not ascend"):
        codes_of([0, 2, 1, 3], [0, 1, 2])
    with pytest.raises(ShapeError, match="int32"):
        SparseCodes(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), 1)
    with pytest.raises(ShapeError, match="offsets of shape"):
        SparseCodes(torch.zeros(0).long(), torch.zeros(0).int(), torch.zeros(0), 1)
    with pytest.raises(ShapeError, match="one entry an activation"):
        SparseCodes(torch.tensor([0, 1]), torch.tensor([0]).int(), torch.ones(2), 1)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(wrong: float) -> None:
    with pytest.raises(DataError, match="values: 1 of 2 values are NaN or infinite"):
        SparseCodes(torch.tensor([0, 2]), torch.tensor([0, 1]).int(), tensor([1, wrong]), 2)


def test_an_explicit_zero_is_no_firing_and_refused() -> None:
    for zero in (0.0, -0.0):
        with pytest.raises(DataError, match="values: 1 of 3 are 0, which is not firing"):
            SparseCodes(
                torch.tensor([0, 2, 3]), torch.tensor([0, 1, 1]).int(), tensor([1, zero, 2]), 2
            )
