from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.pca import alignment, pca
from toysae.diagnostics.streaming import Moments, batch_moments, merge_moments, pca_of_moments
from toysae.errors import DataError, ShapeError


def streamed(x: np.ndarray, *cuts: int) -> Moments:
    first, *others = (batch_moments(part) for part in np.split(x, cuts))
    for other in others:
        first = merge_moments(first, other)
    return first


def test_merged_by_hand() -> None:
    # {0, 2} and {5}: mean 7/3, and squares 4 + 0 + 25 - 3 * 49/9 = 38/3.
    found = merge_moments(batch_moments(np.array([[0.0], [2.0]])), batch_moments(np.array([[5.0]])))
    assert found.n_samples == 3
    assert float(found.mean[0]) == pytest.approx(7 / 3)
    assert float(found.scatter[0, 0]) == pytest.approx(38 / 3)
    assert float(found.covariance()[0, 0]) == pytest.approx(19 / 3)
    assert float(found.second_moment()[0, 0]) == pytest.approx(29 / 3)


def test_two_samples_have_one_component() -> None:
    found = pca_of_moments(streamed(np.array([[0.0, 3.0], [4.0, 6.0]]), 1))
    assert found.eigenvalues.tolist() == pytest.approx([12.5, 0])
    assert found.components[0].abs().tolist() == pytest.approx([0.8, 0.6])


@given(st.integers(0, 2**32 - 1), st.integers(1, 19), st.booleans())
def test_batches_are_one_sample(seed: int, cut: int, centered: bool) -> None:
    x = np.random.default_rng(seed).standard_normal((20, 3)) * [5, 2, 1] + [1, -2, 3]
    found, whole = pca_of_moments(streamed(x, cut), centered=centered), pca(x, centered=centered)
    for name in (
        "eigenvalues",
        "mean",
        "explained_variance_ratio",
        "cumulative_variance_ratio",
    ):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-9)
    for name in ("participation_ratio", "effective_rank", "stable_rank", "n_samples"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    same = alignment(found.components, whole.components).diagonal()
    np.testing.assert_allclose(same, 1, atol=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    x = np.random.default_rng(0).standard_normal((3000, 2))
    far = pca_of_moments(streamed(x + 2.0**30, 1000, 2000))
    near = pca_of_moments(streamed(x, 1000, 2000))
    np.testing.assert_allclose(far.eigenvalues, near.eigenvalues, rtol=1e-6)


def test_half_precision_batches_are_summed_in_double() -> None:
    x = torch.full((4096, 1), 0.1, dtype=torch.bfloat16)
    x[0] = 0
    found = merge_moments(batch_moments(x), batch_moments(x))
    assert float(found.mean[0]) == pytest.approx(float(x[1, 0]) * 4095 / 4096, rel=1e-12)


def test_degenerate_moments() -> None:
    constant = pca_of_moments(streamed(np.full((4, 2), 0.3), 2))
    assert constant.eigenvalues.tolist() == [0, 0]
    assert math.isnan(constant.participation_ratio)
    assert torch.isnan(batch_moments(np.ones((1, 2))).covariance()).all()


def test_errors() -> None:
    with pytest.raises(ShapeError, match="2 and 3 dimensions"):
        merge_moments(batch_moments(np.ones((1, 2))), batch_moments(np.ones((1, 3))))
    with pytest.raises(ShapeError, match="at least 2"):
        pca_of_moments(batch_moments(np.ones((1, 2))))
    with pytest.raises(DataError, match="NaN"):
        batch_moments(np.array([[np.nan]]))
