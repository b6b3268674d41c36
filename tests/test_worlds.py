"""Every world under conf/world has the published numbers that it is named for."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir

from toysae.cli import CONF
from toysae.draws import CPU
from toysae.generators.truth import firing_correlation
from toysae.hidden.stream import Stream
from toysae.hidden.toy_model import ToyModel
from toysae.runs.config import RunConfig, parse

WORLDS = sorted(path.stem for path in (CONF / "world").glob("*.yaml"))

#: Its directions take minutes; tests/hidden has the same method at a small size.
SLOW_SPACES = {"synth_sae_bench_16k"}


@cache
def world(name: str, *overrides: str) -> RunConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return parse(compose("train", [f"world={name}", *overrides]))


def truth(name: str, *overrides: str):
    return world(name, *overrides).generator.truth()


def close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("name", WORLDS)
def test_features_fit_into_the_hidden_space(name):
    config = world(name)
    if name in SLOW_SPACES:
        return
    if isinstance(config.hidden, ToyModel):
        config = world(name, "hidden.steps=5", "hidden.batch_size=10")
    space = config.hidden.spaces(config.generator, [0], CPU)[0]
    hidden = Stream(config.generator, space, seed=0).hidden(0, 64)
    assert hidden.shape == (64, config.hidden.d_hidden)
    assert bool(hidden.isfinite().all())


class TestAnders:
    @pytest.mark.parametrize(
        ("name", "alone", "product"),
        [
            # E[ab]: 1/3 for one amplitude, 1/4 for two independent ones.
            ("anders_correlated", 0.0, 1 / 3),
            ("anders_uncorrelated", 0.0, 1 / 4),
            ("anders_correlated_one_hot", 0.75, 1 / 3),
            ("anders_uncorrelated_one_hot", 0.75, 1 / 4),
        ],
    )
    def test_two_sets_of_two(self, name, alone, product):
        pair = (1 - alone) / 4
        close(truth(name).pair_probabilities[:2, 2:], [[pair] * 2] * 2)
        close(truth(name).second_moment[:2, 2:], [[pair * product] * 2] * 2)
        close(truth(name).marginals, [(1 - alone) / 2 + alone / 4] * 4)
        assert world(name).hidden == ToyModel(d_hidden=2)

    @pytest.mark.parametrize(("name", "size"), [("anders_4x4", 4), ("anders_10x10", 10)])
    def test_larger_sets(self, name, size):
        close(truth(name).marginals, [1 / size] * 2 * size)

    def test_boosted_pair(self):
        """Uniform 8 x 8: .8 of what is left of the marginal, 1/8 - 1/64, goes to the pair."""
        found = truth("anders_8x8_boosted")
        close(found.marginals, [1 / 8] * 16)
        close(found.pair_probabilities[7, 8], 1 / 64 + 0.8 * (1 / 8 - 1 / 64))


class TestToyModelsOfSuperposition:
    @pytest.mark.parametrize("kind", ["uncorrelated", "correlated", "anticorrelated"])
    def test_twenty_features_in_five_dimensions(self, kind):
        config = world(f"tms_{kind}")
        assert (config.generator.n_features, config.hidden.d_hidden) == (20, 5)

    def test_pairs(self):
        p = 0.01
        close(truth("tms_uncorrelated").marginals, [p] * 20)
        together = truth("tms_correlated").pair_probabilities
        close(together[:3, :3], [[p, p, p**2], [p, p, p**2], [p**2, p**2, p]])
        apart = truth("tms_anticorrelated").pair_probabilities
        close(apart[:2, :3], [[p / 2, 0, p**2 / 4], [0, p / 2, p**2 / 4]])


class TestSharkey:
    def test_uncorrelated(self):
        """Probabilities fall by 1 % from feature to feature; 5 are active in the mean."""
        p = truth("sharkey_uncorrelated").marginals
        assert len(p) == 512
        assert float(p.sum()) == pytest.approx(5)
        close(p[1:] / p[:-1], [0.99] * 511)

    @pytest.mark.parametrize("name", ["sharkey", "sharkey_batch"])
    def test_correlated(self, name):
        """About 5 active: a sample in which nothing would fire gets one."""
        found = truth(name)
        assert found.l0 == pytest.approx(5, abs=0.2)
        assert float(found.marginals[:50].sum()) > 5 * float(found.marginals[-250:].sum())


class TestHedging:
    @pytest.mark.parametrize(
        ("kind", "second", "given_first", "given_not_first"),
        [
            ("independent", 0.2, 0.2, 0.2),
            ("hierarchical", 0.05, 0.2, 0.0),
            ("positive", 0.125, 0.2, 0.1),
            ("negative", 0.175, 0.1, 0.2),
        ],
    )
    def test_conditional_probabilities(self, kind, second, given_first, given_not_first):
        found = truth(f"hedging_{kind}")
        both = float(found.pair_probabilities[0, 1])
        close(found.marginals, [0.25, second])
        assert both / 0.25 == pytest.approx(given_first)
        assert (second - both) / 0.75 == pytest.approx(given_not_first)
        close(found.mean, [0.25, second])  # magnitudes are 1
        assert world(f"hedging_{kind}").hidden.d_hidden == 50


def test_absorption():
    found = truth("absorption")
    close(found.marginals, [0.25, 0.05])
    close(found.pair_probabilities[0, 1], 0.05)


class TestSparseButWrong:
    def test_small(self):
        found = truth("sparse_but_wrong_5")
        close(found.marginals, [0.4] * 5)
        phi = firing_correlation(found.pair_probabilities)
        assert bool((phi[0, 1:].abs() > 0.2).all())
        close(phi[1:, 1:].fill_diagonal_(0), [[0.0] * 4] * 4)

    def test_large(self):
        """p_i = .345 (49 - i) / 50 + .05; about 11 features fire."""
        found = truth("sparse_but_wrong_50")
        close(found.marginals, [0.345 * (49 - i) / 50 + 0.05 for i in range(50)])
        assert 10.5 < found.l0 < 11.5


def test_matryoshka_tree():
    """Parents .15, each with three children that exclude each other, .2 of it; L0 1.12."""
    found = truth("matryoshka_tree")
    assert sorted(found.marginals.tolist()) == pytest.approx([0.03] * 9 + [0.05] * 8 + [0.15] * 3)
    assert found.parents is not None
    children = [(found.parents == parent).nonzero()[:, 0] for parent in range(20)]
    siblings = [group for group in children if len(group)]
    assert [len(group) for group in siblings] == [3, 3, 3]
    for group in siblings:
        together = found.pair_moments(group).probabilities
        close(together, (0.03 * torch.eye(3)).tolist())


def test_synth_sae_bench():
    config = world("synth_sae_bench_16k")
    assert (config.generator.n_features, config.hidden.d_hidden) == (16_384, 768)
