from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.generators.statistics import SIGMAS, TAIL, check_truth, sample
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.islands import Islands
from toysae.generators.laws import magnitudes, profiles

SHARES = st.sampled_from((0.3, 0.95, 1.0))


@st.composite
def generators(draw):
    n_islands, size = draw(st.integers(1, 2)), draw(st.integers(2, 4))
    b_given_a, a_given_b = draw(SHARES), draw(SHARES)
    # An island takes up this much for each unit of P(a); together they fill some of the room.
    taken = n_islands * (1 + (size - 1) * b_given_a * (1 / a_given_b - 1))
    filled, leak = draw(st.sampled_from((0.3, 0.6, 1.0))), draw(st.sampled_from((0.0, 0.2, 1.0)))
    most = 1 - filled * (1 - leak)
    return Islands(
        n_islands=n_islands,
        size=size,
        probability=profiles.Constant(filled / taken),
        b_given_a=b_given_a,
        a_given_b=a_given_b,
        amplitude_correlation=draw(st.sampled_from((0.0, 0.5, 1.0))),
        n_background=draw(st.integers(0, 3)),
        background_probability=profiles.Constant(most * draw(st.sampled_from((0.0, 0.3, 1.0)))),
        leak=leak,
        magnitude=draw(st.sampled_from((magnitudes.Uniform(), magnitudes.Exponential()))),
    )


def fires_of(generator, n=32768):
    """Firing of islands `[n, n_islands, size]` and of the background `[n, n_background]`."""
    fires = sample(generator, n) > 0
    first = generator.n_islands * generator.size
    return fires[:, :first].unflatten(1, (generator.n_islands, generator.size)), fires[:, first:]


def agrees(successes, trials, p):
    """Whether a count is one of a binomial law."""
    law = stats.binom(int(trials), p)
    return law.cdf(int(successes)) > TAIL and law.sf(int(successes) - 1) > TAIL


@settings(max_examples=20)
@given(generators(), st.integers(0, 2**32))
def test_truth_is_what_samples_do(generator, seed):
    check_truth(generator, seed=seed)


class TestTruth:
    """Size 3, P(a) = 0.2, P(b | a) = 0.5, P(a | b) = 0.8, leak 0.25, background 0.3 and 0.1.

    All fire with 0.1, a alone with 0.1, each b alone with 0.1 / 0.8 - 0.1 = 0.025; so there is an
    island with 0.25, and the background is not silenced with 1 - 0.25 * 0.75 = 0.8125.
    """

    generator = Islands(
        size=3,
        probability=profiles.Constant(0.2),
        b_given_a=0.5,
        a_given_b=0.8,
        amplitude_correlation=0.5,
        n_background=2,
        background_probability=profiles.Array((0.3, 0.1)),
        leak=0.25,
    )

    def test_by_hand(self):
        truth = self.generator.truth()
        assert truth.marginals.tolist() == pytest.approx([0.2, 0.125, 0.125, 0.3, 0.1])
        assert truth.mean.tolist() == pytest.approx([0.1, 0.0625, 0.0625, 0.15, 0.05])
        leaks = 0.25 / 0.8125
        expected = [
            [0.2, 0.1, 0.1, 0.06 * leaks, 0.02 * leaks],
            [0.1, 0.125, 0.1, 0.0375 * leaks, 0.0125 * leaks],
            [0.1, 0.1, 0.125, 0.0375 * leaks, 0.0125 * leaks],
            [0.06 * leaks, 0.0375 * leaks, 0.0375 * leaks, 0.3, 0.03 / 0.8125],
            [0.02 * leaks, 0.0125 * leaks, 0.0125 * leaks, 0.03 / 0.8125, 0.1],
        ]
        torch.testing.assert_close(
            truth.pair_probabilities, torch.tensor(expected, dtype=torch.float64)
        )
        # E[u v] is 1/4, and 1/3 for the half that share: 7/24 within the island.
        assert float(truth.second_moment[0, 1]) == pytest.approx(0.1 * 7 / 24)
        assert float(truth.second_moment[0, 3]) == pytest.approx(0.06 * leaks / 4)
        assert float(truth.second_moment[3, 4]) == pytest.approx(0.03 / 0.8125 / 4)
        assert float(truth.second_moment[3, 3]) == pytest.approx(0.1)

    def test_of_any_features_in_any_order_is_cut_from_the_whole(self):
        features = torch.tensor([4, 0, 3, 3, 2])
        whole, part = self.generator.truth().pairs, self.generator.truth().pair_moments(features)
        at = (features[:, None], features[None, :])
        torch.testing.assert_close(part.probabilities, whole.probabilities[at])
        torch.testing.assert_close(part.products, whole.products[at])

    def test_names_and_groups(self):
        truth = Islands(n_islands=2, size=3, n_background=2).truth()
        assert truth.names == [
            *("island0_a", "island0_b1", "island0_b2", "island1_a", "island1_b1", "island1_b2"),
            *("background_0", "background_1"),
        ]
        assert {name: list(of) for name, of in truth.groups.items()} == {
            "island_0": [0, 1, 2],
            "island_1": [3, 4, 5],
            "islands": [0, 1, 2, 3, 4, 5],
            "background": [6, 7],
        }

    def test_two_islands_never_meet(self):
        pairs = Islands(n_islands=2).truth().pair_probabilities
        assert pairs[:2, 2:4].tolist() == [[0, 0], [0, 0]]


class TestSamples:
    @settings(max_examples=15)
    @given(generators(), st.integers(0, 2**32))
    def test_constraints_hold_on_every_sample(self, generator, seed):
        fires = sample(generator, 512, seed) > 0
        first = generator.n_islands * generator.size
        islands = fires[:, :first].unflatten(1, (generator.n_islands, generator.size))
        active = islands.any(2)
        assert int(active.sum(1).max()) <= 1
        counts = islands.sum(2)[active]
        assert bool(((counts == 1) | (counts == generator.size)).all())
        if generator.leak == 0:
            assert not bool((active.any(1) & fires[:, first:].any(1)).any())
        if generator.b_given_a == 1:
            assert bool((islands[..., 1:] | ~islands[..., :1]).all())
        if generator.a_given_b == 1:
            assert bool((islands[..., :1] | ~islands[..., 1:]).all())

    def test_conditional_probabilities(self):
        generator = Islands(
            n_islands=2,
            size=3,
            probability=profiles.Array((0.3, 0.1)),
            b_given_a=0.9,
            a_given_b=0.7,
            n_background=2,
            background_probability=profiles.Array((0.4, 0.2)),
            leak=0.3,
        )
        islands, background = fires_of(generator)
        active = islands.any(2).any(1)
        for a, b, c in islands.permute(1, 2, 0):
            assert agrees((a & b & c).sum(), a.sum(), 0.9)
            assert agrees((a & b).sum(), b.sum(), 0.7)
            assert agrees((a & c).sum(), c.sum(), 0.7)
        # An island takes up 1 + 2 * 0.9 * (1 / 0.7 - 1) of its P(a).
        taken = 0.4 * (1 + 1.8 * 3 / 7)
        assert agrees(active.sum(), len(active), taken)
        unsilenced = 1 - taken * 0.7
        for fires, p in zip(background.T, (0.4, 0.2)):
            assert agrees(fires.sum(), len(fires), p)
            assert agrees((fires & active).sum(), active.sum(), 0.3 * p / unsilenced)
            assert agrees((fires & ~active).sum(), (~active).sum(), p / unsilenced)

    def test_full_leak_is_an_independent_background(self):
        pairs = Islands(leak=1.0).truth().pair_probabilities
        p = pairs.diagonal()
        torch.testing.assert_close(pairs[2:, :2], p[2:].outer(p[:2]))
        assert float(pairs[2, 3]) == pytest.approx(0.01)

    def test_leak_is_all_or_nothing(self):
        """With a background that is certain where not silenced, the leak is seen directly."""
        generator = Islands(
            probability=profiles.Constant(0.5),
            b_given_a=1.0,
            a_given_b=1.0,
            n_background=3,
            background_probability=profiles.Constant(0.6),
            leak=0.2,
        )
        islands, background = fires_of(generator)
        active = islands[:, 0, 0]
        assert torch.equal(background.all(1), background.any(1))
        assert bool(background.all(1)[~active].all())
        assert agrees(background.all(1)[active].sum(), active.sum(), 0.2)

    def test_inseparable_features_with_shared_magnitudes_are_one_feature(self):
        generator = Islands(
            n_islands=2, size=4, b_given_a=1.0, a_given_b=1.0, amplitude_correlation=1.0
        )
        islands = sample(generator)[:, :8].unflatten(1, (2, 4))
        assert torch.equal(islands, islands[..., :1].expand(-1, -1, 4))
        assert bool(islands.any())

    def test_correlation_of_magnitudes(self):
        generator = Islands(probability=profiles.Constant(0.9), amplitude_correlation=0.6)
        a, b = sample(generator, 32768)[:, :2].T
        both = (a > 0) & (b > 0)
        products = 12 * (a[both] - 0.5) * (b[both] - 0.5)
        error = float(products.std()) / len(products) ** 0.5
        assert abs(float(products.mean()) - 0.6) < SIGMAS * error

    def test_same_key_same_bits(self):
        first, again, other = (Islands().sample(Draws(seed), 256).dense() for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_large_background(self):
        generator = Islands(
            n_islands=100,
            probability=profiles.Constant(0.002),
            n_background=16_384,
            background_probability=profiles.Zipf(0.1, 0.5),
        )
        n, p = 4096, generator.truth().marginals
        drawn = generator.sample(Draws(0), n)
        assert drawn.n_features == 16_584
        counts = torch.bincount(drawn.features, minlength=drawn.n_features)
        assert all(agrees(c, n, float(q)) for c, q in zip(counts[190:300], p[190:300]))


class TestRefusals:
    def test_islands_that_do_not_fit(self):
        """Each takes up 0.3 (1 + 0.5 (1 / 0.5 - 1)) = 0.45; at most 1 / 1.5 fits."""
        message = "^generator.probability: sums to 0.9 over the islands; .* at most 0.6667$"
        with pytest.raises(ConfigError, match=message):
            Islands(3, probability=profiles.Constant(0.3), b_given_a=0.5, a_given_b=0.5)
        Islands(
            3,
            probability=profiles.Constant(0.2222),
            b_given_a=0.5,
            a_given_b=0.5,
            background_probability=profiles.Constant(0.05),
        )

    def test_background_that_is_silenced_too_often(self):
        """An island with 0.5, leak 0.1: at most 0.55; for 0.8 the leak must be 0.6."""
        fields = {
            "probability": profiles.Constant(0.5),
            "b_given_a": 1.0,
            "a_given_b": 1.0,
            "background_probability": profiles.Constant(0.8),
        }
        message = (
            r"^generator.background_probability: found 0.8; .* at most 0.55 \(leak = 0.1\), or "
            "generator.leak must be at least 0.6$"
        )
        with pytest.raises(ConfigError, match=message):
            Islands(**fields, leak=0.1)
        assert Islands(**fields, leak=0.6).truth().marginals[2:].tolist() == [0.8] * 8

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_islands": 0}, "^generator.n_islands = 0: must be at least 1"),
            ({"size": 1}, r"^generator.size = 1: must lie in \[2, 4\]"),
            ({"size": 5}, r"^generator.size = 5: must lie in \[2, 4\]"),
            ({"b_given_a": 0.0}, "^generator.b_given_a = 0.0: must be greater than 0"),
            ({"a_given_b": 1.5}, r"^generator.a_given_b = 1.5: must lie in \[0, 1\]"),
            ({"amplitude_correlation": 2.0}, "^generator.amplitude_correlation = 2.0: must lie"),
            ({"n_background": -1}, "^generator.n_background = -1: must be at least 0"),
            ({"leak": -0.1}, r"^generator.leak = -0.1: must lie in \[0, 1\]"),
            ({"probability": profiles.Constant(2.0)}, "^generator.probability: found values"),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            Islands(**fields)
