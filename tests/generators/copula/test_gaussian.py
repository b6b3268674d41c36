from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import multivariate_normal, norm

from toysae.generators.copula.gaussian import (
    both_exceed,
    latent_of_phi,
    phi_bounds,
    phi_of_latent,
    thresholds_of,
)

PROBABILITIES = st.floats(1e-4, 1 - 1e-4)
CORRELATIONS = st.floats(-1, 1)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def joint(a, b, r):
    return float(both_exceed(tensor(a), tensor(b), tensor(r)))


def by_quadrature(a, b, r):
    """P(X > a, Y > b) as the integral over x > a of the density times P(Y > b | x)."""
    spread = math.sqrt(1 - r * r)
    value, _ = integrate.quad(
        lambda x: norm.pdf(x) * norm.sf((b - r * x) / spread),
        a,
        40,
        points=(max(a, -9) + 0.5, max(a, -9) + 2, max(a, -9) + 6),
        epsabs=0,
        epsrel=1e-12,
        limit=500,
    )
    return value


class TestBothExceed:
    @pytest.mark.parametrize("r", [-0.99, -0.5, 0.0, 0.3, 0.9, 0.999])
    def test_equals_the_bivariate_normal_law_of_scipy(self, r):
        grid = (-3.0, -1.2, 0.0, 0.5, 2.0, 3.5)
        law = multivariate_normal([0, 0], [[1, r], [r, 1]])
        for a, b in itertools.product(grid, grid):
            # (X, Y) has the law of (-X, -Y).
            assert joint(a, b, r) == pytest.approx(law.cdf([-a, -b]), abs=1e-10)

    @pytest.mark.parametrize(
        ("a", "b", "r"), [(4, 5, 0.5), (5, 5, 0.9), (6, -1, 0.3), (3, 3, -0.3), (-4, 4.5, 0.8)]
    )
    def test_keeps_its_digits_far_out(self, a, b, r):
        assert joint(a, b, r) == pytest.approx(by_quadrature(a, b, r), rel=1e-8)

    def test_at_zero_it_is_an_angle(self):
        """P(X > 0, Y > 0) = 1/4 + arcsin(r) / (2 pi): 1/3 at r = 1/2."""
        assert joint(0, 0, 0.5) == pytest.approx(1 / 3, abs=1e-15)
        assert joint(0, 0, -0.5) == pytest.approx(1 / 6, abs=1e-15)

    @given(PROBABILITIES, PROBABILITIES)
    def test_independent_opposite_and_equal(self, p, q):
        a, b = thresholds_of(tensor(p, q)).tolist()
        assert joint(a, b, 0) == pytest.approx(p * q, abs=1e-15)
        assert joint(a, b, 1) == pytest.approx(min(p, q), abs=1e-15)
        assert joint(a, b, -1) == pytest.approx(max(0, p + q - 1), abs=1e-15)

    @given(PROBABILITIES, PROBABILITIES, CORRELATIONS)
    def test_with_and_without_the_other_make_up_the_marginal(self, p, q, r):
        a, b = thresholds_of(tensor(p, q)).tolist()
        assert joint(a, b, r) + joint(a, -b, -r) == pytest.approx(p, abs=1e-14)
        assert joint(a, b, r) == pytest.approx(joint(b, a, r), abs=1e-15)

    @given(PROBABILITIES, PROBABILITIES, CORRELATIONS, CORRELATIONS)
    def test_grows_with_correlation_within_the_bounds_of_frechet(self, p, q, r, s):
        a, b = thresholds_of(tensor(p, q)).tolist()
        low, high = sorted((r, s))
        values = (max(0, p + q - 1), joint(a, b, low), joint(a, b, high), min(p, q))
        assert (np.diff(values) >= -1e-15).all()

    @pytest.mark.parametrize("r", [-1.0, -0.4, 0.0, 0.4, 1.0])
    def test_never_and_always(self, r):
        never, always, sometimes = math.inf, -math.inf, thresholds_of(tensor(0.3)).item()
        assert joint(never, sometimes, r) == 0
        assert joint(never, never, r) == 0
        assert joint(never, always, r) == 0
        assert joint(always, sometimes, r) == pytest.approx(0.3)
        assert joint(always, always, r) == 1

    def test_arguments_broadcast(self):
        found = both_exceed(torch.zeros(3, 1), torch.zeros(2), tensor(0.5))
        torch.testing.assert_close(found, torch.full((3, 2), 1 / 3, dtype=torch.float64))


class TestPhi:
    @pytest.mark.parametrize(
        ("p", "latent", "phi"),
        [
            (0.1, 0.5, 0.248906),
            (0.1, 0.9, 0.654055),
            (0.1, 0.99, 0.890043),
            (0.01, 0.5, 0.120598),
            (0.01, 0.9, 0.537344),
            (0.01, 0.99, 0.848671),
        ],
    )
    def test_latents_correlate_more_than_what_fires(self, p, latent, phi):
        found = phi_of_latent(tensor(p), tensor(p), tensor(latent))
        assert found.item() == pytest.approx(phi, abs=5e-7)
        assert latent_of_phi(tensor(p), tensor(p), found).item() == pytest.approx(latent, abs=1e-10)

    @pytest.mark.parametrize(("latent", "given"), [(0.5, 0.129), (0.9, 0.542), (0.99, 0.850)])
    def test_conditional_probability_at_one_in_a_hundred(self, latent, given):
        """P(b | a) = p + phi (1 - p) for two features of equal probability."""
        phi = phi_of_latent(tensor(0.01), tensor(0.01), tensor(latent)).item()
        assert 0.01 + 0.99 * phi == pytest.approx(given, abs=5e-4)

    @pytest.mark.parametrize(("p", "measured"), [(0.5, 0.591), (0.1, 0.516), (0.02, 0.420)])
    def test_near_what_was_measured_in_samples_of_saelens(self, p, measured):
        found = phi_of_latent(tensor(p), tensor(p), tensor(0.8)).item()
        assert found == pytest.approx(measured, abs=0.01)

    def test_at_one_half_it_is_an_angle(self):
        found = phi_of_latent(tensor(0.5), tensor(0.5), tensor(0.8)).item()
        assert found == pytest.approx(2 / math.pi * math.asin(0.8), abs=1e-14)

    @pytest.mark.parametrize(
        ("p", "q", "low", "high"), [(0.1, 0.1, -1 / 9, 1), (0.5, 0.1, -1 / 3, 1 / 3)]
    )
    def test_bounds(self, p, q, low, high):
        """P(both) lies in [0, 0.1]; phi = (P(both) - p q) / sqrt(p (1-p) q (1-q))."""
        for found, expected in zip(phi_bounds(tensor(p), tensor(q)), (low, high)):
            assert found.item() == pytest.approx(expected, abs=1e-14)

    @pytest.mark.parametrize("p", [0.0, 1.0])
    def test_undefined_where_a_feature_never_varies(self, p):
        for found in phi_bounds(tensor(p), tensor(0.5)):
            assert found.isnan().all()
        assert phi_of_latent(tensor(p), tensor(0.5), tensor(0.3)).isnan().all()
        assert latent_of_phi(tensor(p), tensor(0.5), tensor(0.0)).isnan().all()


class TestLatentOfPhi:
    @given(PROBABILITIES, PROBABILITIES, CORRELATIONS)
    def test_gives_the_phi_that_was_asked_for(self, p, q, r):
        p, q = tensor(p), tensor(q)
        phi = phi_of_latent(p, q, tensor(r))
        solved = latent_of_phi(p, q, phi)
        torch.testing.assert_close(phi_of_latent(p, q, solved), phi, rtol=0, atol=5e-12)

    @given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(-0.6, 0.6))
    def test_inverts(self, p, q, r):
        p, q, r = tensor(p), tensor(q), tensor(r)
        solved = latent_of_phi(p, q, phi_of_latent(p, q, r))
        torch.testing.assert_close(solved, r, rtol=0, atol=1e-10)

    @given(st.floats(0, 0.9))
    def test_inverts_for_rare_features(self, r):
        p, r = tensor(1e-3), tensor(r)
        solved = latent_of_phi(p, p, phi_of_latent(p, p, r))
        torch.testing.assert_close(solved, r, rtol=0, atol=1e-10)

    def test_bounds_are_reached_by_latents_that_are_equal_or_opposite(self):
        p, q = tensor(0.1), tensor(0.3)
        low, high = phi_bounds(p, q)
        assert latent_of_phi(p, q, low).item() == -1
        assert latent_of_phi(p, q, high).item() == 1

    def test_undefined_outside_the_bounds(self):
        p = tensor(0.1)
        assert latent_of_phi(p, p, tensor(-0.12, 1.01)).isnan().all()

    def test_thresholds(self):
        found = thresholds_of(tensor(0.0, 0.5, 1.0, norm.sf(3.0)))
        assert found[:3].tolist() == [math.inf, 0, -math.inf]
        assert found[3].item() == pytest.approx(3.0)
