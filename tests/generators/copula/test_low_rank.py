from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.copula.low_rank import LowRank, LowRankLatents
from toysae.generators.copula.low_rank_kernel import is_below_phi

#: Binomial tails: 4e-8 a comparison.
TAIL = 2e-8


def latents(probabilities, loadings):
    p = torch.tensor(probabilities, dtype=torch.float64)
    thresholds = -torch.from_numpy(ndtri(p.numpy()))
    return LowRankLatents(thresholds, torch.tensor(loadings, dtype=torch.float64))


def fires(law, n, seed=0, factors=None):
    """Dense 0/1 table `[n, features]`."""
    draws = Draws(seed)
    factors = law.factors(draws, n) if factors is None else factors
    samples, features = law.fire(draws, factors)
    table = torch.zeros(n, len(law.thresholds), dtype=torch.float64)
    table.index_put_((samples, features), torch.ones(len(samples)).double(), accumulate=True)
    assert set(table.unique().tolist()) <= {0.0, 1.0}, "a feature fires once or not at all"
    return table


def check_counts(counts, n, p):
    law = stats.binom(n, np.asarray(p))
    assert float(law.cdf(counts).min()) > TAIL
    assert float(law.sf(np.asarray(counts) - 1).min()) > TAIL


class TestLoadings:
    def test_scale_and_independence(self):
        loadings = LowRank(rank=25, scale=0.1).loadings(20_000)
        assert loadings.shape == (20_000, 25)
        assert loadings.dtype == torch.float64
        assert float(loadings.std()) == pytest.approx(0.1, rel=0.005)
        second = loadings.T @ loadings / 20_000 / 0.01
        torch.testing.assert_close(second, torch.eye(25).double(), rtol=0, atol=0.06)

    def test_more_features_leave_those_of_the_first(self):
        assert torch.equal(LowRank(seed=3).loadings(50)[:20], LowRank(seed=3).loadings(20))
        assert not torch.equal(LowRank(seed=3).loadings(20), LowRank(seed=4).loadings(20))

    def test_a_latent_keeps_some_noise_of_its_own(self):
        """Of squared norms with mean 0.98, about half exceed 0.99 and become just that."""
        shared = LowRank(rank=2, scale=0.7).loadings(1000).square().sum(1)
        assert float(shared.max()) == pytest.approx(0.99)
        assert 200 < int((shared > 0.99 - 1e-9).sum()) < 600
        unchanged = LowRank(rank=2, scale=0.1).loadings(1000) * 7
        kept = shared < 0.99 - 1e-9
        torch.testing.assert_close(LowRank(rank=2, scale=0.7).loadings(1000)[kept], unchanged[kept])

    def test_of_the_default_none_is_shortened(self):
        assert float(LowRank().loadings(100_000).square().sum(1).max()) < 0.99

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"rank": 0}, "^low_rank.rank = 0: must be at least 1"),
            ({"scale": -0.1}, "^low_rank.scale = -0.1: must be at least 0"),
            ({"seed": -1}, "^low_rank.seed = -1: must be at least 0"),
            ({"rank": 25, "scale": 0.2}, r"^low_rank.scale = 0.2: .* must be below 0.2$"),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            LowRank(**fields)


class TestPhi:
    @given(st.floats(-12, 12), st.floats(0, 1, exclude_max=True))
    @example(-9.0, 0.0)
    @example(9.0, 1 - 2**-53)
    @example(8.999999999999999, 1 - 2**-53)
    @example(math.inf, 1 - 2**-53)
    @example(0.0, 0.5)
    def test_is_the_comparison_with_the_distribution_function(self, x, u):
        phi = float(ndtr(x))
        if abs(u - phi) > 4e-16:
            assert is_below_phi(u, x) == (u < phi)

    @given(st.floats(-9, 9), st.floats(-1e-6, 1e-6))
    def test_close_to_the_distribution_function_too(self, x, relative):
        u = float(ndtr(x)) * (1 + relative)
        if abs(relative) > 1e-12 and u < 1:
            assert is_below_phi(u, x) == (relative < 0)

    def test_what_never_fires_does_not(self):
        assert not is_below_phi(0.0, -math.inf)


class TestGivenTheFactors:
    """Features are independent, each with a probability known in closed form."""

    @given(st.data())
    @settings(max_examples=15)
    def test_each_fires_with_its_probability(self, data):
        """Contributions below, at and far above the bound of 2.25 standard deviations."""
        probability = st.sampled_from((1e-4, 0.003, 0.05, 0.3, 0.6, 0.99))
        p = data.draw(st.lists(probability, min_size=1, max_size=5))
        norm = data.draw(st.sampled_from((0.0, 0.1, 0.5, 0.95)))
        g = data.draw(st.sampled_from((-3.0, 0.0, 1.0, 2.2, 2.3, 4.0)))
        n = 20_000
        law = latents(p, [[norm, 0.0]] * len(p))
        table = fires(law, n, data.draw(st.integers(0, 999)), torch.tensor([[g, 1.0]]).repeat(n, 1))
        z = (norm * g - law.thresholds.numpy()) / math.sqrt(1 - norm**2)
        q = ndtr(z)
        check_counts(table.sum(0), n, q)
        together = (table.T @ table).numpy()
        expected = np.outer(q, q)
        np.fill_diagonal(expected, q)
        check_counts(together, n, expected)

    def test_samples_are_independent(self):
        """Runs: what fires on a sample says nothing about the next."""
        law = latents([0.05], [[0.5]])
        column = fires(law, 50_000, factors=torch.zeros(50_000, 1))[:, 0]
        q = ndtr(float(ndtri(0.05)) / math.sqrt(0.75))
        check_counts([float((column[1:] * column[:-1]).sum())], 49_999, [q**2])


class TestJointLaw:
    P = (0.02, 0.1, 0.4, 0.7)
    LOADINGS = ((0.8, 0.0), (0.5, 0.5), (-0.6, 0.6), (0.0, 0.0))

    def test_marginals_and_pairs(self):
        n = 100_000
        law = latents(self.P, self.LOADINGS)
        table = fires(law, n)
        expected = np.diag(np.array(self.P))
        correlation = np.array(self.LOADINGS) @ np.array(self.LOADINGS).T
        for i in range(4):
            for j in range(i):
                covariance = [[1, correlation[i, j]], [correlation[i, j], 1]]
                both = stats.multivariate_normal([0, 0], covariance).cdf(
                    ndtri([self.P[i], self.P[j]])
                )
                expected[i, j] = expected[j, i] = both
        check_counts((table.T @ table).numpy(), n, expected)

    def test_impossible_and_certain(self):
        law = latents([0.0, 1.0, 0.0, 1.0], [[0.9], [0.9], [0.0], [0.0]])
        table = fires(law, 5000)
        assert table.mean(0).tolist() == [0.0, 1.0, 0.0, 1.0]

    @pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 1000])
    @pytest.mark.parametrize("features", [1, 512, 513])
    def test_whatever_the_tiles(self, n, features):
        """Every feature of every sample has its turn, at the edges of tiles too."""
        law = latents([1.0] * features, [[0.1] * 3] * features)
        assert bool(fires(law, n).eq(1).all())

    def test_many_features_have_their_marginals(self):
        p = np.geomspace(0.3, 1e-3, 700)
        table = fires(latents(p.tolist(), LowRank(seed=2).loadings(700).tolist()), 20_000)
        check_counts(table.sum(0), 20_000, p)

    def test_key_gives_the_firings(self):
        law = latents([0.1] * 20, LowRank().loadings(20).tolist())
        draws = Draws(5)
        first, again = (law.fire(draws, law.factors(draws, 300)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, again))
        other = law.fire(draws.at_block(1), law.factors(draws.at_block(1), 300))
        assert not (len(other[0]) == len(first[0]) and torch.equal(other[0], first[0]))
