from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.generators.coefficients import (
    DenseCoefficients,
    SparseCoefficients,
    by_sample,
    concatenate,
)


@st.composite
def dense_values(draw, n_features=None):
    n = draw(st.integers(0, 6))
    k = n_features or draw(st.integers(1, 5))
    cells = st.sampled_from((0.0, 0.0, 0.5, 1.0, 2.5))
    values = draw(st.lists(cells, min_size=n * k, max_size=n * k))
    return torch.tensor(values).reshape(n, k)


def shuffled(sparse, seed=0):
    """The same firings, in another order within each sample."""
    order = torch.randperm(len(sparse.features), generator=torch.Generator().manual_seed(seed))
    order = order[sparse.samples[order].argsort(stable=True)]
    return SparseCoefficients(
        sparse.offsets, sparse.features[order], sparse.values[order], sparse.feature_count
    )


@given(dense_values())
def test_dense_and_sparse_say_the_same(values):
    sparse = DenseCoefficients(values).sparse()
    assert (sparse.n_samples, sparse.n_features) == values.shape
    assert torch.equal(sparse.dense(), values)
    assert bool((sparse.values > 0).all())
    assert torch.equal(shuffled(sparse).dense(), values)


def test_a_list_of_firings_by_hand():
    coefficients = SparseCoefficients(
        torch.tensor([0, 2, 2, 3]), torch.tensor([2, 0, 1]), torch.tensor([0.5, 1.0, 2.0]), 3
    )
    assert coefficients.samples.tolist() == [0, 0, 2]
    assert coefficients.dense().tolist() == [[1.0, 0, 0.5], [0, 0, 0], [0, 2.0, 0]]


@given(dense_values(), st.data())
def test_rows_are_those_of_the_dense_table(values, data):
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    for coefficients in (DenseCoefficients(values), DenseCoefficients(values).sparse()):
        part = coefficients.rows(start, stop)
        assert torch.equal(part.dense(), values[start:stop])
        assert torch.equal(part.sparse().dense(), values[start:stop])


@given(st.lists(dense_values(n_features=3), min_size=1, max_size=4), st.booleans())
def test_concatenated_samples(parts, first_sparse):
    coefficients = [DenseCoefficients(part) for part in parts]
    if first_sparse:
        coefficients = [coefficients[0].sparse(), *coefficients[1:]]
    whole = concatenate(coefficients)
    assert torch.equal(whole.dense(), torch.cat(parts))
    assert isinstance(whole, SparseCoefficients) == first_sparse


@pytest.mark.parametrize("n_features", [3, 400])
def test_combination_is_the_matrix_product(n_features):
    """Few features a firing go through the dense product, many through a sum of rows."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(50, n_features, generator=generator)
    values *= torch.rand(50, n_features, generator=generator) < 0.05
    directions = torch.randn(n_features, 7, generator=generator)
    expected = values.double() @ directions.double()
    for coefficients in (DenseCoefficients(values), DenseCoefficients(values).sparse()):
        found = coefficients.combine(directions)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_samples_in_which_nothing_fires_are_zero():
    silent = DenseCoefficients(torch.zeros(2, 1000)).sparse()
    assert torch.equal(silent.combine(torch.ones(1000, 3)), torch.zeros(2, 3))
    assert torch.equal(silent.to(torch.device("cpu")).dense(), torch.zeros(2, 1000))


class TestBySample:
    def test_golden(self):
        offsets, order = by_sample(torch.tensor([2, 0, 2, 3, 0]), 5)
        assert offsets.tolist() == [0, 2, 2, 4, 5, 5]
        assert order.tolist() == [1, 4, 0, 2, 3]

    def test_nothing(self):
        offsets, order = by_sample(torch.zeros(0, dtype=torch.int64), 2)
        assert offsets.tolist() == [0, 0, 0]
        assert order.tolist() == []
