from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS, check_truth, sample
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.independent import Independent
from toysae.generators.laws import magnitudes, profiles

LAWS = st.sampled_from(
    (
        magnitudes.Uniform(),
        magnitudes.Constant(),
        magnitudes.Exponential(),
        magnitudes.HalfNormal(),
        magnitudes.LogNormal(),
        magnitudes.TruncatedNormal(),
    )
)
PROBABILITIES = st.sampled_from((0.0, 0.1, 0.11, 0.5, 0.9, 1.0))


@st.composite
def generators(draw):
    probabilities = tuple(draw(st.lists(PROBABILITIES, min_size=1, max_size=6)))
    return Independent(len(probabilities), profiles.Array(probabilities), draw(LAWS))


class TestTruth:
    @settings(max_examples=15)
    @given(generators(), st.integers(0, 2**32))
    def test_is_what_samples_do(self, generator, seed):
        check_truth(generator, seed=seed)

    def test_by_hand(self):
        truth = Independent(3, profiles.Array((0.0, 0.25, 1.0))).truth()
        assert truth.names == ("f0", "f1", "f2")
        assert truth.exact
        assert truth.marginals.tolist() == [0, 0.25, 1]
        assert truth.mean.tolist() == [0, 0.125, 0.5]
        assert truth.square.tolist() == pytest.approx([0, 0.25 / 3, 1 / 3])
        assert truth.l0 == 1.25
        assert truth.pair_probabilities.tolist() == [[0, 0, 0], [0, 0.25, 0.25], [0, 0.25, 1]]
        expected = torch.diag(torch.tensor([0, 0.25 / 3 - 1 / 64, 1 / 3 - 1 / 4]).double())
        torch.testing.assert_close(truth.covariance, expected)

    def test_of_a_few_among_a_million(self):
        truth = Independent(2**20, profiles.Zipf(0.5, 0.5)).truth()
        pairs = truth.pair_moments(torch.tensor([2**20 - 1, 3]))
        # 0.5 / sqrt(2^20) and 0.5 / sqrt(4)
        assert pairs.probabilities.flatten().tolist() == pytest.approx(
            [2**-11, 2**-13, 2**-13, 2**-2], rel=1e-12
        )
        assert pairs.products.flatten().tolist() == pytest.approx(
            [2**-11 / 3, 2**-15, 2**-15, 2**-2 / 3], rel=1e-12
        )


class TestSamples:
    def test_certain_and_impossible(self):
        fires = sample(Independent(3, profiles.Array((1.0, 0.0, 1.0)))) > 0
        assert bool(fires[:, [0, 2]].all())
        assert not bool(fires[:, 1].any())

    @pytest.mark.parametrize("n_features", [100_000, 2**20])
    def test_many_features(self, n_features):
        """Samples of a Zipf law fire as often as its marginals say, in head, middle and tail."""
        generator = Independent(n_features, profiles.Zipf(0.3, 0.9))
        n = 8192
        p = generator.truth().marginals
        drawn = generator.sample(Draws(0), n)
        counts = torch.bincount(drawn.features, minlength=n_features).double()
        for part in (slice(0, 100), slice(100, 10_000), slice(10_000, None), slice(None)):
            sigma = float((n * p[part] * (1 - p[part])).sum().sqrt())
            assert abs(float(counts[part].sum() - n * p[part].sum())) < SIGMAS * sigma
        # Every feature at once: the sum of squared deviations, each of variance about 2.
        squared = (counts - n * p).square() / (n * p * (1 - p))
        variance = 2 + (1 - 6 * p * (1 - p)) / (n * p * (1 - p))
        assert abs(float(squared.sum() - n_features)) < SIGMAS * float(variance.sum().sqrt())

    def test_does_not_depend_on_what_was_drawn_before(self):
        generator = Independent(50)
        first = generator.sample(Draws(1), 100).dense()
        generator.sample(Draws(2), 100)
        assert torch.equal(generator.sample(Draws(1), 100).dense(), first)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_features": 0}, "^generator.n_features = 0: must be at least 1"),
        (
            {"probability": profiles.Constant(1.5)},
            r"^generator.probability: found values from 1.5 to 1.5; .* must lie in \[0, 1\]",
        ),
        (
            {"n_features": 2, "probability": profiles.Array((0.5,))},
            "^generator.probability: found 1 numbers for 2 features",
        ),
        (
            {"magnitude": magnitudes.Constant(profiles.Constant(0.0))},
            "^generator.magnitude.value: found 0; must be greater than 0",
        ),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Independent(**fields)
