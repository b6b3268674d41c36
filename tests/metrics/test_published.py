from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import explained_variance_score, r2_score
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import published
from toysae.metrics.reconstruction import explained_variance

from .draw import SEEDS, normal, rotation, tensor

X = tensor([[2, 0], [0, 4], [1.2, 2.1], [10, 0]])
X_HAT = tensor([[2, 1], [0, 3], [1, 1.5], [9, 0.5]])
BIASED = X + tensor([1, -2])
FUNCTIONS = [
    published.legacy_explained_variance,
    published.e2e_sae_explained_variance,
    published.saelens_5_8_explained_variance,
    published.dictionary_learning_explained_variance,
    published.uniform_explained_variance,
    published.uncentred_explained_variance,
    published.doubly_divided_mse,
    published.dictionary_learning_l2_loss,
]


def saelens_5_8(x: Tensor, x_hat: Tensor) -> float:
    return published.saelens_5_8_explained_variance(x, x_hat).item()


class TestGolden:
    """Six numbers that all are called explained variance, of the same four samples."""

    def test_mean_over_samples(self) -> None:
        assert published.legacy_explained_variance(X, X_HAT).mean.item() == pytest.approx(
            0.895338, abs=1e-6
        )
        assert published.legacy_explained_variance(X, BIASED).mean.item() == pytest.approx(
            0.325101, abs=1e-6
        )

    def test_swapped_arguments(self) -> None:
        swapped = published.e2e_sae_explained_variance(X, X_HAT)
        assert swapped.mean.item() == pytest.approx(0.744332, abs=1e-6)

    def test_defect_of_saelens(self) -> None:
        assert saelens_5_8(X, X_HAT) == pytest.approx(1.004224, abs=1e-6)
        assert saelens_5_8(10 * X, 10 * X_HAT) == pytest.approx(1.000037, abs=1e-6)
        assert saelens_5_8(X / 10, X_HAT / 10) == pytest.approx(0.968521, abs=1e-6)
        assert saelens_5_8(X, X.mean(0).expand_as(X)) == pytest.approx(1.084472, abs=1e-6)
        assert saelens_5_8(X, torch.zeros_like(X)) == pytest.approx(1.145653, abs=1e-6)

    def test_blind_to_a_bias(self) -> None:
        blind = published.dictionary_learning_explained_variance
        assert blind(X, X_HAT).item() == pytest.approx(0.954958, abs=1e-6)
        assert blind(X, X_HAT, batch=2).item() == pytest.approx(0.888699, abs=1e-6)
        assert blind(X, BIASED).item() == pytest.approx(1)
        assert explained_variance(X, BIASED).item() == pytest.approx(0.725980, abs=1e-6)

    def test_mean_over_dimensions(self) -> None:
        uniform = published.uniform_explained_variance(X, X_HAT)
        assert uniform.mean.item() == pytest.approx(0.874108, abs=1e-6)
        assert uniform.n_defined.item() == 2

    def test_against_zero(self) -> None:
        found = published.uncentred_explained_variance(X, X_HAT)
        assert found.mean_of_ratios.item() == pytest.approx(1 - 0.098344, abs=1e-6)
        assert found.ratio_of_sums.item() == pytest.approx(1 - 0.029003, abs=1e-6)

    def test_errors(self) -> None:
        assert published.doubly_divided_mse(X, X_HAT).item() == pytest.approx(0.228125)
        found = published.dictionary_learning_l2_loss(X, X_HAT)
        assert found.mean.item() == pytest.approx(0.937622, abs=1e-6)
        assert found.per_sample.tolist() == pytest.approx([1, 1, 0.4**0.5, 1.25**0.5])

    def test_two_samples_do_not_tell_the_definitions_apart(self) -> None:
        x, x_hat = tensor([[2, 0], [0, 4]]), tensor([[2, 1], [0, 3]])
        assert explained_variance(x, x_hat).item() == pytest.approx(0.8)
        assert published.legacy_explained_variance(x, x_hat).mean.item() == pytest.approx(0.8)
        blind = published.dictionary_learning_explained_variance(x, x_hat)
        assert blind.item() == pytest.approx(0.8)
        # E |x|^2 = 10 and d = 2: 1 - 1 / (10 - 25).
        assert saelens_5_8(x, x_hat) == pytest.approx(16 / 15)
        # No error in the first dimension; 2 of 8 in the second.
        uniform = published.uniform_explained_variance(x, x_hat)
        assert uniform.per_dimension.tolist() == pytest.approx([1, 0.75])


class TestDefectOfSAELens:
    @given(SEEDS, st.floats(0.05, 20), st.floats(0, 3))
    def test_which_way_it_errs(self, seed: int, scale: float, offset: float) -> None:
        d = 4
        x = scale * (normal(seed, 12, d) + offset)
        x_hat = x + 0.3 * scale * normal(seed + 1, 12, d)
        power = x.square().sum(1).mean().item()
        mean = x.mean(0).square().sum().item()
        found, true = saelens_5_8(x, x_hat), explained_variance(x, x_hat).item()
        if power > d**2:
            assert found > 1
        elif (power / d) ** 2 < mean:
            assert true < found < 1
        else:
            assert found <= true

    @given(SEEDS)
    def test_small_data_are_measured_about_zero(self, seed: int) -> None:
        x, x_hat = normal(seed, 6, 3), normal(seed + 1, 6, 3)
        expected = published.uncentred_explained_variance(x, x_hat).ratio_of_sums.item()
        assert saelens_5_8(1e-6 * x, 1e-6 * x_hat) == pytest.approx(expected)

    def test_rotation_does_not_matter_and_padding_does(self) -> None:
        q = rotation(0, 2)
        assert saelens_5_8(X @ q, X_HAT @ q) == pytest.approx(1.004224, abs=1e-6)
        padded = saelens_5_8(torch.cat([X, 0 * X], 1), torch.cat([X_HAT, 0 * X], 1))
        # E |x|^2 = 31.4625 in d = 4 dimensions.
        assert padded == pytest.approx(1 - 0.9125 / (31.4625 - (31.4625 / 4) ** 2))

    def test_no_denominator_is_undefined(self) -> None:
        x = torch.full((2, 2), math.sqrt(2), dtype=torch.float64)
        assert math.isnan(saelens_5_8(0 * x, x))


class TestDictionaryLearning:
    @given(SEEDS, st.integers(2, 20), st.integers(1, 5))
    def test_is_sklearns(self, seed: int, n: int, d: int) -> None:
        x, x_hat = normal(seed, n, d), normal(seed + 1, n, d) + 1
        expected = explained_variance_score(
            x.numpy(), x_hat.numpy(), multioutput="variance_weighted"
        )
        found = published.dictionary_learning_explained_variance(x, x_hat)
        assert found.item() == pytest.approx(expected, abs=1e-9)

    @given(SEEDS, st.floats(0, 3))
    def test_is_never_below_ours(self, seed: int, bias: float) -> None:
        x = normal(seed, 9, 3)
        x_hat = x + normal(seed + 1, 9, 3) + bias
        blind = published.dictionary_learning_explained_variance(x, x_hat).item()
        assert blind >= explained_variance(x, x_hat).item() - 1e-12

    def test_averages_batches_of_any_length_alike(self) -> None:
        whole = published.dictionary_learning_explained_variance
        found = whole(X, X_HAT, batch=3).item()
        assert math.isnan(found)
        x, x_hat = normal(0, 5, 3), normal(1, 5, 3)
        parts = (whole(x[:3], x_hat[:3]).item() + whole(x[3:], x_hat[3:]).item()) / 2
        assert whole(x, x_hat, batch=3).item() == pytest.approx(parts)
        assert whole(x, x_hat, batch=5).item() == whole(x, x_hat).item()
        with pytest.raises(ShapeError, match="batch=0"):
            whole(x, x_hat, batch=0)


class TestOthers:
    @given(SEEDS, st.integers(2, 20), st.integers(1, 5))
    def test_uniform_is_sklearns_default(self, seed: int, n: int, d: int) -> None:
        x, x_hat = normal(seed, n, d), normal(seed + 1, n, d)
        found = published.uniform_explained_variance(x, x_hat).mean.item()
        assert found == pytest.approx(r2_score(x.numpy(), x_hat.numpy()), abs=1e-9)

    def test_uniform_leaves_out_constant_dimensions(self) -> None:
        x = tensor([[1, 0.1], [3, 0.1], [5, 0.1]])
        found = published.uniform_explained_variance(x, x + tensor([1, 1]))
        assert found.per_dimension[0].item() == pytest.approx(1 - 3 / 8)
        assert math.isnan(found.per_dimension[1])
        assert found.n_defined.item() == 1

    def test_legacy_leaves_out_samples_at_the_mean(self) -> None:
        x = tensor([[1, 0], [-1, 0], [0, 0]])
        found = published.legacy_explained_variance(x, torch.zeros_like(x))
        assert found.per_sample[:2].tolist() == [0, 0]
        assert math.isnan(found.per_sample[2])
        assert found.n_defined.item() == 2

    @given(st.floats(1e-6, 1e-2))
    def test_legacy_has_no_bottom(self, gap: float) -> None:
        x = tensor([[1, 0], [-1, 0], [gap, 0], [-gap, 0]])
        found = published.legacy_explained_variance(x, x + 0.1)
        assert found.mean.item() < -(0.005 / gap**2)
        assert explained_variance(x, x + 0.1).item() > 0.95

    def test_doubly_divided_falls_with_the_batch(self) -> None:
        once = published.doubly_divided_mse(X, X_HAT).item()
        twice = published.doubly_divided_mse(torch.cat([X, X]), torch.cat([X_HAT, X_HAT])).item()
        assert twice == pytest.approx(once / 2)

    def test_members_keep_their_axis(self) -> None:
        x_hat = torch.stack([X_HAT, X])
        legacy = published.legacy_explained_variance(X, x_hat).mean
        assert legacy.tolist() == pytest.approx([0.895338, 1], abs=1e-6)
        swapped = published.e2e_sae_explained_variance(X, x_hat).mean
        assert swapped.tolist() == pytest.approx([0.744332, 1], abs=1e-6)
        for function in (
            published.saelens_5_8_explained_variance,
            published.dictionary_learning_explained_variance,
            published.doubly_divided_mse,
        ):
            both = function(X, x_hat)
            assert both.tolist() == [function(X, X_HAT).item(), function(X, X).item()]
        assert published.uniform_explained_variance(X, x_hat).per_dimension.shape == (2, 2)

    def test_constant_data_are_undefined(self) -> None:
        x = torch.full((7, 3), 0.1, dtype=torch.float64)
        assert math.isnan(published.dictionary_learning_explained_variance(x, x + 1))
        assert published.uniform_explained_variance(x, x).n_defined.item() == 0

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_bad_input_is_refused(self, function: object) -> None:
        with pytest.raises(ShapeError, match="expected"):
            function(X, X_HAT[:3])  # type: ignore[operator]
        with pytest.raises(DataError, match="x_hat: 8 of 8"):
            function(X, X_HAT * math.nan)  # type: ignore[operator]
        with pytest.raises(DataError, match="x: 8 of 8"):
            function(X * math.nan, X_HAT)  # type: ignore[operator]
