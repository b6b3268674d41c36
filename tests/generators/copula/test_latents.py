from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS
from toysae.draws import Draws
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.copula.gaussian import both_exceed, thresholds_of
from toysae.generators.copula.latents import (
    BlockLatents,
    FactorLatents,
    times_triangular,
    triangular_root,
)

INF = float("inf")


def equal(size, r):
    return torch.full((size, size), r, dtype=torch.float64).fill_diagonal_(1)


def fires(latents, n=8192, seed=0):
    offsets, features = latents.fire(Draws(seed), n)
    ones = torch.ones(len(features))
    return SparseCoefficients(offsets, features, ones, len(latents.thresholds)).dense() > 0


def check_pairs(latents, n=8192):
    """What fires together is what the bivariate normal law says."""
    found = fires(latents, n).double()
    t = latents.thresholds
    everything = torch.arange(len(t))
    expected = both_exceed(t[:, None], t[None, :], latents.correlations(everything))
    sigma = (expected * (1 - expected) / n).sqrt()
    assert bool(((found.T @ found / n - expected).abs() <= SIGMAS * sigma + 3 / n).all())


class TestTriangularRoot:
    @given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**32))
    def test_is_a_root_even_of_singular_matrices(self, size, rank, seed):
        factor = torch.randn(3, size, rank, generator=torch.Generator().manual_seed(seed)).double()
        matrices = factor @ factor.mT
        root = triangular_root(matrices)
        torch.testing.assert_close(root @ root.mT, matrices, rtol=1e-9, atol=1e-9)
        assert bool((root.triu(1) == 0).all())

    @pytest.mark.parametrize("size", [1, 7, 128, 300])
    def test_product_leaves_out_only_zeros(self, size):
        normal = torch.randn(2, 5, size, generator=torch.Generator().manual_seed(0))
        roots = torch.randn(2, size, size, generator=torch.Generator().manual_seed(1)).tril()
        torch.testing.assert_close(times_triangular(normal, roots), normal @ roots.mT)


class TestBlockLatents:
    def test_unequal_thresholds_and_signs(self):
        blocks = torch.stack([equal(3, -0.4), equal(3, 0.7)])
        p = torch.tensor([0.5, 0.02, 0.9, 0.1, 0.3, 0.003], dtype=torch.float64)
        check_pairs(BlockLatents(thresholds_of(p), blocks), n=50_000)

    def test_more_columns_than_are_multiplied_at_a_time(self):
        p = torch.linspace(0.02, 0.3, 150, dtype=torch.float64)
        check_pairs(BlockLatents(thresholds_of(p), equal(150, 0.6)[None]))

    def test_equal_latents_fire_alike_and_opposite_ones_apart(self):
        p = torch.tensor([0.2, 0.2, 0.1, 0.8], dtype=torch.float64)
        signs = torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
        latents = BlockLatents(thresholds_of(p), torch.outer(signs, signs)[None])
        found = fires(latents)
        assert bool((found[:, 0] == found[:, 1]).all())
        assert bool((found[:, 0] | ~found[:, 2]).all())  # the rarer one only with the other
        assert bool((found[:, 0] != found[:, 3]).all())

    def test_never_and_always(self):
        latents = BlockLatents(torch.tensor([INF, -INF, 0.0]).double(), equal(3, 0.5)[None])
        found = fires(latents)
        assert not bool(found[:, 0].any())
        assert bool(found[:, 1].all())

    def test_correlations_of_some_features_in_any_order(self):
        blocks = torch.stack([equal(2, 0.1), equal(2, 0.2)])
        latents = BlockLatents(torch.zeros(4).double(), blocks)
        found = latents.correlations(torch.tensor([3, 0, 2, 3]))
        expected = [[1, 0, 0.2, 1], [0, 1, 0, 0], [0.2, 0, 1, 0.2], [1, 0, 0.2, 1]]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))

    def test_many_features_in_small_blocks(self):
        n = 4000
        p = torch.full((n,), 0.01, dtype=torch.float64)
        latents = BlockLatents(thresholds_of(p), equal(4, 1.0).expand(n // 4, -1, -1))
        found = fires(latents, 256).view(256, n // 4, 4)
        assert bool((found.all(2) == found.any(2)).all())
        frequency = float(found[..., 0].double().mean())
        assert abs(frequency - 0.01) < SIGMAS * (0.01 / (256 * n / 4)) ** 0.5

    @given(st.integers(0, 3), st.integers(0, 2**32))
    def test_any_number_of_samples(self, n, seed):
        latents = BlockLatents(torch.zeros(4).double(), equal(4, 0.3)[None])
        offsets, features = latents.fire(Draws(seed), n)
        assert offsets.shape == (n + 1,)
        assert int(offsets[-1]) == len(features)


class TestFactorLatents:
    @given(st.integers(0, 2**32))
    @settings(max_examples=5)
    def test_pairs_fire_as_their_loadings_say(self, seed):
        generator = torch.Generator().manual_seed(seed)
        loadings = 0.35 * torch.randn(6, 3, generator=generator).double().clamp(-1.5, 1.5)
        p = torch.tensor([0.5, 0.02, 0.9, 0.1, 0.3, 0.005], dtype=torch.float64)
        check_pairs(FactorLatents(thresholds_of(p), loadings))

    def test_a_feature_correlates_fully_with_itself(self):
        loadings = torch.tensor([[0.6, 0.0], [0.5, 0.5], [0.0, -0.2]], dtype=torch.float64)
        found = FactorLatents(torch.zeros(3), loadings).correlations(torch.tensor([1, 0, 2, 1]))
        expected = [[1, 0.3, -0.1, 1], [0.3, 1, 0, 0.3], [-0.1, 0, 1, -0.1], [1, 0.3, -0.1, 1]]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
