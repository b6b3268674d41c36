from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from toysae.errors import DataError, ShapeError
from toysae.metrics import reconstruction
from toysae.metrics.reconstruction import ExplainedVariance, explained_variance

from .draw import SEEDS, normal, rotation, tensor

X = tensor([[2, 0], [0, 4], [1.2, 2.1], [10, 0]])
X_HAT = tensor([[2, 1], [0, 3], [1, 1.5], [9, 0.5]])
SHRUNK_X, SHRUNK = tensor([[2, 0], [0, 4], [1, 1]]), tensor([[1, 0], [0, 4], [1, 0]])


class TestGolden:
    def test_variance_and_error(self) -> None:
        assert explained_variance(X, X_HAT).item() == pytest.approx(0.949991, abs=1e-6)
        unexplained = reconstruction.fraction_of_variance_unexplained(X, X_HAT)
        assert unexplained.item() == pytest.approx(0.050009, abs=1e-6)
        normalized = reconstruction.normalized_mse(X, X_HAT)
        assert normalized.mean.item() == pytest.approx(0.098344, abs=1e-6)
        assert normalized.ratio_of_sums.item() == pytest.approx(0.029003, abs=1e-6)

    def test_a_constant_bias_is_an_error(self) -> None:
        biased = X + tensor([1, -2])
        assert explained_variance(X, biased).item() == pytest.approx(0.725980, abs=1e-6)

    def test_small_example(self) -> None:
        value = explained_variance(tensor([[2, 0], [0, 4]]), tensor([[2, 1], [0, 3]]))
        assert value.item() == pytest.approx(0.8)

    def test_shrinkage(self) -> None:
        found = reconstruction.shrinkage(SHRUNK_X, SHRUNK)
        assert found.norm_ratio.tolist() == pytest.approx([0.5, 1, math.sqrt(0.5)])
        assert found.mean_norm_ratio.item() == pytest.approx(0.735702, abs=1e-6)
        assert found.relative_bias.item() == pytest.approx(0.947368, abs=1e-6)
        assert found.ratio_of_means.item() == pytest.approx(0.809256, abs=1e-6)

    def test_all_shrinkages_agree_on_a_rescaling(self) -> None:
        found = reconstruction.shrinkage(X, 0.8 * X)
        for value in (found.mean_norm_ratio, found.relative_bias, found.ratio_of_means):
            assert value.item() == pytest.approx(0.8)

    def test_squared_error(self) -> None:
        found = reconstruction.squared_error(X, X_HAT)
        assert found.per_sample.tolist() == pytest.approx([1, 1, 0.4, 1.25])
        assert found.mean.item() == pytest.approx(0.9125)
        assert found.mean.item() / 2 == pytest.approx(0.45625)

    def test_mean_cosine(self) -> None:
        found = reconstruction.mean_cosine(SHRUNK_X, SHRUNK)
        assert found.per_sample.tolist() == pytest.approx([1, 1, math.sqrt(0.5)])
        assert found.mean.item() == pytest.approx((2 + math.sqrt(0.5)) / 3)


class TestExplainedVariance:
    @given(SEEDS, st.integers(2, 20), st.integers(1, 5))
    def test_is_sklearns_weighted_by_variance(self, seed: int, n: int, d: int) -> None:
        x, x_hat = normal(seed, n, d), normal(seed + 1, n, d)
        expected = r2_score(x.numpy(), x_hat.numpy(), multioutput="variance_weighted")
        assert explained_variance(x, x_hat).item() == pytest.approx(expected, abs=1e-9)

    @given(SEEDS, st.integers(2, 20), st.integers(1, 5))
    def test_perfect_is_one_and_the_mean_is_zero(self, seed: int, n: int, d: int) -> None:
        x = normal(seed, n, d)
        assert explained_variance(x, x).item() == 1
        mean = x.mean(dim=0).expand_as(x)
        assert explained_variance(x, mean).item() == pytest.approx(0, abs=1e-12)

    @given(SEEDS, st.lists(st.integers(0, 7), min_size=1, max_size=5), st.booleans())
    def test_batches_do_not_matter(self, seed: int, sizes: list[int], shifted: bool) -> None:
        n = sum(sizes) + 2
        x = normal(seed, n, 3) + (1000 if shifted else 0)
        x_hat = x + 0.3 * normal(seed + 1, n, 3)
        accumulator = ExplainedVariance()
        for part, part_hat in zip(x.split([2, *sizes]), x_hat.split([2, *sizes]), strict=True):
            accumulator.update(part, part_hat)
        assert accumulator.n_samples == n
        expected = explained_variance(x, x_hat).item()
        assert accumulator.compute().item() == pytest.approx(expected, abs=1e-9)

    @given(SEEDS, st.integers(0, 6), st.integers(2, 6))
    def test_merging_is_seeing_both(self, seed: int, n: int, m: int) -> None:
        x, x_hat = normal(seed, 2, n + m, 3), normal(seed + 1, 2, n + m, 3)
        parts = [ExplainedVariance(), ExplainedVariance()]
        parts[0].update(x[:, :n], x_hat[:, :n])
        parts[1].update(x[:, n:], x_hat[:, n:])
        parts[0].merge(parts[1])
        parts[0].merge(ExplainedVariance())
        assert torch.allclose(parts[0].compute(), explained_variance(x, x_hat))

    def test_the_mean_over_batches_is_another_number(self) -> None:
        first, second = normal(0, 50, 2), normal(1, 50, 2) + 10
        x = torch.cat([first, second])
        x_hat = torch.cat([first.mean(0).expand(50, 2), second.mean(0).expand(50, 2)])
        assert explained_variance(first, x_hat[:50]).item() == pytest.approx(0, abs=1e-9)
        assert explained_variance(x, x_hat).item() > 0.9

    @pytest.mark.parametrize("offset", [1e3, 1e5])
    def test_a_large_offset_costs_no_digits(self, offset: float) -> None:
        x = (normal(0, 200, 4) + offset).float()
        x_hat = x + (0.1 * normal(1, 200, 4)).float()
        exact = 1 - (x.double() - x_hat.double()).square().sum() / (
            (x.double() - x.double().mean(0)).square().sum()
        )
        assert explained_variance(x, x_hat).item() == pytest.approx(exact.item(), abs=1e-9)

    def test_members_are_measured_apart(self) -> None:
        x_hat = torch.stack([X_HAT, X, X.mean(0).expand_as(X)])
        for shared in (X, X[None]):
            value = explained_variance(shared, x_hat)
            assert value.tolist() == pytest.approx([0.949991, 1, 0], abs=1e-6)
        stacked = explained_variance(torch.stack([X, X + 1, X - 1]), x_hat)
        assert stacked[1].item() == explained_variance(X + 1, X).item()

    @given(SEEDS)
    def test_scale_does_not_matter(self, seed: int) -> None:
        x, x_hat = normal(seed, 6, 3), normal(seed + 1, 6, 3)
        value = explained_variance(x, x_hat).item()
        for scale in (1e-30, 1e-3, 10, 1e30):
            assert explained_variance(scale * x, scale * x_hat).item() == pytest.approx(value)

    def test_one_pass_in_single_precision_is_no_variance(self) -> None:
        """G-C5f: `E |x|^2 - |E x|^2` loses all digits where the mean is 1000 deviations away."""
        x = (normal(0, 4096, 8) + 1000).float()
        exact = (x.double() - x.double().mean(0)).square().sum(1).mean().item()
        one_pass = (x.square().sum(1).mean() - x.mean(0).square().sum()).item()
        assert exact == pytest.approx(8, rel=0.05)
        assert abs(one_pass - exact) > 0.25
        x_hat = x.double() - 0.5
        left = reconstruction.fraction_of_variance_unexplained(x, x_hat).item()
        assert left == pytest.approx(8 * 0.25 / exact, abs=1e-9)

    def test_the_same_in_numbers(self) -> None:
        """G-C5f: -6.0 by one pass in single precision where the truth is 7.994."""
        x = np.random.default_rng(0).normal(1000, 1, (10_000, 8)).astype(np.float32)
        assert float((x**2).sum(1).mean() - (x.mean(0) ** 2).sum()) == -6.0
        off = torch.from_numpy(x) + 0.5
        error = 1 - explained_variance(torch.from_numpy(x), off).item()
        assert 8 * 0.25 / error == pytest.approx(7.994, abs=1e-3)
        accumulator = ExplainedVariance()
        for rows in (slice(0, 1), slice(1, 3000), slice(3000, None)):
            accumulator.update(torch.from_numpy(x[rows]), off[rows])
        assert accumulator.compute().item() == pytest.approx(1 - error, abs=1e-9)

    @given(SEEDS)
    def test_rotation_and_shift_do_not_matter(self, seed: int) -> None:
        x, x_hat, q = normal(seed, 6, 3), normal(seed + 1, 6, 3), rotation(seed + 2, 3)
        value = explained_variance(x, x_hat).item()
        assert explained_variance(x @ q, x_hat @ q).item() == pytest.approx(value)
        shift = 1000 * normal(seed + 3, 3)
        assert explained_variance(x + shift, x_hat + shift).item() == pytest.approx(value)

    @given(SEEDS)
    def test_one_means_no_error(self, seed: int) -> None:
        x, error = normal(seed, 6, 3), 1e-3 * normal(seed + 1, 6, 3)
        assert explained_variance(x, x + error).item() < 1

    @pytest.mark.parametrize("level", [0.0, 0.1, 1e6])
    def test_constant_data_are_undefined(self, level: float) -> None:
        x = torch.full((7, 3), level, dtype=torch.float64)
        assert math.isnan(explained_variance(x, x))
        assert math.isnan(explained_variance(x, x + 1))
        accumulator = ExplainedVariance()
        accumulator.update(torch.stack([x, X[:1, :1] + normal(0, 7, 3)]), torch.zeros(2, 7, 3))
        assert accumulator.varies.tolist() == [False, True]

    def test_whether_data_vary_is_told_by_their_lengths(self) -> None:
        """Of all dimensions: half of 1e-24 of the second moment is rounding, twice that is not."""
        for share, varies in ((0.5e-24, False), (2e-24, True)):
            x = torch.ones(2, 4, dtype=torch.float64)
            x[0] += share**0.5
            x[1] -= share**0.5
            accumulator = ExplainedVariance()
            accumulator.update(x, x)
            assert bool(accumulator.varies) is varies

    def test_no_samples_is_undefined(self) -> None:
        assert math.isnan(ExplainedVariance().compute())
        assert torch.isnan(explained_variance(torch.ones(2, 0, 3), torch.ones(2, 0, 3))).all()

    def test_other_shapes_later_are_refused(self) -> None:
        accumulator = ExplainedVariance()
        accumulator.update(X, X_HAT)
        with pytest.raises(ShapeError, match="use one accumulator"):
            accumulator.update(X[None], X_HAT[None])


class TestDegenerate:
    def test_zero_samples(self) -> None:
        x, x_hat = tensor([[0, 0], [3, 4]]), tensor([[1, 0], [3, 4]])
        assert reconstruction.normalized_mse(x, x_hat).mean.item() == 0
        assert reconstruction.normalized_mse(x, x_hat).ratio_of_sums.item() == pytest.approx(1 / 25)
        assert reconstruction.normalized_mse(x, x_hat).n_defined.item() == 1
        cosine = reconstruction.mean_cosine(x, x_hat)
        assert math.isnan(cosine.per_sample[0])
        assert (cosine.n_defined.item(), cosine.mean.item()) == (1, pytest.approx(1))
        found = reconstruction.shrinkage(x, x_hat)
        assert math.isnan(found.norm_ratio[0])
        assert (found.n_defined.item(), found.mean_norm_ratio.item()) == (1, 1)

    def test_all_zero(self) -> None:
        zero = torch.zeros(3, 2)
        assert math.isnan(reconstruction.normalized_mse(zero, zero).ratio_of_sums)
        assert math.isnan(reconstruction.mean_cosine(zero, zero).mean)
        found = reconstruction.shrinkage(zero, zero)
        assert math.isnan(found.mean_norm_ratio)
        assert math.isnan(found.ratio_of_means)
        assert math.isnan(found.relative_bias)

    def test_a_zero_reconstruction_explains_no_norm(self) -> None:
        assert reconstruction.normalized_mse(X, torch.zeros_like(X)).mean.item() == 1
        assert reconstruction.shrinkage(X, torch.zeros_like(X)).mean_norm_ratio.item() == 0

    def test_members_keep_their_axis(self) -> None:
        x_hat = torch.stack([X_HAT, X])
        assert reconstruction.normalized_mse(X, x_hat).per_sample.shape == (2, 4)
        assert reconstruction.mean_cosine(X, x_hat).mean.shape == (2,)
        assert reconstruction.shrinkage(X, x_hat).relative_bias[1].item() == pytest.approx(1)

    @given(SEEDS)
    def test_rotation_changes_no_number(self, seed: int) -> None:
        x, x_hat, q = normal(seed, 6, 3), normal(seed + 1, 6, 3), rotation(seed + 2, 3)
        for function in (reconstruction.normalized_mse, reconstruction.mean_cosine):
            before, after = function(x, x_hat), function(x @ q, x_hat @ q)
            assert torch.allclose(before.per_sample, after.per_sample)

    @pytest.mark.parametrize(
        "function",
        [
            explained_variance,
            reconstruction.normalized_mse,
            reconstruction.mean_cosine,
            reconstruction.shrinkage,
            reconstruction.fraction_of_variance_unexplained,
            reconstruction.squared_error,
        ],
    )
    def test_bad_input_is_refused(self, function: object) -> None:
        for x, x_hat in (
            (X, X_HAT[:3]),
            (X, X_HAT[:, :1]),
            (X[0], X_HAT[0]),
            (torch.stack([X, X]), X_HAT),
            (torch.stack([X, X]), torch.stack([X, X, X])),
        ):
            with pytest.raises(ShapeError, match="expected"):
                function(x, x_hat)  # type: ignore[operator]
        with pytest.raises(DataError, match="x_hat: 8 of 8"):
            function(X, X_HAT * math.nan)  # type: ignore[operator]
        with pytest.raises(DataError, match="x: 8 of 8"):
            function(X * math.nan, X_HAT)  # type: ignore[operator]

    def test_low_precision_is_upcast(self) -> None:
        x, x_hat = X.to(torch.bfloat16), X_HAT.to(torch.bfloat16)
        value = explained_variance(x, x_hat)
        assert value.dtype == torch.float64
        assert value.item() == explained_variance(x.double(), x_hat.double()).item()
