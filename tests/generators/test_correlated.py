from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import check_truth, sample
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.copula.correlation import Blocks, CommonFactors, Full, Hub, Pairs, Random
from toysae.generators.correlated import Correlated
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.truth import firing_correlation

PROBABILITY = st.one_of(st.floats(0.003, 0.997), st.sampled_from((0.0, 1.0)))


@st.composite
def tables(draw):
    """Correlations that latents of six features can have."""
    kind = draw(st.sampled_from(("blocks", "factors", "hub", "pairs", "random")))
    if kind == "blocks":
        size = draw(st.sampled_from((1, 2, 3, 6)))
        return Blocks(size=size, within=draw(st.floats(-1 / max(size - 1, 1), 1)))
    if kind == "factors":
        return CommonFactors(rank=3, scale=0.4, seed=draw(st.integers(0, 9)))
    if kind == "hub":
        return Hub(draw(st.floats(-0.44, 0.44)), feature=draw(st.integers(0, 5)))
    if kind == "pairs":
        return Pairs(((4, 1, draw(st.floats(-0.7, 0.7))), (2, 4, draw(st.floats(-0.7, 0.7)))))
    repair = draw(st.sampled_from(("clip", "shrink")))
    return Random(repair=repair, seed=draw(st.integers(0, 9)))


def correlated(n, p, correlation, of="firing", **fields):
    p = profiles.Array(p) if isinstance(p, tuple) else profiles.Constant(p)
    return Correlated(n, p, correlation=correlation, correlation_of=of, **fields)


class TestTruth:
    @given(tables(), st.tuples(*[PROBABILITY] * 6), st.integers(0, 2**32))
    @settings(max_examples=15)
    def test_samples_are_what_it_states(self, table, p, seed):
        check_truth(correlated(6, p, table, of="latent"), n=16384, seed=seed)

    @given(st.tuples(*[st.floats(0.05, 0.9)] * 4), st.integers(0, 2**32), st.booleans())
    @settings(max_examples=10)
    def test_what_fires_correlates_as_asked(self, p, seed, positive):
        table = Pairs(((0, 1, 0.05 if positive else -0.04), (2, 1, 0.05)))
        generator = correlated(4, p, table)
        phi = firing_correlation(generator.truth().pair_probabilities)
        torch.testing.assert_close(phi, table.blocks(4)[0], rtol=0, atol=1e-9)
        check_truth(generator, n=16384, seed=seed)

    def test_strong_correlations_of_what_fires_are_reached(self):
        matrix = ((1.0, 0.6, -0.1), (0.6, 1.0, 0.0), (-0.1, 0.0, 1.0))
        generator = correlated(3, (0.2, 0.3, 0.1), Full(matrix))
        phi = firing_correlation(generator.truth().pair_probabilities)
        torch.testing.assert_close(
            phi, torch.tensor(matrix, dtype=torch.float64), rtol=0, atol=1e-9
        )
        check_truth(generator, n=100_000)

    def test_latents_correlate_more_than_what_fires(self):
        generator = correlated(2, 0.01, Blocks(size=2, within=0.9), of="latent")
        phi = firing_correlation(generator.truth().pair_probabilities)
        assert float(phi[0, 1]) == pytest.approx(0.537344, abs=5e-7)

    def test_magnitudes_are_independent(self):
        """Constant magnitudes 2 and 3: E[c_0 c_1] = 6 P(both), E[c_1^2] = 9 P(1)."""
        law = magnitudes.Constant(profiles.Array((2.0, 3.0)))
        truth = correlated(2, 0.5, Blocks(within=0.5), of="latent", magnitude=law).truth()
        both = 1 / 3  # two latents of correlation 1/2 are both positive
        torch.testing.assert_close(
            truth.second_moment, torch.tensor([[2, 6 * both], [6 * both, 4.5]]).double()
        )
        torch.testing.assert_close(truth.mean, torch.tensor([1, 1.5]).double())

    def test_of_some_features_in_any_order(self):
        generator = correlated(8, (0.0, 0.1, 0.2, 1.0, 0.1, 0.2, 0.3, 0.4), Hub(0.3), of="latent")
        every = generator.truth().pairs
        some = torch.tensor([6, 2, 0, 6, 3])
        found = generator.truth().pair_moments(some)
        block = (some[:, None], some[None, :])
        torch.testing.assert_close(found.probabilities, every.probabilities[block])
        torch.testing.assert_close(found.products, every.products[block])

    def test_of_many_features(self):
        generator = correlated(100_000, 0.01, Blocks(size=4, within=0.5))
        truth = generator.truth()
        assert truth.l0 == pytest.approx(1000)
        both = truth.pair_moments(torch.tensor([99_999, 99_996, 0])).probabilities
        # P(both) = p^2 + phi p (1 - p) within a block, p^2 across.
        expected = 0.0001 + 0.5 * 0.01 * 0.99
        assert both[0, 1:].tolist() == pytest.approx([expected, 0.0001], abs=1e-12)


class TestSamples:
    def test_same_key_same_bits(self):
        generator = correlated(300, 0.1, Blocks(size=300, within=0.2), of="latent")
        first, again = (generator.sample(Draws(3), 2000) for _ in range(2))
        other = generator.sample(Draws(3).at_block(1), 2000)
        torch.testing.assert_close(first.dense(), again.dense(), rtol=0, atol=0)
        assert not torch.equal(first.dense(), other.dense())

    def test_no_samples(self):
        assert Correlated().sample(Draws(0), 0).dense().shape == (0, 8)

    def test_features_that_must_fire_together_do(self):
        fires = sample(correlated(6, 0.1, Blocks(size=3, within=1.0))) > 0
        together = fires.view(-1, 2, 3)
        assert bool((together.all(2) == together.any(2)).all())

    def test_features_that_exclude_each_other_do(self):
        fires = sample(correlated(2, 0.1, Blocks(within=-1 / 9))) > 0
        assert not bool(fires.all(1).any())
        assert bool(fires.any(0).all())


class TestRefusals:
    def test_pair_that_cannot_fire_like_this(self):
        expected = (
            r"generator.correlation: features 0 and 1 \(probabilities 0.5 and 0.1\) .* 0.4; "
            r"attainable: \[-0.333333, 0.333333\]"
        )
        with pytest.raises(ConfigError, match=expected):
            correlated(2, (0.5, 0.1), Blocks(within=0.4))

    def test_table_that_no_latents_have(self):
        with pytest.raises(ConfigError, match=r"-0\.5, .* 0\.6666 or less"):
            correlated(4, 0.1, Blocks(size=4, within=-0.5), of="latent")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_features": 0}, "generator.n_features = 0"),
            ({"probability": profiles.Constant(1.5)}, "generator.probability"),
            ({"correlation_of": "phi"}, "generator.correlation_of = 'phi'.*firing, latent"),
            ({"correlation": CommonFactors()}, "generator.correlation_of = 'firing'"),
            (
                {"magnitude": magnitudes.Constant(profiles.Constant(0.0))},
                "generator.magnitude.value",
            ),
        ],
    )
    def test_fields(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            Correlated(**fields)


class TestPresets:
    def test_small_toy_of_sparse_but_wrong(self, preset):
        """Latents of correlation 0.4 and p = 0.4; across others, no correlation."""
        truth = preset("sparse_but_wrong_5").truth()
        assert truth.l0 == pytest.approx(2)
        assert truth.mean.tolist() == pytest.approx([0.4] * 5, abs=1e-9)
        both = truth.pair_probabilities
        assert float(both[1, 2]) == pytest.approx(0.16)
        # scipy.stats.multivariate_normal at the thresholds of 0.4.
        assert both[0, 1:].tolist() == pytest.approx([0.2220613] * 4, abs=1e-6)

    def test_large_toy_of_sparse_but_wrong(self, preset):
        truth = preset("sparse_but_wrong_50").truth()
        expected = [0.345 * (49 - i) / 50 + 0.05 for i in range(50)]
        assert truth.marginals.tolist() == pytest.approx(expected)
        assert truth.l0 == pytest.approx(10.9525)


@pytest.fixture
def preset():
    from omegaconf import OmegaConf

    from toysae.cli import CONF
    from toysae.config import build_generator

    return lambda name: build_generator(OmegaConf.load(CONF / "generator" / f"{name}.yaml"))
