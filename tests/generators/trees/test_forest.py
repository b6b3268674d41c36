from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ConfigError
from toysae.generators.trees.compensation import exact, none, published
from toysae.generators.trees.forest import Forest, forest_size

#: Two trees and a flat feature: 0 -> (1, 3 -> 4), 2 -> (5,), 6.
PARENTS = (-1, 0, -1, 0, 3, 2, -1)


def forest(parents=PARENTS):
    return Forest(torch.tensor(parents))


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@st.composite
def forests(draw, most=9):
    n = draw(st.integers(1, most))
    return tuple(draw(st.integers(-1, feature - 1)) for feature in range(n))


class TestShape:
    def test_regular_numbers_level_by_level(self):
        found = Forest.regular(9, roots=2, branching=2, depth=1)
        assert found.parents.tolist() == [-1, -1, 0, 0, 1, 1, -1, -1, -1]
        deeper = Forest.regular(7, roots=1, branching=2, depth=2)
        assert deeper.parents.tolist() == [-1, 0, 0, 1, 1, 2, 2]

    def test_published_size(self):
        assert forest_size(128, 4, 3) == 128 + 512 + 2048 + 8192
        assert Forest.regular(16_384, 128, 4, 3).depths.bincount().tolist() == [
            128 + 5504, 512, 2048, 8192,
        ]  # fmt: skip

    def test_golden(self):
        found = forest()
        assert found.roots.tolist() == [0, 2, 6]
        assert found.depths.tolist() == [0, 1, 0, 1, 2, 1, 0]
        assert [level.tolist() for level in found.levels] == [[0, 2, 6], [1, 3, 5], [4]]
        assert found.family_sizes.tolist() == [2, 0, 1, 1, 0, 0, 0]
        assert found.children.tolist() == [1, 3, 5, 4]
        values = tensor([2, 3, 5, 7, 11, 13, 17])
        assert found.of_parent(values, 1.0).tolist() == [1, 2, 1, 2, 7, 5, 1]
        assert found.over_siblings(values).tolist() == [2, 10, 5, 10, 11, 13, 17]
        assert found.along_path(values).tolist() == [2, 6, 5, 14, 154, 65, 17]

    def test_common_ancestors_golden(self):
        found = forest().common_ancestors(torch.tensor([4, 1, 0, 5, 4]))
        assert found.tolist() == [
            [4, 0, 0, -1, 4],
            [0, 1, 0, -1, 0],
            [0, 0, 0, -1, 0],
            [-1, -1, -1, 5, -1],
            [4, 0, 0, -1, 4],
        ]

    @given(forests())
    def test_common_ancestors_are_the_deepest(self, parents):
        def line(feature):
            return [] if feature < 0 else [*line(parents[feature]), feature]

        everything = range(len(parents))
        found = forest(parents).common_ancestors(torch.tensor(everything))
        for i, j in itertools.product(everything, everything):
            both = [a for a, b in zip(line(i), line(j)) if a == b]
            assert int(found[i, j]) == (both[-1] if both else -1)


class TestWinning:
    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            ((0.9, 0.5, 0.5), (0.9, 0.375, 0.375)),  # 1/2 (1 - 1/4)
            ((0.9, 0.5, 0.5, 0.5), (0.9, 7 / 24, 7 / 24, 7 / 24)),  # 1/2 (1/4 + 1/4 + 1/12)
            ((0.9, 1.0, 1.0, 1.0), (0.9, 1 / 3, 1 / 3, 1 / 3)),
            ((0.9, 0.3), (0.9, 0.3)),
            ((0.9, 1.0, 0.0), (0.9, 1.0, 0.0)),
        ],
    )
    def test_golden(self, own, expected):
        family = forest((-1, *[0] * (len(own) - 1)))
        torch.testing.assert_close(family.winning(tensor(own)), tensor(expected))

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
    def test_is_the_sum_over_who_wants_to(self, own):
        expected = [0.0] * len(own)
        for wants in itertools.product((0, 1), repeat=len(own)):
            probability = 1.0
            for q, want in zip(own, wants):
                probability *= q if want else 1 - q
            for child, want in enumerate(wants):
                expected[child] += probability * want / max(1, sum(wants))
        found = forest((-1, *[0] * len(own))).winning(tensor([0.5, *own]))
        torch.testing.assert_close(found[1:], tensor(expected))

    def test_a_thousand_siblings(self):
        """`q E[1 / (1 + N)] = (1 - (1 - q)^n) / n` for equal siblings."""
        found = forest((-1, *[0] * 1000)).winning(torch.full((1001,), 0.02).double())
        expected = (1 - 0.98**1000) / 1000
        torch.testing.assert_close(found[1:], torch.full((1000,), expected).double())


class TestCompensation:
    P = (0.5, 0.2, 0.4, 0.25, 0.1, 0.3, 0.0)

    def test_exact_is_the_share_of_the_parent(self):
        expected = tensor([0.5, 0.4, 0.4, 0.5, 0.4, 0.75, 0.0])
        for exclusive in (True, False):
            torch.testing.assert_close(exact(forest(), tensor(self.P), exclusive), expected)

    def test_published_by_hand(self):
        """Feature 1: 0.2 / 0.5 (1 + 0.25 / 0.5); feature 3: 0.25 / 0.5 (1 + 0.2 / 0.5)."""
        found = published(forest(), tensor(self.P), True)
        torch.testing.assert_close(found, tensor([0.5, 0.6, 0.4, 0.7, 0.4, 0.75, 0.0]))
        found = published(forest(), tensor(self.P), False)
        torch.testing.assert_close(found, tensor([0.5, 0.4, 0.4, 0.5, 0.4, 0.75, 0.0]))

    def test_published_is_at_most_one(self):
        found = published(forest((-1, 0, 0)), tensor([0.3, 0.25, 0.25]), True)
        assert found.tolist() == pytest.approx([0.3, 1, 1])

    def test_none(self):
        assert none(forest(), tensor(self.P), True).tolist() == list(self.P)

    def test_children_of_what_never_fires(self):
        parents = forest((-1, 0, 0))
        assert exact(parents, tensor([0, 0, 0]), True).tolist() == [0, 0, 0]
        assert published(parents, tensor([0, 0, 0.2]), True).tolist() == pytest.approx([0, 0, 0.2])
        with pytest.raises(ConfigError, match="attainable is at most the 0 of the parent 0"):
            exact(parents, tensor([0, 0, 0.2]), True)

    def test_the_attainable_is_attained(self):
        assert exact(forest((-1, 0, 0)), tensor([0.3, 0.1, 0.2]), True)[1:].sum() == pytest.approx(
            1
        )
        assert exact(forest((-1, 0, 0)), tensor([0.3, 0.3, 0.3]), False)[1:].tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("p", "exclusive", "message"),
        [
            (
                (0.3, 0.2, 0.2), True,
                "^generator.probability: found 0.4 for all children of feature 0, "
                "attainable is at most the 0.3 of the parent 0",
            ),
            (
                (0.3, 0.2, 0.31), False,
                "^generator.probability: found 0.31 for feature 2, attainable is at most the 0.3",
            ),
        ],
    )  # fmt: skip
    def test_the_impossible_is_refused(self, p, exclusive, message):
        with pytest.raises(ConfigError, match=message):
            exact(forest((-1, 0, 0)), tensor(p), exclusive)
