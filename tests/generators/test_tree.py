from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import stats

from generators import statistics
from toysae.config import build_generator
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.copula.low_rank import LowRank
from toysae.generators.laws.magnitudes import Constant, Exponential, Uniform
from toysae.generators.laws.profiles import Array, Zipf
from toysae.generators.laws.profiles import Constant as Same
from toysae.generators.tree import Tree

CONF = Path(__file__).parents[2] / "conf" / "generator"

#: 0 -> (1 -> 3, 2), and 4 by itself.
SMALL = Tree(
    n_features=5,
    parents=(-1, 0, 0, 1, -1),
    probability=Array((0.5, 0.2, 0.2, 0.1, 0.3)),
    scale_by_parent=True,
)


def named(name):
    return build_generator(OmegaConf.load(CONF / f"{name}.yaml"))


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@st.composite
def trees(draw):
    """Any forest; probabilities that `exact` can attain, or any."""
    n = draw(st.integers(1, 7))
    parents = tuple(draw(st.integers(-1, feature - 1)) for feature in range(n))
    exclusive = draw(st.booleans())
    compensation = draw(st.sampled_from(("exact", "published", "none")))
    shares = [draw(st.sampled_from((0.1, 0.3, 0.6, 1.0))) for _ in range(n)]
    p = []
    for feature, parent in enumerate(parents):
        siblings = [i for i in range(n) if parent >= 0 and parents[i] == parent]
        above = p[parent] if parent >= 0 else 0.8
        p.append(above * shares[feature] / (len(siblings) or 1 if exclusive else 1))
    return Tree(
        n_features=n,
        parents=parents,
        exclusive=exclusive,
        compensation=compensation,
        probability=Array(tuple(p)),
        magnitude=draw(st.sampled_from((Uniform(), Constant(Zipf(2.0)), Uniform(Same(0.5))))),
        scale_by_parent=draw(st.booleans()),
    )


def check_constraints(generator, values):
    """A child fires only with its parent, and exclusive siblings never together."""
    fires = values > 0
    parents = generator.forest.parents
    for feature, parent in enumerate(parents.tolist()):
        if parent >= 0:
            assert not bool((fires[:, feature] & ~fires[:, parent]).any())
    if generator.exclusive:
        for parent in range(generator.n_features):
            assert int(fires[:, parents == parent].sum(1).max()) <= 1


class TestTruth:
    def test_by_hand(self):
        """E u = 1/2, E u^2 = 1/3: sharing a parent's magnitude multiplies by (1/3) / (1/4)."""
        truth = SMALL.truth()
        close(truth.marginals, tensor([0.5, 0.2, 0.2, 0.1, 0.3]))
        close(truth.mean, tensor([0.25, 0.1, 0.1, 0.05, 0.15]))
        close(truth.square, tensor([0.5 / 3, 0.8 / 9, 0.8 / 9, 1.6 / 27, 0.1]))
        pairs = [
            [0.5, 0.2, 0.2, 0.1, 0.15],
            [0.2, 0.2, 0.0, 0.1, 0.06],
            [0.2, 0.0, 0.2, 0.0, 0.06],
            [0.1, 0.1, 0.0, 0.1, 0.03],
            [0.15, 0.06, 0.06, 0.03, 0.3],
        ]
        close(truth.pair_probabilities, tensor(pairs))
        once, twice = 1 / 3, 4 / 9  # 1/4 times 4/3, once for every shared magnitude
        products = [
            [0.5 / 3, 0.2 * once, 0.2 * once, 0.1 * once, 0.15 / 4],
            [0.2 * once, 0.8 / 9, 0.0, 0.1 * twice, 0.06 / 4],
            [0.2 * once, 0.0, 0.8 / 9, 0.0, 0.06 / 4],
            [0.1 * once, 0.1 * twice, 0.0, 1.6 / 27, 0.03 / 4],
            [0.15 / 4, 0.06 / 4, 0.06 / 4, 0.03 / 4, 0.1],
        ]
        close(truth.second_moment, tensor(products))

    def test_independent_siblings_by_hand(self):
        """Given feature 0: 1 and 2 with 0.4 each, 3 with 0.2."""
        truth = replace(SMALL, exclusive=False).truth()
        assert float(truth.pair_probabilities[1, 2]) == pytest.approx(0.5 * 0.4 * 0.4)
        assert float(truth.pair_probabilities[2, 3]) == pytest.approx(0.5 * 0.4 * 0.2)
        assert float(truth.second_moment[1, 2]) == pytest.approx(0.08 / 3)
        unscaled = replace(SMALL, exclusive=False, scale_by_parent=False).truth()
        assert float(unscaled.second_moment[1, 2]) == pytest.approx(0.08 / 4)
        close(unscaled.square, unscaled.marginals / 3)

    @pytest.mark.parametrize(
        ("compensation", "expected"),
        [
            # Siblings want to fire with 0.2 / 0.5 (1 + 0.2 / 0.5) = 0.56: one wins with
            # 0.56 (1 - 0.28) = 0.4032. Their child follows with 0.1 / 0.2.
            ("published", (0.5, 0.2016, 0.2016, 0.1008, 0.3)),
            # 0.2 (1 - 0.1) = 0.18 of 0.5; their child with 0.1.
            ("none", (0.5, 0.09, 0.09, 0.009, 0.3)),
        ],
    )
    def test_what_is_not_compensated_is_said(self, compensation, expected):
        truth = replace(SMALL, compensation=compensation).truth()
        close(truth.marginals, tensor(expected))
        assert truth.exact

    @given(trees())
    @settings(max_examples=15)
    def test_is_what_samples_do(self, generator):
        statistics.check_truth(generator, n=8192)

    @given(trees())
    def test_exact_compensation_gives_the_marginals_asked_for(self, generator):
        asked = generator.probability.values(generator.n_features)
        close(replace(generator, compensation="exact").truth().marginals, asked)

    @given(trees(), st.data())
    def test_any_features_in_any_order(self, generator, data):
        some = data.draw(st.lists(st.integers(0, generator.n_features - 1), max_size=5))
        truth = generator.truth()
        found = truth.pair_moments(torch.tensor(some, dtype=torch.int64))
        table = (torch.tensor(some, dtype=torch.int64)[:, None], some)
        close(found.probabilities, truth.pair_probabilities[table].reshape(len(some), len(some)))
        close(found.products, truth.second_moment[table].reshape(len(some), len(some)))

    def test_names_groups_and_parents(self):
        truth = Tree(n_features=9, roots=1, branching=2, depth=2, probability=Same(0.0)).truth()
        assert truth.names == [
            "tree0", "tree0.0", "tree0.1", "tree0.0.0", "tree0.0.1", "tree0.1.0", "tree0.1.1",
            "flat0", "flat1",
        ]  # fmt: skip
        assert truth.groups == {
            "roots": (0,), "flat": (7, 8), "parents": (0, 1, 2),
            "depth_1": (1, 2), "depth_2": (3, 4, 5, 6),
        }  # fmt: skip
        assert truth.parents.tolist() == [-1, 0, 0, 1, 1, 2, 2, -1, -1]

    def test_of_a_million_features(self):
        """Nothing is made for all pairs, and little for what does not fire."""
        generator = Tree(
            n_features=2**20, roots=1000, branching=4, depth=4,
            probability=Zipf(0.01), compensation="published",
        )  # fmt: skip
        truth = generator.truth()
        assert 0.05 < truth.l0 < 0.2
        found = truth.pair_moments(torch.tensor([0, 1000, 2**20 - 1]))
        assert float(found.probabilities[0, 1]) == float(truth.marginals[1000])
        firing = generator.sample(Draws(0), 8192)
        assert len(firing.features) == pytest.approx(8192 * truth.l0, rel=0.2)


class TestSamples:
    @given(trees(), st.integers(0, 999))
    def test_constraints_hold_on_every_sample(self, generator, seed):
        check_constraints(generator, statistics.sample(generator, 500, seed))

    @given(trees(), st.integers(0, 999))
    def test_key_gives_the_samples(self, generator, seed):
        first, again = (generator.sample(Draws(seed), 100).dense() for _ in range(2))
        assert torch.equal(first, again)

    def test_children_scale_with_their_parent(self):
        """Constant magnitudes for the children: their value is the parent's over its mean."""
        generator = replace(
            SMALL, magnitude=Uniform(low=Array((0.0, 2.0, 2.0, 3.0, 0.0)),
                                     high=Array((1.0, 2.000001, 2.000001, 3.000001, 1.0))),
        )  # fmt: skip
        values = statistics.sample(generator)
        for child in (1, 2):
            on = values[:, child] > 0
            close(values[on, child], 2 * values[on, 0] / 0.5, 1e-4)
        on = values[:, 3] > 0
        close(values[on, 3], 3 * values[on, 1] / 2, 1e-4)

    def test_a_child_is_never_scaled_to_nothing(self):
        """A product of 300 exponential numbers is about e^-173: below the least float32."""
        deep = Tree(
            n_features=300, parents=tuple(range(-1, 299)), probability=Same(1.0),
            magnitude=Exponential(), scale_by_parent=True,
        )  # fmt: skip
        assert bool((statistics.sample(deep, 50) > 0).all())


class TestCorrelation:
    CORRELATED = replace(SMALL, compensation="none", correlation=LowRank(rank=2, scale=0.6, seed=1))

    def test_truth_is_an_estimate_and_says_so(self):
        truth = self.CORRELATED.truth()
        assert not truth.exact
        assert truth.parents.tolist() == [-1, 0, 0, 1, -1]
        statistics.check_truth(self.CORRELATED)

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_constraints_hold_on_every_sample(self, exclusive):
        generator = replace(self.CORRELATED, exclusive=exclusive)
        check_constraints(generator, statistics.sample(generator, 5000))

    @pytest.mark.parametrize("compensation", ["published", "none"])
    @pytest.mark.parametrize("exclusive", [True, False])
    def test_uncorrelated_latents_are_the_law_in_closed_form(self, compensation, exclusive):
        """Two samplers of one law: one by latents, one by what the closed form says."""
        generator = replace(SMALL, compensation=compensation, exclusive=exclusive)
        truth, n = generator.truth(), 50_000
        fires = statistics.sample(replace(generator, correlation=LowRank(scale=0.0)), n) > 0
        together = fires.double().T @ fires.double()
        law = stats.binom(n, truth.pair_probabilities.clamp(0, 1).numpy())
        assert float(law.cdf(together).min()) > statistics.TAIL
        assert float(law.sf(together - 1).min()) > statistics.TAIL

    def test_given_the_latents_own_draws_are_correlated(self):
        """A child whose latent is its parent's (but for 1 % noise) fires whenever the parent does.

        Both own draws have probability 0.3: independent ones would both fire on 9 % of samples.
        """
        generator = Tree(
            n_features=2, parents=(-1, 0), probability=Same(0.3), compensation="none",
            correlation=LowRank(rank=1, scale=0.999, seed=_seed_of_equal_loadings()),
        )  # fmt: skip
        assert float((statistics.sample(generator) > 0).all(1).double().mean()) > 0.2

    def test_exact_compensation_is_refused(self):
        with pytest.raises(ConfigError, match=r"^generator.compensation = 'exact': .* published"):
            Tree(correlation=LowRank())


def _seed_of_equal_loadings():
    """A seed whose two loadings of rank 1 are both at the limit and of one sign."""
    limit = 0.99**0.5 - 1e-9
    loadings = ((seed, LowRank(1, 0.999, seed).loadings(2)[:, 0]) for seed in range(1000))
    return next(seed for seed, pair in loadings if bool((pair >= limit).all()))


class TestPublishedWorlds:
    def test_synth_sae_bench_realises_the_l0_of_the_public_recipe(self):
        """34.5 features fire, 25.2 of the first 4,096, where 59.1 are asked for."""
        generator = named("synth_sae_bench_16k")
        asked = generator.probability.values(generator.n_features)
        assert float(asked.sum()) == pytest.approx(59.1, abs=0.05)
        assert float(asked[0]) == pytest.approx(0.4)
        assert float(asked[-1]) == pytest.approx(5e-4)
        blocks = [generator.sample(Draws(0, block=block), 8192) for block in range(3)]
        features = torch.cat([block.features for block in blocks])
        n = sum(block.n_samples for block in blocks)
        assert len(features) / n == pytest.approx(34.5, abs=0.25)
        assert int((features < 4096).sum()) / n == pytest.approx(25.2, abs=0.25)
        fires = torch.zeros(8192, generator.n_features, dtype=torch.bool)
        fires[blocks[0].samples, blocks[0].features] = True
        children = generator.forest.children
        assert not bool((fires[:, children] & ~fires[:, generator.forest.parents[children]]).any())
        families = fires[:, children].view(8192, -1, 4)
        assert int(families.sum(2, dtype=torch.int8).max()) == 1

    def test_share_of_firings_that_the_published_formula_restores(self):
        """Measured on the published code, at depth 1, 2 and 3: 74 %, 46 % and 35 %."""
        generator = replace(named("synth_sae_bench_16k"), correlation=None)
        asked = generator.probability.values(generator.n_features)
        marginals = generator.truth().marginals
        levels = generator.forest.levels[1:]
        found = [float(marginals[level].sum() / asked[level].sum()) for level in levels]
        assert found == pytest.approx([0.74, 0.46, 0.35], abs=0.005)

    def test_matryoshka_tree(self):
        truth = named("matryoshka_tree").truth()
        assert truth.parents.tolist() == [-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3 + [-1] * 8
        close(truth.marginals, tensor([0.15] * 3 + [0.03] * 9 + [0.05] * 8))
        assert float(truth.pair_probabilities[3, 4]) == 0
        norms = truth.mean / truth.marginals
        close(truth.square, truth.marginals * norms.square())
        assert 0.8 < float(norms.min()) < 0.97 < 1.03 < float(norms.max()) < 1.2

    def test_absorption(self):
        truth = named("absorption").truth()
        close(truth.pair_probabilities, tensor([[0.25, 0.05], [0.05, 0.05]]))
        truth = named("absorption_4").truth()
        close(truth.marginals, tensor([0.25, 0.05, 0.05, 0.05]))
        assert truth.parents.tolist() == [-1, 0, -1, -1]

    def test_defaults_are_those_of_the_configuration(self):
        assert named("tree") == Tree()


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_features": 0}, "^generator.n_features = 0: must be at least 1"),
            ({"roots": -1}, "^generator.roots = -1: must be at least 0"),
            ({"branching": 0}, "^generator.branching = 0: must be at least 1"),
            ({"depth": -1}, "^generator.depth = -1: must be at least 0"),
            ({"compensation": "all"}, "^generator.compensation = 'all': must be one of exact, no"),
            (
                {"n_features": 11},
                "^generator.n_features = 11: 4 trees .* take 12; must be at least",
            ),
            ({"parents": (-1, 0)}, "^generator.parents: found 2, must be one for each .* = 20"),
            (
                {"n_features": 2, "parents": (-1, 1)},
                r"^generator.parents\[1\] = 1: must be -1 \(none\) or a feature before it, below 1",
            ),
            (
                {"n_features": 1, "parents": (-2,)},
                r"^generator.parents\[0\] = -2: must be -1 \(none\) or a feature before it, below",
            ),
            ({"probability": Same(1.5)}, "^generator.probability: found values from 1.5 to 1.5"),
            ({"probability": Same(0.1)}, "^generator.probability: found 0.2 for all children of f"),
            ({"magnitude": Uniform(Same(-1.0))}, "^generator.magnitude.low: found -1"),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            Tree(**fields)
