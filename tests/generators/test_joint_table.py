from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import check_truth, sample
from toysae.errors import ConfigError
from toysae.generators.joint_table import JointTable
from toysae.generators.laws import magnitudes, profiles


@st.composite
def generators(draw):
    n = draw(st.integers(1, 4))
    subsets = st.sets(st.integers(0, n - 1), min_size=1).map(tuple)
    patterns = draw(st.lists(subsets, max_size=6, unique_by=frozenset))
    weights = [draw(st.integers(0, 4)) for _ in patterns]
    total = max(sum(weights), 1) / draw(st.sampled_from((0.2, 0.5, 1.0)))
    return JointTable(
        n,
        tuple(patterns),
        tuple(w / total for w in weights),
        draw(st.sampled_from((0.0, 0.5, 1.0))),
        draw(st.sampled_from((magnitudes.Uniform(), magnitudes.Exponential()))),
    )


@settings(max_examples=25)
@given(generators(), st.integers(0, 2**32))
def test_truth_is_what_samples_do(generator, seed):
    check_truth(generator, n=8192, seed=seed)


@settings(max_examples=25)
@given(generators(), st.integers(0, 2**32))
def test_only_listed_patterns_happen(generator, seed):
    fires = sample(generator, 512, seed) > 0
    possible = {frozenset(f) for f, p in zip(generator.patterns, generator.probabilities) if p}
    seen = {frozenset(row.nonzero()[:, 0].tolist()) for row in fires}
    assert seen <= possible | {frozenset()}
    if math.isclose(sum(generator.probabilities), 1):
        assert frozenset() not in seen


def test_hedging_toy():
    """P(f0) = 0.25, P(f1 | f0) = 0.2, P(f1 | not f0) = 0.1."""
    truth = JointTable().truth()
    (p0, p01), (_, p1) = truth.pair_probabilities.tolist()
    assert p0 == pytest.approx(0.25)
    assert p01 / p0 == pytest.approx(0.2)
    assert (p1 - p01) / (1 - p0) == pytest.approx(0.1)
    assert truth.names == ("f0", "f1")


def test_shared_magnitudes():
    whole = {"n_features": 3, "patterns": ((2, 0),), "probabilities": (1.0,)}
    values = sample(JointTable(**whole, amplitude_correlation=1.0))
    assert torch.equal(values[:, 0], values[:, 2])
    assert not bool(values[:, 1].any())
    truth = JointTable(**whole, amplitude_correlation=1.0).truth()
    assert truth.second_moment.flatten().tolist() == pytest.approx(
        [1 / 3, 0, 1 / 3, 0, 0, 0, 1 / 3, 0, 1 / 3]
    )


def test_twelve_features_with_all_patterns():
    patterns = tuple(tuple(i for i in range(12) if mask >> i & 1) for mask in range(1, 2**12))
    generator = JointTable(12, patterns, (2.0**-12,) * len(patterns))
    pairs = generator.truth().pair_probabilities
    expected = torch.full((12, 12), 0.25).double().fill_diagonal_(0.5)
    torch.testing.assert_close(pairs, expected)
    check_truth(generator, n=4096)


def test_nothing_ever_fires():
    generator = JointTable(2, (), ())
    assert not bool(sample(generator).any())
    assert generator.truth().marginals.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_features": 0}, "^generator.n_features = 0: must be at least 1"),
        ({"probabilities": (0.1,)}, "^generator.probabilities: found 1 for 3 generator.patterns"),
        ({"probabilities": (0.5, 0.5, 0.25)}, "^generator.probabilities: sum to 1.25; .* at most"),
        ({"probabilities": (0.5, -0.1, 0.1)}, r"^generator.probabilities: .* lie in \[0, 1\]"),
        ({"probabilities": (0.5, math.nan, 0.1)}, "^generator.probabilities: .* not finite"),
        ({"patterns": ((0,), (), (1,))}, r"^generator.patterns\[1\] = \[\]: leave it out"),
        ({"patterns": ((0,), (2,), (1,))}, r"^generator.patterns\[1\] = \[2\]: .* 0 to 1"),
        ({"patterns": ((0,), (1,), (-1,))}, r"^generator.patterns\[2\] = \[-1\]: .* 0 to 1"),
        ({"patterns": ((0, 0), (1,), (0,))}, r"^generator.patterns\[0\] = \[0, 0\]: .* once"),
        ({"patterns": ((0, 1), (0,), (1, 0))}, r"patterns\[2\] = \[1, 0\]: is listed before"),
        ({"amplitude_correlation": -1.0}, "^generator.amplitude_correlation = -1.0: must lie in"),
        (
            {"magnitude": magnitudes.Constant(profiles.Array((1.0,)))},
            "^generator.magnitude.value: found 1 numbers for 2 features",
        ),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        JointTable(**fields)
