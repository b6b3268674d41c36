from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import density
from toysae.metrics._firing import antipodal
from toysae.metrics.codes import SparseCodes

from .draw import SEEDS, normal, tensor


class TestDensity:
    def test_golden(self) -> None:
        latents = tensor([[0, 1, -2, 0.5], [0, 0, 1, 0.5], [0, 0, 0, 0.5], [0, 0, 0, 0.5]])
        found = density.density(latents)
        assert found.frequency.tolist() == [0, 0.25, 0.5, 1]
        assert found.dead.tolist() == [True, False, False, False]
        assert (found.n_dead, found.n_samples) == (1, 4)
        assert found.mean == 1.75 / 4
        assert density.mean_l0(latents) == 1.75

    def test_the_threshold_is_strict(self) -> None:
        assert density.density(tensor([[0.5], [0.6]]), 0.5).frequency.tolist() == [0.5]
        codes = SparseCodes.from_dense(tensor([[0.5], [0.6]]))
        assert density.density(codes, 0.5).frequency.tolist() == [0.5]

    def test_the_threshold_is_not_rounded_to_the_latents_precision(self) -> None:
        # The nearest bfloat16 to .1 is .10009765625, which is above .1.
        latents = torch.tensor([[0.1]], dtype=torch.bfloat16)
        assert density.density(latents, 0.1).frequency.tolist() == [1]
        assert density.density(SparseCodes.from_dense(latents, 0.1)).frequency.tolist() == [1]
        assert density.density(SparseCodes.from_dense(latents), 0.1).frequency.tolist() == [1]

    @given(SEEDS, st.integers(1, 20), st.integers(0, 6), st.sampled_from([0.0, 0.4]))
    def test_mean_l0_is_the_sum_of_densities(
        self, seed: int, n: int, m: int, threshold: float
    ) -> None:
        latents = normal(seed, n, m).clamp(min=0)
        frequency = density.density(latents, threshold).frequency
        l0 = density.mean_l0(latents, threshold)
        assert l0 == pytest.approx(frequency.sum().item())

    @given(SEEDS, st.integers(0, 20), st.integers(0, 6), st.sampled_from([0.0, 0.4]))
    def test_codes_give_the_same(self, seed: int, n: int, m: int, threshold: float) -> None:
        latents = normal(seed, n, m).clamp(min=0)
        codes = SparseCodes.from_dense(latents)
        decoder = normal(seed + 1, m, 3)
        for measure in (
            lambda z: density.density(z, threshold).frequency,
            lambda z: density.mean_l0(z, threshold),
            lambda z: density.mean_weighted_l1(z, decoder),
            lambda z: density.l0_by_definition(z, threshold).above_threshold,
            lambda z: density.alive_by_definition(z).shares,
        ):
            dense, sparse = (torch.as_tensor(measure(z)).double() for z in (latents, codes))
            assert torch.allclose(dense, sparse, equal_nan=True)

    @given(SEEDS, st.integers(1, 20), st.integers(1, 20))
    def test_concatenation_is_the_weighted_mean(self, seed: int, n: int, m: int) -> None:
        first, second = normal(seed, n, 3).clamp(min=0), normal(seed + 1, m, 3).clamp(min=0)
        both = density.density(torch.cat([first, second])).frequency
        parts = [density.density(x).frequency for x in (first, second)]
        assert torch.allclose(both, (n * parts[0] + m * parts[1]) / (n + m))

    def test_more_samples_than_are_held_at_once(self) -> None:
        latents = torch.zeros(20_001, 2)
        latents[::2, 0] = 1
        assert density.density(latents).frequency.tolist() == [10_001 / 20_001, 0]

    def test_no_samples_is_undefined(self) -> None:
        found = density.density(torch.ones(0, 3))
        assert torch.isnan(found.frequency).all()
        assert found.n_dead == 0
        assert math.isnan(density.mean_l0(torch.ones(0, 3)))
        assert math.isnan(density.mean_l0(SparseCodes.from_dense(torch.ones(0, 3))))
        assert density.mean_l0(torch.ones(3, 0)) == 0

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="two axes"):
            density.density(torch.ones(3))
        with pytest.raises(DataError, match="NaN"):
            density.density(tensor([[math.nan]]))
        for threshold in (-0.1, math.nan, math.inf):
            with pytest.raises(DataError, match="threshold"):
                density.mean_l0(torch.ones(2, 2), threshold)
            with pytest.raises(DataError, match="threshold"):
                density.density(SparseCodes.from_dense(torch.ones(2, 2)), threshold)


class TestWeightedL1:
    def test_golden(self) -> None:
        # |d| = 5, 2; samples 1 * 5 + 3 * 2 = 11 and 2 * 5 = 10.
        latents, decoder = tensor([[1, -3], [2, 0]]), tensor([[3, 4], [0, 2]])
        assert density.mean_weighted_l1(latents, decoder) == 10.5

    @given(SEEDS)
    def test_rescaling_latents_changes_nothing(self, seed: int) -> None:
        latents, decoder, scale = normal(seed, 6, 4), normal(seed + 1, 4, 3), normal(seed + 2, 4)
        scale = scale.exp()
        changed = density.mean_weighted_l1(latents * scale, decoder / scale[:, None])
        assert changed == pytest.approx(density.mean_weighted_l1(latents, decoder))

    def test_sides_must_fit(self) -> None:
        with pytest.raises(ShapeError, match="decoder"):
            density.mean_weighted_l1(torch.ones(2, 3), torch.ones(2, 3))
        with pytest.raises(ShapeError, match="decoder"):
            density.mean_weighted_l1(SparseCodes.from_dense(torch.ones(2, 3)), torch.ones(2, 3))
        with pytest.raises(ShapeError, match="latents has shape"):
            density.mean_weighted_l1(torch.ones(2), torch.ones(2, 3))
        with pytest.raises(ShapeError, match="decoder has shape"):
            density.mean_weighted_l1(torch.ones(2, 2), torch.ones(2))
        assert math.isnan(density.mean_weighted_l1(torch.ones(0, 2), torch.ones(2, 3)))
        codes = SparseCodes.from_dense(torch.ones(0, 2))
        assert math.isnan(density.mean_weighted_l1(codes, torch.ones(2, 3)))


class TestPublishedDefinitions:
    def test_l0(self) -> None:
        # Of 8 entries 5 are not 0, 3 are positive, and 3 are above .5 in size.
        found = density.l0_by_definition(tensor([[0, 1, -2, 0.5], [0.2, 0, 0, -0.7]]), 0.5)
        assert (found.nonzero, found.positive, found.above_threshold) == (2.5, 1.5, 1.5)
        assert math.isnan(density.l0_by_definition(torch.ones(0, 2)).nonzero)
        with pytest.raises(DataError, match="threshold=-1"):
            density.l0_by_definition(torch.ones(2, 2), -1)

    def test_alive(self) -> None:
        latents = torch.zeros(12, 5)
        latents[:10, 0] = 1  # alive by all
        latents[:9, 1] = 1  # too rare for ten firings
        latents[0, 2], latents[1, 2] = 2, -2  # its sum cancels
        latents[0, 3] = -1  # never positive
        alive = density.alive_by_definition(latents)
        assert alive.e2e_sae.tolist() == [True, True, True, True, False]
        assert alive.saebench.tolist() == [True, True, True, False, False]
        assert alive.dictionary_learning.tolist() == [True, True, False, True, False]
        assert alive.logan.tolist() == [True, False, False, False, False]
        assert alive.shares.tolist() == pytest.approx([0.8, 0.6, 0.6, 0.2])
        assert alive.n_samples == 12

    def test_nan_is_refused(self) -> None:
        with pytest.raises(DataError, match="NaN"):
            density.alive_by_definition(tensor([[1, math.nan]]))


class TestDead:
    @pytest.mark.parametrize(("n", "bound"), [(10_000, 2.9953e-4), (1_000_000, 2.9957e-6)])
    def test_golden(self, n: int, bound: float) -> None:
        assert density.dead_upper_bound(n) == pytest.approx(bound, rel=1e-4)

    @given(st.integers(1, 5000), st.sampled_from([0.5, 0.95, 0.999]))
    def test_is_that_of_clopper_and_pearson(self, n: int, confidence: float) -> None:
        high = stats.binomtest(0, n, alternative="less").proportion_ci(confidence).high
        assert density.dead_upper_bound(n, confidence) == pytest.approx(high)

    def test_degenerate(self) -> None:
        assert density.dead_upper_bound(0) == 1
        assert density.dead_upper_bound(1) == pytest.approx(0.95)
        with pytest.raises(DataError, match="n_samples=-1"):
            density.dead_upper_bound(-1)
        for confidence in (0, 1):
            with pytest.raises(DataError, match="confidence"):
                density.dead_upper_bound(5, confidence)


class TestHistogram:
    def test_zeros_stand_apart_and_the_floor_is_half_a_firing(self) -> None:
        # Frequencies 0, .02, .1, .5, 1 of 50 samples: the floor is log10(.01) = -2, and with one
        # bin a decade the edges are -2, -1, 0.
        found = density.Density(tensor([0, 0.02, 0.1, 0.5, 1]), 50)
        histogram = density.density_histogram(found, bins_per_decade=1)
        assert histogram.edges.tolist() == [-2, -1, 0]
        assert histogram.counts.tolist() == [1, 3]
        assert histogram.n_zero == 1
        expected = [-2, math.log10(0.02), -1, math.log10(0.5), 0]
        assert histogram.log10_frequency.tolist() == pytest.approx(expected)

    @given(SEEDS, st.integers(1, 40), st.integers(0, 8), st.integers(1, 5))
    def test_every_latent_is_counted_once(self, seed: int, n: int, m: int, bins: int) -> None:
        found = density.density((normal(seed, n, m) - 1).clamp(min=0))
        histogram = density.density_histogram(found, bins)
        assert int(histogram.counts.sum()) + histogram.n_zero == m
        assert len(histogram.edges) == len(histogram.counts) + 1
        assert histogram.edges[0].item() == pytest.approx(math.log10(0.5 / n))
        assert (histogram.edges.diff() <= 1 / bins + 1e-12).all()

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(DataError, match="at least one sample"):
            density.density_histogram(density.density(torch.ones(0, 2)))
        with pytest.raises(DataError, match="bins_per_decade=0"):
            density.density_histogram(density.density(torch.ones(2, 2)), 0)


class TestDense:
    def test_golden(self) -> None:
        found = density.dense_latents(density.Density(tensor([0.1, 0.5, 0.3, 0.1]), 10))
        assert found.mask.tolist() == [False, True, True, False]
        assert (found.n_dense, found.share_of_latents) == (2, 0.5)
        assert found.share_of_density == pytest.approx(0.8)
        assert density.dense_latents(density.Density(tensor([0.1, 0.5]), 10), 0.01).n_dense == 2

    def test_degenerate(self) -> None:
        found = density.dense_latents(density.density(torch.ones(0, 3)))
        assert math.isnan(found.share_of_latents)
        assert math.isnan(found.share_of_density)
        silent = density.dense_latents(density.density(torch.zeros(4, 3)))
        assert (silent.share_of_latents, silent.n_dense) == (0, 0)
        assert math.isnan(silent.share_of_density)

    @pytest.mark.parametrize("above", [-0.1, 1.1, math.nan])
    def test_a_share_outside_its_range_is_refused(self, above: float) -> None:
        with pytest.raises(DataError, match="above="):
            density.dense_latents(density.density(torch.ones(4, 3)), above)

    @pytest.mark.parametrize("below", [-1.1, 0.5, math.nan])
    def test_a_cosine_outside_its_range_is_refused(self, below: float) -> None:
        with pytest.raises(DataError, match="below="):
            density.antipodal_pairs(torch.eye(3), below=below)

    def test_antipodal_pairs(self) -> None:
        # cos(0, 2) = -1, cos(1, 4) = -.96 exactly, cos(3, .) above -.9.
        decoder = tensor([[1, 0], [0.6, 0.8], [-2, 0], [0, 0], [-0.8, -0.6], [0, 1]])
        found = density.antipodal_pairs(decoder)
        assert found.pairs.tolist() == [[0, 2], [1, 4]]
        assert found.cosine.tolist() == pytest.approx([-1, -0.96])
        assert (found.n_latents, found.n_zero, found.share_of_latents) == (5, 1, 0.8)
        strict = density.antipodal_pairs(tensor([[1, 0], [-1, 0]]), below=-1)
        assert strict.pairs.tolist() == []
        dense = torch.tensor([True, True, False, True, True, True])
        assert density.antipodal_pairs(decoder, dense).pairs.tolist() == [[1, 4]]
        assert density.antipodal_pairs(decoder, dense & decoder.any(dim=1)).n_zero == 0
        loose = density.antipodal_pairs(decoder, below=-0.7)
        assert loose.pairs.tolist() == [
            [0, 2],
            [1, 4],
            [0, 4],
        ]

    def test_antipodal_pairs_across_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        directions = normal(0, 7, 5)
        decoder = torch.cat([directions, -directions])
        monkeypatch.setattr(antipodal, "_ROWS_AT_ONCE", 3)
        found = density.antipodal_pairs(decoder, below=-0.999)
        assert sorted(found.pairs.tolist()) == [[i, i + 7] for i in range(7)]

    def test_no_latents(self) -> None:
        none: Tensor = torch.ones(0, 3)
        assert math.isnan(density.antipodal_pairs(none).share_of_latents)
        with pytest.raises(ShapeError, match="among"):
            density.antipodal_pairs(torch.ones(2, 2), torch.ones(3, dtype=torch.bool))
