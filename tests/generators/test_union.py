from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from tests.generators.statistics import check_truth, sample
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.monte_carlo import estimate_truth
from toysae.generators.union import Union

ONE = ComposedSets(sizes=(2, 3), amplitude_correlation=0.5, one_hot_fraction=0.25)
TWO = ComposedSets(sizes=(1, 2), one_hot_fraction=0.5)


@dataclass(frozen=True)
class Listed(Generator):
    """The samples of another generator, as a list of firings, with an estimated truth."""

    of: ComposedSets
    n_samples: int = 2**16

    name: ClassVar[str] = "listed"

    @property
    def n_features(self):
        return self.of.n_features

    def sample(self, draws, n):
        return self.of.sample(draws, n).sparse()

    def truth(self):
        exact = self.of.truth()
        parents = torch.tensor([-1, 0] + [-1] * (self.n_features - 2))
        return estimate_truth(
            self.sample, exact.names, exact.groups, parents, n_samples=self.n_samples
        )


def test_truth_of_samples():
    check_truth(Union({"one": ONE, "two": TWO}))
    check_truth(Union({"one": ONE, "inner": Union({"two": TWO, "three": ONE})}))
    check_truth(Union({"listed": Listed(ONE), "two": TWO}))


def test_parts_are_beside_each_other():
    union = Union({"one": ONE, "two": TWO})
    truth = union.truth()
    assert union.n_features == 8
    assert truth.names == ["one.x1", "one.x2", "one.y1", "one.y2", "one.y3",
                           "two.x1", "two.y1", "two.y2"]  # fmt: skip
    assert {name: tuple(members) for name, members in truth.groups.items()} == {
        "one": (0, 1, 2, 3, 4),
        "one/set_x": (0, 1),
        "one/set_y": (2, 3, 4),
        "two": (5, 6, 7),
        "two/set_x": (5,),
        "two/set_y": (6, 7),
    }


def test_moments_of_parts_are_products_across_and_their_own_within():
    truth, one, two = Union({"one": ONE, "two": TWO}).truth(), ONE.truth(), TWO.truth()
    features = torch.tensor([6, 1, 5, 2])  # in any order
    found = truth.pair_moments(features)
    assert found.probabilities[0, 1] == two.marginals[1] * one.marginals[1]
    assert found.probabilities[0, 2] == two.pair_probabilities[1, 0]
    assert found.products[1, 3] == one.second_moment[1, 2]
    assert found.products[2, 1] == two.mean[0] * one.mean[1]
    assert truth.exact
    assert float(found.probabilities_error.abs().max()) == 0


def test_estimates_keep_their_errors():
    truth, listed = Union({"one": ONE, "listed": Listed(TWO)}).truth(), Listed(TWO).truth()
    assert not truth.exact
    assert truth.marginals_error[:5].tolist() == [0.0] * 5
    assert torch.equal(truth.marginals_error[5:], listed.marginals_error)
    across = truth.pair_moments(torch.tensor([0, 5]))
    expected = truth.marginals[0] * listed.marginals_error[0]
    assert float(across.probabilities_error[0, 1]) == pytest.approx(float(expected))


def test_parents_are_numbered_over_all_parts():
    assert Union({"one": ONE}).truth().parents is None
    truth = Union({"one": ONE, "listed": Listed(TWO)}).truth()
    assert truth.parents.tolist() == [-1, -1, -1, -1, -1, -1, 5, -1]


def test_company_and_new_features_leave_the_draws_of_the_others():
    alone = sample(Union({"one": ONE}))
    beside = sample(Union({"zero": TWO, "one": ONE}))
    larger = sample(Union({"zero": ComposedSets(sizes=(3, 4)), "one": ONE}))
    assert torch.equal(beside[:, 3:], alone)
    assert torch.equal(larger[:, 7:], alone)
    assert not torch.equal(sample(Union({"other": ONE})), alone)


def test_lists_and_tables_give_the_same_samples():
    dense = Union({"one": ONE, "two": TWO}).sample(Draws(3), 500)
    mixed = Union({"one": Listed(ONE), "two": TWO}).sample(Draws(3), 500)
    assert isinstance(mixed, SparseCoefficients)
    assert torch.equal(mixed.dense(), dense.dense())


def test_is_a_function_of_its_parts():
    union = Union({"one": ONE, "two": TWO})
    assert union == Union({"one": ONE, "two": TWO})
    assert hash(union) == hash(Union({"one": ONE, "two": TWO}))
    assert len({union, Union({"two": TWO, "one": ONE}), Union({"one": ONE})}) == 3


@pytest.mark.parametrize(
    ("parts", "message"),
    [({}, r"generator\.parts: is empty"), ({"a/b": ONE}, r"generator\.parts\.a/b: .* hold '/'")],
)
def test_wrong_parts_are_refused(parts, message):
    with pytest.raises(ConfigError, match=message):
        Union(parts)
