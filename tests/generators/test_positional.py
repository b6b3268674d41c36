from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tests.generators.statistics import check_truth
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.positional import Positional

ONE = magnitudes.Constant()


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@st.composite
def generators(draw):
    n = draw(st.integers(1, 6))
    densities = st.lists(st.floats(0.02, 1) | st.just(1.0), min_size=n, max_size=n)
    return Positional(
        n_features=n,
        density=draw(
            st.floats(0.05, 1).map(profiles.Constant) | densities.map(tuple).map(profiles.Array)
        ),
        magnitude=draw(st.sampled_from((magnitudes.Uniform(), ONE))),
    )


def bump(position, centre, width):
    distance = abs(position - centre) % 1
    distance = min(distance, 1 - distance)
    return (1 + math.cos(2 * math.pi * distance / width)) / 2 if distance < width / 2 else 0.0


def shared(one, other):
    """What two windows (centre, width) share and the integral of both bumps, piece by piece."""
    ends = {0.0, 1.0}
    for centre, width in (one, other):
        ends |= {(centre - width / 2) % 1, (centre + width / 2) % 1}
    together = bumps = 0.0
    for low, high in itertools.pairwise(sorted(ends)):
        middle = (low + high) / 2
        if bump(middle, *one) > 0 and bump(middle, *other) > 0:
            together += high - low
            bumps += quad(lambda t: bump(t, *one) * bump(t, *other), low, high, epsabs=1e-12)[0]
    return together, bumps


class TestTruth:
    def test_by_hand(self):
        """Four windows of 3/8: neighbours share 1/8, opposites nothing."""
        truth = Positional(4, profiles.Constant(0.375), ONE).truth()
        expected = tensor([[3, 1, 0, 1], [1, 3, 1, 0], [0, 1, 3, 1], [1, 0, 1, 3]]) / 8
        close(truth.pair_probabilities, expected)
        close(truth.marginals, torch.full((4,), 0.375, dtype=torch.float64))
        close(truth.mean, torch.full((4,), 0.1875, dtype=torch.float64))
        close(truth.square, torch.full((4,), 9 / 64, dtype=torch.float64))

    def test_windows_of_more_than_half_the_circle_meet_at_both_ends(self):
        """Opposite windows of 0.6: each end of one lies 0.1 inside the other."""
        truth = Positional(2, profiles.Constant(0.6), ONE).truth()
        assert float(truth.pair_probabilities[0, 1]) == pytest.approx(0.2, abs=1e-12)

    def test_windows_that_are_the_whole_circle(self):
        """(1 + cos A) (1 + cos B) / 4, B a shift of A by a quarter: 1/4 + cos(pi / 2) / 8."""
        truth = Positional(4, profiles.Constant(1.0), ONE).truth()
        close(truth.pair_probabilities, torch.ones(4, 4, dtype=torch.float64))
        assert float(truth.second_moment[0, 1]) == pytest.approx(1 / 4, abs=1e-12)
        assert float(truth.second_moment[0, 2]) == pytest.approx(1 / 8, abs=1e-12)
        assert float(truth.second_moment[0, 0]) == pytest.approx(3 / 8, abs=1e-12)

    def test_a_narrow_window_inside_the_whole_circle(self):
        """Width 1/2 around 0 and 1 around 1/2.

        The integral of (1 + cos 4 pi t) (1 - cos 2 pi t) / 4 from -1/4 to 1/4 is
        (1/2 - 1/pi - 1/(3 pi)) / 4.
        """
        truth = Positional(2, profiles.Array((0.5, 1.0)), ONE).truth()
        assert float(truth.pair_probabilities[0, 1]) == pytest.approx(0.5, abs=1e-12)
        expected = 1 / 8 - 1 / (3 * math.pi)
        assert float(truth.second_moment[0, 1]) == pytest.approx(expected, abs=1e-12)

    @settings(max_examples=25)
    @given(generators())
    def test_is_the_integral_around_the_circle(self, generator):
        truth = generator.truth()
        strength = generator._magnitudes.mean
        n = generator.n_features
        windows = [(k / n, width) for k, width in enumerate(generator.densities.tolist())]
        for i, j in itertools.combinations(range(n), 2):
            together, bumps = shared(windows[i], windows[j])
            expected = bumps * float(strength[i] * strength[j])
            assert float(truth.second_moment[i, j]) == pytest.approx(expected, abs=1e-10)
            assert float(truth.pair_probabilities[i, j]) == pytest.approx(together, abs=1e-12)

    @given(generators(), st.data())
    def test_of_chosen_features_is_part_of_that_of_all(self, generator, data):
        chosen = torch.tensor(data.draw(st.permutations(range(generator.n_features)))[:3])
        truth = generator.truth()
        part = truth.pair_moments(chosen)
        close(part.probabilities, truth.pair_probabilities[chosen][:, chosen])
        close(part.products, truth.second_moment[chosen][:, chosen])

    def test_names(self):
        truth = Positional(3).truth()
        assert truth.names == ("p0", "p1", "p2")
        assert truth.groups == {}


class TestSamples:
    @settings(max_examples=25)
    @given(generators(), st.integers(0, 2**32))
    def test_are_what_the_truth_states(self, generator, seed):
        check_truth(generator, 8192, seed)

    @given(generators(), st.integers(0, 2**32))
    def test_each_feature_fires_at_most_once_and_is_never_0(self, generator, seed):
        firings = generator.sample(Draws(seed), 64)
        keys = firings.samples * generator.n_features + firings.features
        assert len(keys.unique()) == len(keys)
        assert bool((firings.values > 0).all())
        assert bool((firings.offsets.diff() >= 0).all())
        assert int(firings.offsets[-1]) == len(firings.features)

    def test_features_of_a_sample_are_neighbours(self):
        """Windows of 0.25 hold 2 of 8 centres, next to each other, whose bumps sum to 1."""
        firings = Positional(8, profiles.Constant(0.25), ONE).sample(Draws(1), 1000)
        assert bool((firings.offsets.diff() == 2).all())
        first, second = firings.features.reshape(-1, 2).T
        assert bool(((second - first) % 8 == 1).all())
        sums = firings.values.reshape(-1, 2).sum(1)
        torch.testing.assert_close(sums, torch.ones(1000), rtol=0, atol=1e-6)

    def test_same_key_same_bits(self):
        generator = Positional()
        first, again = (generator.sample(Draws(3, block=2), 100) for _ in range(2))
        assert torch.equal(first.dense(), again.dense())
        assert not torch.equal(first.dense(), generator.sample(Draws(3), 100).dense())


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_features": 0}, "^generator.n_features = 0: must be at least 1"),
            ({"density": profiles.Constant(0.0)}, r"density: found 0; must lie in \(0, 1\]"),
            ({"density": profiles.Constant(1.2)}, "^generator.density: found values from 1.2 to"),
            ({"density": profiles.Array((0.5,))}, "^generator.density: found 1 numbers for 16"),
            (
                {"magnitude": magnitudes.Constant(profiles.Constant(0.0))},
                "^generator.magnitude.value: found 0",
            ),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            Positional(**fields)
