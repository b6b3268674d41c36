from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from toysae.errors import DataError, ShapeError
from toysae.metrics import uncertainty

from .draw import tensor

ADJUSTMENTS = {
    "bonferroni": uncertainty.bonferroni,
    "holm": uncertainty.holm,
    "fdr_bh": uncertainty.benjamini_hochberg,
}


class TestMultipleTests:
    def test_golden(self) -> None:
        p_values = tensor([0.03, 0.5, 0.01, 0.02])
        assert uncertainty.bonferroni(p_values).tolist() == pytest.approx([0.12, 1, 0.04, 0.08])
        # .01 * 4, .02 * 3, .03 * 2, .5: each at least the one before.
        assert uncertainty.holm(p_values).tolist() == pytest.approx([0.06, 0.5, 0.04, 0.06])

    def test_golden_threshold(self) -> None:
        assert uncertainty.bonferroni_z(24576) == pytest.approx(4.749966, abs=1e-6)
        assert uncertainty.bonferroni_z(1) == pytest.approx(1.959964, abs=1e-6)
        assert uncertainty.bonferroni_z(1, 0.01) == pytest.approx(2.575829, abs=1e-6)
        for n_tests, level in ((0, 0.05), (3, 0.0), (3, 1.0)):
            with pytest.raises(DataError, match="expected at least 1 test"):
                uncertainty.bonferroni_z(n_tests, level)

    @pytest.mark.parametrize("name", ADJUSTMENTS)
    @pytest.mark.parametrize("n_unseen", [0, 3])
    def test_is_statsmodels(self, name: str, n_unseen: int) -> None:
        p_values = [*(np.random.default_rng(n_unseen).random(9) ** 4), 0.0, 1.0, 0.02, 0.02]
        reference = multipletests([*p_values, *[1.0] * n_unseen], method=name)[1]
        family = len(p_values) + n_unseen
        adjusted = ADJUSTMENTS[name](tensor(p_values), family)
        assert adjusted.tolist() == pytest.approx(reference[: len(p_values)])

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 5))
    def test_order_of_the_three(self, p_values: list[float], n_unseen: int) -> None:
        family = len(p_values) + n_unseen
        dunn, holm, fdr = (adjust(tensor(p_values), family) for adjust in ADJUSTMENTS.values())
        assert (fdr <= holm + 1e-12).all()
        assert (holm <= dunn + 1e-12).all()
        assert (fdr >= tensor(p_values) - 1e-12).all()

    @pytest.mark.parametrize("name", ADJUSTMENTS)
    def test_a_registered_family_counts_what_was_not_looked_at(self, name: str) -> None:
        p_values = tensor([0.01, math.nan, math.nan])
        assert ADJUSTMENTS[name](p_values)[0].item() == pytest.approx(0.01)
        adjusted = ADJUSTMENTS[name](p_values, 3)
        assert adjusted[0].item() == pytest.approx(0.03)
        assert torch.isnan(adjusted[1:]).all()
        with pytest.raises(ShapeError, match="family=1 for 2 p-values"):
            ADJUSTMENTS[name](tensor([0.1, 0.2]), 1)

    @pytest.mark.parametrize("name", ["bonferroni", "holm"])
    def test_error_rate_of_the_family(self, name: str) -> None:
        """Of 20 true nulls, any is rejected at .05 in 5% of families (4.9% exactly)."""
        families = np.random.default_rng(0).random((2000, 20))
        any_rejected = [(ADJUSTMENTS[name](tensor(f)) < 0.05).any().item() for f in families]
        assert np.mean(any_rejected) == pytest.approx(0.049, abs=0.015)

    def test_false_discovery_rate(self) -> None:
        """10 nulls among 20 tests: false among the rejected in 2.5% (`.05` times their share)."""
        rng = np.random.default_rng(0)
        shares = []
        for _ in range(600):
            z = rng.normal(size=20) + np.repeat([0.0, 3.0], 10)
            rejected = uncertainty.benjamini_hochberg(tensor(2 * stats.norm.sf(abs(z)))) < 0.05
            shares.append(rejected[:10].sum().item() / max(1, rejected.sum().item()))
        assert np.mean(shares) == pytest.approx(0.025, abs=0.01)


class TestBenjaminiHochberg:
    def test_golden(self) -> None:
        # .01 * 4/1, .02 * 4/2, .03 * 4/3, .5 * 4/4, each at most the next.
        adjusted = uncertainty.benjamini_hochberg(tensor([0.03, 0.5, 0.01, 0.02]))
        assert adjusted.tolist() == pytest.approx([0.04, 0.5, 0.04, 0.04])

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_step_up_definition(self, p_values: list[float]) -> None:
        adjusted = uncertainty.benjamini_hochberg(tensor(p_values)).tolist()
        order = np.argsort(p_values)
        smallest = 1.0
        for rank in range(len(order), 0, -1):
            i = order[rank - 1]
            smallest = min(smallest, p_values[i] * len(order) / rank)
            assert adjusted[i] == pytest.approx(smallest)

    def test_undefined_tests_are_no_tests(self) -> None:
        adjusted = uncertainty.benjamini_hochberg(tensor([[0.01, math.nan], [0.04, math.nan]]))
        assert adjusted[:, 0].tolist() == pytest.approx([0.02, 0.04])
        assert torch.isnan(adjusted[:, 1]).all()
        assert uncertainty.benjamini_hochberg(torch.ones(0)).shape == (0,)

    def test_the_input_is_left_alone(self) -> None:
        p_values = tensor([0.01, 0.04])
        uncertainty.benjamini_hochberg(p_values)
        assert p_values.tolist() == [0.01, 0.04]

    def test_bad_input_is_refused(self) -> None:
        for bad in (-0.1, 1.1, math.inf):
            with pytest.raises(DataError):
                uncertainty.benjamini_hochberg(tensor([0.5, bad]))
