from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ConfigError
from toysae.generators.laws import profiles


def close(found, expected):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


class TestGoldenValues:
    def test_constant(self):
        close(profiles.Constant(0.25).values(3), [0.25, 0.25, 0.25])

    def test_linear(self):
        close(profiles.Linear(5, 4).values(3), [5, 4.5, 4])

    def test_zipf_is_a_power_law(self):
        close(
            profiles.Zipf(first=0.4, exponent=0.5).values(4), [0.4, 0.4 / 2**0.5, 0.4 / 3**0.5, 0.2]
        )

    def test_rescaled_zipf_goes_from_end_to_end(self):
        """By hand: powers 1, 1/2, 1/4; shares 1, 1/3, 0."""
        values = profiles.RescaledZipf(high=0.4, low=0.1, exponent=1.0).values(4)
        assert values[0] == pytest.approx(0.4)
        assert values[-1] == pytest.approx(0.1)
        assert values[1] == pytest.approx(0.1 + 0.3 * (1 / 2 - 1 / 4) / (1 - 1 / 4))

    def test_rescaled_zipf_of_one_feature_is_high(self):
        close(profiles.RescaledZipf(high=0.4, low=0.1).values(1), [0.4])

    def test_geometric(self):
        close(profiles.Geometric(decay=0.5, first=0.8).values(3), [0.8, 0.4, 0.2])
        close(profiles.Geometric(decay=0.5, total=3.5).values(3), [2.0, 1.0, 0.5])

    def test_array(self):
        close(profiles.Array((0.1, 0.3)).values(2), [0.1, 0.3])

    def test_sharkey(self):
        """512 features, decay .99, 5 active in the mean (Sharkey et al., 2022)."""
        values = profiles.Geometric(decay=0.99, total=5).values(512)
        assert float(values.sum()) == pytest.approx(5)
        assert float(values[1] / values[0]) == pytest.approx(0.99)
        assert float(values[0]) == pytest.approx(5 * 0.01 / (1 - 0.99**512))


class TestRandomProfiles:
    @given(st.integers(0, 2**32), st.integers(0, 50))
    def test_uniform_stays_within_its_ends_and_is_a_function_of_its_seed(self, seed, n):
        profile = profiles.UniformRandom(0.2, 0.3, seed)
        values = profile.values(n)
        assert bool(((values >= 0.2) & (values <= 0.3)).all())
        assert torch.equal(values, profiles.UniformRandom(0.2, 0.3, seed).values(n))

    def test_moments(self):
        """5.5 standard errors. Folded standard normal: mean sqrt(2 / pi), variance 1 - 2 / pi."""
        n = 10_000
        uniform = profiles.UniformRandom(1.0, 3.0).values(n)
        assert abs(float(uniform.mean()) - 2) < 5.5 * 2 / math.sqrt(12 * n)
        folded = profiles.FoldedNormal(0.0, 2.0).values(n)
        spread = 2 * math.sqrt(1 - 2 / math.pi)
        assert abs(float(folded.mean()) - 2 * math.sqrt(2 / math.pi)) < 5.5 * spread / math.sqrt(n)
        assert bool((folded >= 0).all())

    def test_more_features_leave_the_first_ones(self):
        for profile in (profiles.UniformRandom(0, 1), profiles.FoldedNormal(1, 1)):
            assert torch.equal(profile.values(5), profile.values(9)[:5])

    def test_seeds_differ(self):
        one, two = (profiles.FoldedNormal(0, 1, seed).values(5) for seed in (1, 2))
        assert not torch.equal(one, two)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: profiles.Zipf(first=0.0), r"zipf\.first = 0\.0: must be greater than 0"),
        (lambda: profiles.Zipf(1.0, exponent=-1.0), r"zipf\.exponent = -1\.0: must be at least 0"),
        (lambda: profiles.RescaledZipf(1, 0, exponent=0.0), r"rescaled_zipf\.exponent"),
        (lambda: profiles.Geometric(decay=0.0, first=1.0), r"geometric\.decay"),
        (lambda: profiles.Geometric(decay=1.5, first=1.0), r"geometric\.decay.*\[0, 1\]"),
        (lambda: profiles.Geometric(decay=0.5), "give exactly one"),
        (lambda: profiles.Geometric(0.5, first=1.0, total=1.0), "give exactly one"),
        (lambda: profiles.Geometric(0.5, total=-1.0), r"geometric\.total"),
        (lambda: profiles.UniformRandom(1.0, 0.5), r"uniform_random\.high"),
        (lambda: profiles.FoldedNormal(1.0, -0.5), r"folded_normal\.std"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (profiles.Constant(1.5), r"key: found values from 1\.5 to 1\.5; .*\[0, 1\]"),
        (profiles.Linear(-0.1, 0.5), r"key: found values from -0\.1 to 0\.5"),
        (profiles.Array((0.1,)), "key: found 1 numbers for 3 features"),
        (profiles.Constant(math.nan), "key: found numbers that are not finite"),
    ],
)
def test_probabilities_name_their_key(profile, message):
    with pytest.raises(ConfigError, match=message):
        profiles.probabilities("key", profile, 3)


def test_probabilities_of_no_feature():
    assert profiles.probabilities("key", profiles.Zipf(0.5), 0).shape == (0,)
