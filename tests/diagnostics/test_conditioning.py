from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics._belsley import Belsley
from toysae.diagnostics.collinearity import condition_indices
from toysae.diagnostics.conditioning import centered_condition_indices, harmful_relations
from toysae.errors import ConfigError, DataError

from ._designs import LONGLEY, SMALL, with_correlation


def test_longley_golden() -> None:
    found = centered_condition_indices(LONGLEY[:, 1:])
    eigenvalues = np.array([4.603377, 1.175340, 0.203425, 0.014928, 0.002552, 0.000377])
    assert float(found[-1]) == pytest.approx(110.544153, abs=1e-6)
    np.testing.assert_allclose(found, np.sqrt(eigenvalues[0] / eigenvalues), rtol=1e-3)


def test_two_predictors() -> None:
    """Eigenvalues 1.95 and .05."""
    found = centered_condition_indices(with_correlation(np.array([[1, 0.95], [0.95, 1]]), 50))
    np.testing.assert_allclose(found, [1, 6.244998], atol=1e-6)


def test_longley_has_one_harmful_relation_of_four_variables() -> None:
    """The last index, 43275, holds more than half of const, GNP, UNEMP and YEAR."""
    found = harmful_relations(condition_indices(LONGLEY[:, 1:]))
    assert found.harmful.tolist()[-1] is True
    assert found.involved[-1].tolist() == [True, False, True, True, False, False, True]
    assert found.n_harmful == int(found.harmful.sum())
    assert not found.involved[~found.harmful].any()


def test_small_design_has_none() -> None:
    """Its largest index is 17.7."""
    condition = condition_indices(SMALL)
    assert harmful_relations(condition).n_harmful == 0
    assert harmful_relations(condition, above=10).harmful.tolist() == [False, False, False, True]


def test_every_index_is_at_least_one() -> None:
    """The first index, which is 1, is not above 1."""
    found = harmful_relations(condition_indices(SMALL), above=1, share=0)
    assert found.harmful.tolist() == [False, True, True, True]


def test_one_variable_is_no_relation() -> None:
    """A column far from the origin shares its relation with the intercept alone."""
    x = np.array([[1000.0], [1001], [1002]])
    both = harmful_relations(condition_indices(x))
    assert both.involved.tolist() == [[False, False], [True, True]]
    assert harmful_relations(condition_indices(x - 1001)).n_harmful == 0


def test_exact_relations_are_judged_together() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    found = harmful_relations(condition_indices(np.stack([a, a, 2 * a, b], axis=1)))
    assert found.harmful.tolist() == [False, False, False, True, True]
    assert found.involved[-1].tolist() == [False, True, True, True, False]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_is_the_condition_of_the_correlation_matrix(seed: int, k: int) -> None:
    x = np.random.default_rng(seed).normal(size=(20, k)) + 10
    found = centered_condition_indices(x)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(x.T)))[::-1]
    np.testing.assert_allclose(found, np.sqrt(eigenvalues[0] / eigenvalues), rtol=1e-6)
    assert float(found[-1]) ** 2 == pytest.approx(np.linalg.cond(np.atleast_2d(np.corrcoef(x.T))))


def test_relations_and_constants() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 10))
    found = centered_condition_indices(np.stack([a, a, b, np.full(10, 0.1)], axis=1))
    assert len(found) == 3
    assert found.isinf().tolist() == [False, False, True]
    assert centered_condition_indices(np.ones((4, 2))).tolist() == []


def test_half_of_a_variance_is_not_more_than_half() -> None:
    found = Belsley(torch.tensor([1.0, 31.0]), torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
    assert not harmful_relations(found, share=0.5).harmful.any()
    assert harmful_relations(found, share=0.49).harmful.tolist() == [False, True]
    assert not harmful_relations(found, above=31.0, share=0.49).harmful.any()


def test_errors() -> None:
    condition = condition_indices(SMALL)
    for above in (0.5, math.nan):
        with pytest.raises(ConfigError, match="above="):
            harmful_relations(condition, above=above)
    for share in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="share="):
            harmful_relations(condition, share=share)
    with pytest.raises(DataError, match="NaN"):
        centered_condition_indices(np.array([[math.nan]]))
