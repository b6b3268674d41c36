"""Correlations and variance inflation that generators imply, from their stated truth alone."""

from __future__ import annotations

import pytest
import torch

from toysae.generators.copula.correlation import Blocks
from toysae.generators.correlated import Correlated
from toysae.generators.groups import GroupsAtMostOne, GroupsExactlyOne, GroupsTogether
from toysae.generators.laws import magnitudes
from toysae.generators.laws.profiles import Constant
from toysae.generators.truth import Truth, firing_correlation


def correlation(truth: Truth) -> torch.Tensor:
    """Correlation of the coefficients."""
    spread = truth.covariance.diagonal().sqrt()
    return truth.covariance / spread.outer(spread)


def largest_vif(truth: Truth) -> float:
    """The variance inflation factor is the diagonal of the inverse correlation matrix."""
    return float(torch.linalg.inv(correlation(truth)).diagonal().max())


@pytest.mark.parametrize(
    ("n", "rho", "vif"),
    [(2, -0.6, 1.5625), (3, -1 / 3, 1.5), (5, -3 / 17, 1.36), (10, -3 / 37, 1.2025)],
)
def test_one_hot_set_of_uniform_magnitude(n, rho, vif):
    truth = GroupsExactlyOne(n_groups=1, size=n, probability=Constant(1.0)).truth()
    assert float(correlation(truth)[0, 1]) == pytest.approx(rho, abs=1e-9)
    assert largest_vif(truth) == pytest.approx(vif, abs=1e-9)


def test_one_hot_set_of_constant_magnitude_is_singular():
    """Coefficients sum to 1: the features are collinear with the intercept."""
    group = GroupsExactlyOne(
        n_groups=1, size=4, probability=Constant(1.0), magnitude=magnitudes.Constant()
    )
    eigenvalues = torch.linalg.eigvalsh(group.truth().covariance)
    assert float(eigenvalues[0]) == pytest.approx(0, abs=1e-12)
    assert float(eigenvalues[1]) == pytest.approx(0.25)


@pytest.mark.parametrize(("k", "q", "vif"), [(2, 0.25, 1.125), (10, 0.05, 1.045)])
def test_exclusive_features(k, q, vif):
    """Their indicators correlate by -q / (1 - q)."""
    group = GroupsAtMostOne(
        n_groups=1, size=k, probability=Constant(q), magnitude=magnitudes.Constant()
    )
    truth = group.truth()
    phi = firing_correlation(truth.pair_probabilities)
    assert float(phi[0, 1]) == pytest.approx(-q / (1 - q))
    assert largest_vif(truth) == pytest.approx(vif, abs=1e-9)


@pytest.mark.parametrize(
    ("q", "rho", "vif"), [(0.5, 0.6, 1.5625), (0.1, 0.729730, 2.139063), (0.01, 0.748111, 2.271023)]
)
def test_perfect_cooccurrence_is_hardly_seen_by_the_vif(q, rho, vif):
    """Independent U(0, 1) magnitudes: at most 16/7, however rare the pair."""
    truth = GroupsTogether(n_groups=1, size=2, probability=Constant(q)).truth()
    assert float(correlation(truth)[0, 1]) == pytest.approx(rho, abs=1e-6)
    assert largest_vif(truth) == pytest.approx(vif, abs=1e-6)
    shared = GroupsTogether(1, 2, probability=Constant(q), amplitude_correlation=1.0).truth()
    assert float(correlation(shared)[0, 1]) == pytest.approx(1)


def test_a_correlation_that_is_asked_for_is_that_of_the_firings():
    """What a Gaussian copula does not give unless it is solved for."""
    for kind, expected in (("firing", 0.5), ("latent", 0.248906)):
        truth = Correlated(
            4, Constant(0.1), correlation=Blocks(size=2, within=0.5), correlation_of=kind
        ).truth()
        phi = firing_correlation(truth.pair_probabilities)
        assert float(phi[0, 1]) == pytest.approx(expected, abs=1e-6)
        assert float(phi[0, 2]) == pytest.approx(0, abs=1e-12)
