from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.monte_carlo import estimate_truth
from toysae.generators.truth import PairMoments, Truth, firing_correlation

SIGMAS = 5.5


class TestFiringCorrelation:
    def test_by_hand(self):
        """20 and 30 of 100 firings, 15 together: phi .490990."""
        phi = firing_correlation(torch.tensor([[0.2, 0.15], [0.15, 0.3]], dtype=torch.float64))
        assert float(phi[0, 1]) == pytest.approx(0.490990, abs=1e-6)
        assert phi.diagonal().tolist() == pytest.approx([1.0, 1.0])

    def test_undefined_for_what_never_or_always_fires(self):
        p = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.5, 0.5]], dtype=torch.float64)
        phi = firing_correlation(p)
        assert phi.isnan().tolist() == [[True] * 3, [True] * 3, [True, True, False]]


def test_tables_over_too_many_pairs_are_refused():
    many = torch.full((5000,), 0.1, dtype=torch.float64)
    truth = Truth(["f"] * 5000, {}, many, many, many, lambda features: None)
    with pytest.raises(ConfigError, match=r"pairs of 5,000 features: made for up to 4,096"):
        truth.pair_probabilities  # noqa: B018


def test_exact_moments_have_no_error():
    table = torch.eye(2, dtype=torch.float64)
    moments = PairMoments.exact(table, table)
    assert float(moments.probabilities_error.abs().max()) == 0
    assert float(moments.products_error.abs().max()) == 0


class TestEstimates:
    """Held against a generator whose truth is known."""

    GENERATOR = ComposedSets(sizes=(2, 3), amplitude_correlation=0.5, one_hot_fraction=0.25)
    ESTIMATE = estimate_truth(GENERATOR.sample, ["f"] * 5, {}, n_samples=2**16)

    def test_errors_are_those_of_means(self):
        exact, n = self.GENERATOR.truth(), 2**16
        for found, error, expected in (
            (self.ESTIMATE.marginals, self.ESTIMATE.marginals_error, exact.marginals),
            (self.ESTIMATE.mean, self.ESTIMATE.mean_error, exact.mean),
            (self.ESTIMATE.square, self.ESTIMATE.square_error, exact.square),
        ):
            assert bool(((found - expected).abs() <= SIGMAS * error).all())
        p = exact.marginals
        # Amplitudes of features of set x are uniform: E[c^4] = p / 5.
        for error, mean, square in (
            (self.ESTIMATE.marginals_error, p, p),
            (self.ESTIMATE.mean_error, exact.mean, exact.square),
            (self.ESTIMATE.square_error[:2], exact.square[:2], p[:2] / 5),
        ):
            expected = ((square - mean.square()) / n).sqrt()
            torch.testing.assert_close(error, expected, rtol=0.05, atol=0)

    def test_pairs_of_chosen_features(self):
        exact = self.GENERATOR.truth()
        features = torch.tensor([4, 0, 1])
        block = (features[:, None], features[None, :])
        found = self.ESTIMATE.pair_moments(features)
        off = (found.probabilities - exact.pair_probabilities[block]).abs()
        assert bool((off <= SIGMAS * found.probabilities_error).all())
        off = (found.products - exact.second_moment[block]).abs()
        assert bool((off <= SIGMAS * found.products_error).all())

    def test_what_was_never_seen_is_not_held_impossible(self):
        """Two features of one set exclude each other; the estimate cannot know."""
        found = self.ESTIMATE.pair_moments(torch.tensor([0, 1]))
        assert float(found.probabilities[0, 1]) == 0
        assert float(found.probabilities_error[0, 1]) == 2.0**-16

    def test_says_that_it_is_none_of_the_exact_ones(self):
        assert not self.ESTIMATE.exact
        assert self.GENERATOR.truth().exact

    def test_is_a_function_of_the_generator_alone(self):
        again = estimate_truth(self.GENERATOR.sample, ["f"] * 5, {}, n_samples=2**16)
        assert torch.equal(again.marginals, self.ESTIMATE.marginals)
        assert math.isclose(again.l0, self.ESTIMATE.l0)
