from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS, check_truth, sample
from toysae.errors import ConfigError
from toysae.generators.groups import GroupsAtMostOne, GroupsExactlyOne, GroupsTogether
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.truth import firing_correlation

SHAPE = {"n_groups": st.integers(1, 3), "size": st.integers(1, 3)}
LAWS = st.sampled_from((magnitudes.Uniform(), magnitudes.Exponential()))
PROBABILITIES = st.sampled_from((0.0, 0.3, 1.0)).map(profiles.Constant)
WEIGHTS = st.sampled_from((profiles.Constant(2.0), profiles.Zipf(1.0), profiles.Linear(0.0, 1.0)))


@st.composite
def together(draw):
    return GroupsTogether(
        **{name: draw(values) for name, values in SHAPE.items()},
        magnitude=draw(LAWS),
        probability=draw(PROBABILITIES),
        amplitude_correlation=draw(st.sampled_from((0.0, 0.3, 1.0))),
    )


@st.composite
def exactly_one(draw):
    shape = {name: draw(values) for name, values in SHAPE.items()}
    weights = profiles.Constant(1.0) if shape["size"] == 1 else draw(WEIGHTS)
    return GroupsExactlyOne(
        **shape, magnitude=draw(LAWS), probability=draw(PROBABILITIES), weights=weights
    )


@st.composite
def at_most_one(draw):
    shape = {name: draw(values) for name, values in SHAPE.items()}
    most = 1 / shape["size"]
    ends = st.sampled_from((0.0, 0.3, 0.5, 1.0))
    probability = profiles.Linear(draw(ends) * most, draw(ends) * most)
    return GroupsAtMostOne(**shape, magnitude=draw(LAWS), probability=probability)


@settings(max_examples=20)
@given(st.one_of(together(), exactly_one(), at_most_one()), st.integers(0, 2**32))
def test_truth_is_what_samples_do(generator, seed):
    check_truth(generator, seed=seed)


def test_names_and_groups():
    for law in (GroupsTogether, GroupsExactlyOne, GroupsAtMostOne):
        truth = law(n_groups=2, size=3).truth()
        assert truth.names == ("g0_0", "g0_1", "g0_2", "g1_0", "g1_1", "g1_2")
        assert {name: list(of) for name, of in truth.groups.items()} == {
            "group_0": [0, 1, 2],
            "group_1": [3, 4, 5],
        }


def test_correlated_and_anticorrelated_toys_of_anders_et_al():
    """Two sets of two with S = 0.9: both on with 0.1, or either one with 0.05."""
    correlated = GroupsTogether(n_groups=2, probability=profiles.Constant(0.1)).truth()
    for row, expected in zip(
        correlated.pair_probabilities.tolist(),
        [[0.1, 0.1, 0.01, 0.01]] * 2 + [[0.01, 0.01, 0.1, 0.1]] * 2,
    ):
        assert row == pytest.approx(expected)
    phi = firing_correlation(correlated.pair_probabilities)
    assert phi[0].tolist() == pytest.approx([1, 1, 0, 0])

    anti = GroupsExactlyOne(n_groups=2, probability=profiles.Constant(0.1)).truth()
    assert anti.pair_probabilities[0].tolist() == pytest.approx([0.05, 0, 0.0025, 0.0025])
    assert anti.pair_probabilities[3].tolist() == pytest.approx([0.0025, 0.0025, 0, 0.05])
    assert float(firing_correlation(anti.pair_probabilities)[0, 1]) == pytest.approx(-0.05 / 0.95)
    assert anti.mean.tolist() == pytest.approx([0.025] * 4)


class TestTogether:
    def test_all_or_none_on_every_sample(self):
        generator = GroupsTogether(n_groups=3, size=4, probability=profiles.Constant(0.4))
        fires = (sample(generator) > 0).reshape(-1, 3, 4).sum(2)
        assert set(fires.flatten().tolist()) == {0, 4}

    def test_full_amplitude_correlation_is_one_number(self):
        values = sample(GroupsTogether(n_groups=2, size=3, amplitude_correlation=1.0))
        for group in values.reshape(-1, 2, 3).unbind(1):
            assert torch.equal(group, group[:, :1].expand(-1, 3))
        assert not torch.equal(values[:, 0], values[:, 3])

    @pytest.mark.parametrize("rho", [0.0, 0.25, 0.8])
    @pytest.mark.parametrize("law", [magnitudes.Uniform(), magnitudes.Exponential()])
    def test_correlation_of_magnitudes(self, rho, law):
        generator = GroupsTogether(1, 2, law, profiles.Constant(1.0), rho)
        a, b = sample(generator, 32768).T
        mean, square = (float(m[0]) for m in (generator.truth().mean, generator.truth().square))
        products = (a - mean) * (b - mean) / (square - mean**2)
        error = float(products.std()) / len(products) ** 0.5
        assert abs(float(products.mean()) - rho) < SIGMAS * error

    def test_marginals_are_those_of_the_groups(self):
        generator = GroupsTogether(2, 2, probability=profiles.Array((0.5, 0.25)))
        assert generator.truth().marginals.tolist() == [0.5, 0.5, 0.25, 0.25]


class TestExactlyOne:
    def test_one_hot_groups(self):
        generator = GroupsExactlyOne(3, 5, probability=profiles.Constant(1.0))
        fires = (sample(generator) > 0).reshape(-1, 3, 5).sum(2)
        assert set(fires.flatten().tolist()) == {1}

    def test_weights_are_shares(self):
        generator = GroupsExactlyOne(
            2, 3, probability=profiles.Array((1.0, 0.5)), weights=profiles.Array((6.0, 3.0, 1.0))
        )
        assert generator.truth().marginals.tolist() == pytest.approx(
            [0.6, 0.3, 0.1, 0.3, 0.15, 0.05]
        )

    def test_weights_need_a_sum(self):
        message = "^generator.weights: found values from 0 to 0; must be at least 0, and not all 0"
        with pytest.raises(ConfigError, match=message):
            GroupsExactlyOne(weights=profiles.Constant(0.0))
        with pytest.raises(ConfigError, match=r"^generator.weights: found values from -1 to 2"):
            GroupsExactlyOne(weights=profiles.Array((-1.0, 2.0)))


class TestAtMostOne:
    def test_no_two_on_any_sample(self):
        generator = GroupsAtMostOne(4, 3, probability=profiles.Constant(0.3))
        fires = (sample(generator) > 0).reshape(-1, 4, 3).sum(2)
        assert set(fires.flatten().tolist()) == {0, 1}

    def test_marginals_are_as_asked(self):
        asked = (0.5, 0.25, 0.125, 0.875)
        truth = GroupsAtMostOne(2, 2, probability=profiles.Array(asked)).truth()
        assert truth.marginals.tolist() == list(asked)
        assert float(truth.pair_probabilities[0, 1]) == 0
        assert float(truth.pair_probabilities[0, 2]) == 0.0625

    def test_marginals_that_fill_a_group_by_rounding(self):
        generator = GroupsAtMostOne(1, 10, probability=profiles.Constant(0.1))
        assert bool(((sample(generator) > 0).sum(1) == 1).all())

    def test_more_than_fits_is_refused(self):
        message = (
            r"^generator.probability: group 1 sums to 1.2; .* at most 1 "
            r"\(equal ones: at most 0.3333 each\)$"
        )
        with pytest.raises(ConfigError, match=message):
            GroupsAtMostOne(2, 3, probability=profiles.Array((0.1, 0.1, 0.1, 0.4, 0.4, 0.4)))


@pytest.mark.parametrize("law", [GroupsTogether, GroupsExactlyOne, GroupsAtMostOne])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_groups": 0}, "^generator.n_groups = 0: must be at least 1"),
        ({"size": 0}, "^generator.size = 0: must be at least 1"),
        ({"probability": profiles.Constant(-0.1)}, r"^generator.probability: .* in \[0, 1\]"),
    ],
)
def test_bad_value(law, fields, message):
    with pytest.raises(ConfigError, match=message):
        law(**fields)


def test_bad_amplitude_correlation():
    with pytest.raises(ConfigError, match=r"^generator.amplitude_correlation = 1.5: must lie in"):
        GroupsTogether(amplitude_correlation=1.5)
