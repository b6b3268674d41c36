from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS, check_truth, sample
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.sharkey import SharkeyHuben
from toysae.generators.truth import firing_correlation


@st.composite
def generators(draw):
    n = draw(st.integers(1, 5))
    decay = draw(st.floats(0.5, 1))
    most = sum(decay**i for i in range(n)) / 2
    return SharkeyHuben(n, decay, draw(st.floats(0.2, 0.99)) * most, seed=draw(st.integers(0, 9)))


def small(**fields):
    return SharkeyHuben(n_features=20, mean_active=2.0, **fields)


class TestCovariance:
    def test_is_uniform_numbers_made_symmetric_on_a_large_diagonal(self):
        """Means of two uniform numbers: mean 1/2 and variance 1/24, on a diagonal near 2 sigma
        sqrt(n) = 9.2, with 0.001 of that left as the smallest eigenvalue.
        """
        covariance = SharkeyHuben().covariance
        torch.testing.assert_close(covariance, covariance.T)
        i, j = torch.triu_indices(512, 512, 1)
        values = covariance[i, j]
        assert bool(((values >= 0) & (values <= 1)).all())
        assert float(values.mean()) == pytest.approx(0.5, abs=5 * (1 / 24 / len(values)) ** 0.5)
        assert float(values.var()) == pytest.approx(1 / 24, rel=0.02)
        assert float(covariance.diagonal().mean()) == pytest.approx(0.5 + 9.2, rel=0.05)
        smallest = float(torch.linalg.eigvalsh(covariance)[0])
        assert smallest == pytest.approx(0.001 * 9.2, rel=0.05)

    def test_is_left_alone_where_it_is_possible(self):
        assert 0 <= float(SharkeyHuben(1, mean_active=0.5).covariance) <= 1

    def test_belongs_to_its_seed(self):
        assert torch.equal(small(seed=1).covariance, small(seed=1).covariance)
        assert not torch.equal(small(seed=1).covariance, small(seed=2).covariance)


class TestTruth:
    @given(generators(), st.integers(0, 2**32))
    @settings(max_examples=8)
    def test_samples_are_what_it_states(self, generator, seed):
        check_truth(generator, n=16384, seed=seed)

    def test_is_the_same_for_both_scopes(self):
        alone, shared = small().truth(), small(correlation_scope="batch").truth()
        torch.testing.assert_close(alone.marginals, shared.marginals)

    @pytest.mark.parametrize("batch_size", [16, 256])
    def test_samples_of_a_batch_are_what_it_states(self, batch_size):
        """Batches are independent, samples of a batch are not: errors are those of batch means."""
        generator = small(correlation_scope="batch", batch_size=batch_size)
        truth = generator.truth()
        values = torch.cat([sample(generator, 8192, seed) for seed in range(8)])
        pairs = torch.einsum("ni,nj->nij", values, values).flatten(1)
        for found, expected in (
            ((values > 0).double(), truth.marginals),
            (values, truth.mean),
            (values**2, truth.square),
            (pairs, truth.second_moment.flatten()),
        ):
            means = found.view(-1, batch_size, found.shape[1]).mean(1)
            error = (means.var(0) / len(means)).sqrt()
            assert bool(((means.mean(0) - expected).abs() <= SIGMAS * error + 1e-4).all())

    def test_one_feature_always_fires(self):
        """With probability 1/2 by itself, else because nothing else does: at 1.0."""
        truth = SharkeyHuben(1, mean_active=0.5).truth()
        assert truth.marginals.tolist() == pytest.approx([1.0])
        assert truth.mean.tolist() == pytest.approx([0.5 * 0.5 + 0.5])
        assert truth.square.tolist() == pytest.approx([0.5 / 3 + 0.5])

    def test_two_features_that_share_a_probability_of_one(self):
        """p_0 + p_1 = 1, so that none fires as often as both: p_0 p_1."""
        truth = SharkeyHuben(2, decay=1.0, mean_active=1.0).truth()
        both = float(truth.pair_probabilities[0, 1])
        assert 0.05 < both < 0.25
        assert truth.l0 == pytest.approx(1 + both, abs=1e-6)

    def test_standard_errors_are_right(self):
        """Against probabilities given other latents, in units of both errors."""
        generator = SharkeyHuben(n_features=60, mean_active=2.0)
        truth = generator.truth()
        p = generator._probabilities(Draws(99), "latents", 2**15).double()
        fires = p + (1 - p).prod(1, keepdim=True) / 60
        error = (truth.marginals_error**2 + fires.var(0) / len(fires)).sqrt()
        scores = (fires.mean(0) - truth.marginals) / error
        assert float(scores.abs().max()) < 4.5
        assert 0.7 < float(scores.square().mean().sqrt()) < 1.4

    def test_what_fires_hardly_correlates(self):
        truth = SharkeyHuben(n_features=256).truth()
        phi = firing_correlation(truth.pair_moments(torch.arange(40)).probabilities)
        i, j = torch.triu_indices(40, 40, 1)
        assert float(phi[i, j].abs().max()) < 0.01

    def test_of_some_features_in_any_order(self):
        truth = small().truth()
        some = torch.tensor([7, 3, 7])
        found, every = truth.pair_moments(some), truth.pairs
        block = (some[:, None], some[None, :])
        for name in ("probabilities", "products", "probabilities_error", "products_error"):
            torch.testing.assert_close(getattr(found, name), getattr(every, name)[block])

    def test_says_that_it_is_estimated(self):
        truth = small().truth()
        assert not truth.exact
        assert bool((truth.pairs.probabilities_error > 0).all())


class TestSamples:
    @given(st.integers(0, 1000), st.sampled_from(("sample", "batch")), st.integers(0, 2**32))
    @settings(max_examples=20)
    def test_something_always_fires(self, n, scope, seed):
        values = sample(small(correlation_scope=scope, batch_size=64), n, seed)
        assert values.shape == (n, 20)
        assert bool((values > 0).any(1).all())
        assert bool((values <= 1).all())

    def test_empty_samples_get_one_feature_at_one(self):
        law = magnitudes.Constant(profiles.Constant(0.25))
        values = sample(SharkeyHuben(4, mean_active=0.1, magnitude=law), 20_000)
        added = (values == 1).any(1)
        assert bool(((values[added] > 0).sum(1) == 1).all())
        # 1 - P(none) lies between 0.1 / 1.2 and 0.1.
        assert 0.9 < float(added.double().mean()) < 0.92
        frequency = (values[added] > 0).double().mean(0)
        assert bool(((frequency - 0.25).abs() < SIGMAS * (0.1875 / 18_000) ** 0.5).all())

    def test_probabilities_have_the_wanted_mean_whatever_the_latents(self):
        p = SharkeyHuben()._probabilities(Draws(0), "latents", 100)
        torch.testing.assert_close(p.sum(1), torch.full((100,), 5.0))
        assert float(p.max()) < 1

    def test_latents_are_shared_by_a_batch_only(self):
        """Frequencies of batches vary beyond chance where latents are shared, not otherwise."""
        for scope, expected in (("sample", False), ("batch", True)):
            generator = small(correlation_scope=scope, batch_size=128)
            fires = (sample(generator, 16384) > 0).double()
            means = fires.view(-1, 128, 20).mean(1)
            chance = fires.mean(0) * (1 - fires.mean(0)) / 128
            ratio = float((means.var(0) / chance).mean())
            assert (ratio > 3) == expected
            assert (ratio < 1.2) != expected

    @pytest.mark.parametrize("scope", ["sample", "batch"])
    def test_same_key_same_bits(self, scope):
        generator = small(correlation_scope=scope)
        first, again = (generator.sample(Draws(1), 1000).dense() for _ in range(2))
        torch.testing.assert_close(first, again, rtol=0, atol=0)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_features": 0}, "n_features = 0"),
            ({"decay": 0.0}, "decay = 0.0"),
            ({"decay": 1.1}, r"decay = 1.1: must lie in \[0, 1\]"),
            ({"mean_active": 0.0}, "mean_active = 0.0"),
            (
                {"n_features": 3, "decay": 0.5, "mean_active": 1.0},
                r"mean_active = 1.0: must lie in \[0, 0.875\]",
            ),
            ({"correlation_scope": "epoch"}, "correlation_scope = 'epoch': .* batch, sample"),
            ({"batch_size": 0}, "batch_size = 0"),
            ({"batch_size": 100}, "batch_size = 100: must divide 8192"),
            ({"seed": -1}, "seed = -1"),
        ],
    )
    def test_fields(self, fields, message):
        with pytest.raises(ConfigError, match=f"generator.{message}"):
            SharkeyHuben(**fields)
