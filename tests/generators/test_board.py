from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import check_truth
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.board import Board
from toysae.generators.laws import magnitudes, profiles


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@st.composite
def contents(draw, n):
    """Integer weights over their sum: impossible contents are common."""
    weights = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    return [w / sum(weights) for w in weights]


@st.composite
def boards(draw):
    rows, columns, n = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    lists = st.lists(contents(n), min_size=rows * columns, max_size=rows * columns)
    return Board(
        rows=rows,
        columns=columns,
        contents=draw(st.one_of(contents(n), lists)),
        coupling=draw(st.sampled_from((0.0, 0.3, 0.9))),
        magnitude=draw(st.sampled_from((magnitudes.Uniform(), magnitudes.Constant()))),
    )


def same_number_by_enumeration(rows, columns, coupling):
    """Every way in which squares can copy or not, with where each number comes from."""
    n = rows * columns
    ways = []
    for square in range(n):
        near = ([square - 1] if square % columns else []) + (
            [square - columns] if square >= columns else []
        )
        fresh = (square, 1 - coupling if near else 1.0)
        ways.append([fresh, *((k, coupling / len(near)) for k in near)])
    same = torch.zeros(n, n, dtype=torch.float64)
    for choice in itertools.product(*ways):
        origin = list(range(n))
        for square, (source, _) in enumerate(choice):
            origin[square] = square if source == square else origin[source]
        at = torch.tensor(origin)
        same += math.prod(p for _, p in choice) * (at[:, None] == at[None, :]).double()
    return same


class TestTruth:
    def test_two_by_two(self):
        """b1 and a2 copy a1; b2 copies one of them: 1/2 (1 + c^2) c with either."""
        c = 0.5
        expected = tensor(
            [
                [1, c, c, c**2],
                [c, 1, c**2, c * (1 + c**2) / 2],
                [c, c**2, 1, c * (1 + c**2) / 2],
                [c**2, c * (1 + c**2) / 2, c * (1 + c**2) / 2, 1],
            ]
        )
        close(Board(rows=2, columns=2, coupling=c).same_number, expected)

    @pytest.mark.parametrize(("rows", "columns"), [(1, 4), (4, 1), (2, 3), (3, 2), (3, 3)])
    def test_same_number_is_the_sum_over_all_ways(self, rows, columns):
        found = Board(rows=rows, columns=columns, coupling=0.6).same_number
        close(found, same_number_by_enumeration(rows, columns, 0.6))

    def test_pairs_of_squares_of_different_contents(self):
        """Intervals [0, .5) [.5, 1) and [0, .2) [.2, .6) [.6, 1) where .4 have one number."""
        board = Board(
            rows=1,
            columns=2,
            contents=[[0.5, 0.5, 0], [0.2, 0.4, 0.4]],
            coupling=0.4,
            magnitude=magnitudes.Constant(profiles.Constant(2.0)),
        )
        truth = board.truth()
        overlap = tensor([[0.2, 0.3, 0], [0, 0.1, 0.4], [0, 0, 0]])
        apart = tensor([[0.1, 0.2, 0.2], [0.1, 0.2, 0.2], [0, 0, 0]])
        pairs = 0.4 * overlap + 0.6 * apart
        close(truth.pair_probabilities[:3, 3:], pairs)
        close(truth.second_moment[:3, 3:], 4 * pairs)
        close(truth.pair_probabilities[:3, :3], torch.diag(tensor([0.5, 0.5, 0])))
        close(truth.marginals, tensor([0.5, 0.5, 0, 0.2, 0.4, 0.4]))
        close(truth.square, 4 * truth.marginals)

    @given(boards())
    def test_is_consistent(self, board):
        truth = board.truth()
        n, squares = board.n_contents, board.n_squares
        blocks = truth.pair_probabilities.reshape(squares, n, squares, n)
        assert float(blocks.min()) >= 0
        close(blocks.sum(3), truth.marginals.reshape(squares, n, 1).expand(-1, -1, squares))
        assert truth.l0 == pytest.approx(squares)
        assert float(torch.linalg.eigvalsh(truth.covariance).min()) > -1e-12

    @given(boards(), st.data())
    def test_of_chosen_features_is_part_of_that_of_all(self, board, data):
        chosen = torch.tensor(data.draw(st.permutations(range(board.n_features)))[:4])
        truth = board.truth()
        part = truth.pair_moments(chosen)
        close(part.probabilities, truth.pair_probabilities[chosen][:, chosen])
        close(part.products, truth.second_moment[chosen][:, chosen])

    def test_names_and_groups(self):
        truth = Board(rows=2, columns=2, contents=(0.5, 0.5), content_names=("no", "yes")).truth()
        assert truth.names == (
            "a1=no", "a1=yes", "b1=no", "b1=yes", "a2=no", "a2=yes", "b2=no", "b2=yes",
        )  # fmt: skip
        assert truth.groups["content_yes"] == (1, 3, 5, 7)
        assert truth.groups["square_a2"] == (4, 5)
        assert len(truth.groups) == 6

    def test_names_of_othello_and_of_wide_boards(self):
        truth = Board().truth()
        assert (truth.names[0], truth.names[-1], len(truth.names)) == ("a1=0", "h8=2", 192)
        assert "c4=0" in truth.names
        wide = Board(rows=1, columns=54, contents=(1.0,)).truth().names
        assert (wide[25], wide[26], wide[52], wide[53]) == ("z1=0", "aa1=0", "ba1=0", "bb1=0")


class TestSamples:
    @settings(max_examples=25)
    @given(boards(), st.integers(0, 2**32))
    def test_are_what_the_truth_states(self, board, seed):
        check_truth(board, 8192, seed)

    @given(boards(), st.integers(0, 2**32))
    def test_every_square_has_one_content_that_it_can_have(self, board, seed):
        firings = board.sample(Draws(seed), 64)
        assert bool((firings.offsets.diff() == board.n_squares).all())
        assert bool((firings.values > 0).all())
        squares = firings.features.reshape(64, -1) // board.n_contents
        assert torch.equal(squares, torch.arange(board.n_squares).expand(64, -1))
        assert bool((board.truth().marginals[firings.features] > 0).all())

    def test_all_squares_of_a_sample_together(self):
        """Which squares are alike on a line of three: more than pairs can tell."""
        board = Board(rows=1, columns=3, contents=(0.5, 0.5), coupling=0.6)
        n = 40_000
        contents = board.sample(Draws(1), n).features.reshape(n, 3) % 2
        found = Counter(map(tuple, contents.tolist()))
        stays = 0.6 + 0.4 / 2
        for pattern in itertools.product((0, 1), repeat=3):
            expected = 0.5 * math.prod(
                stays if a == b else 1 - stays for a, b in itertools.pairwise(pattern)
            )
            assert abs(found[pattern] / n - expected) < 5.5 * math.sqrt(expected / n)

    def test_same_key_same_bits(self):
        board = Board()
        again = board.sample(Draws(3, block=2), 100)
        first = board.sample(Draws(3, block=2), 100)
        assert torch.equal(first.features, again.features)
        assert torch.equal(first.values, again.values)
        assert not torch.equal(first.features, board.sample(Draws(3, block=3), 100).features)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"rows": 0}, r"^generator.rows = 0: must be at least 1"),
            ({"columns": 0}, r"^generator.columns = 0: must be at least 1"),
            ({"rows": 100, "columns": 100}, "found 10,000 squares; must be at most 4,096"),
            ({"coupling": 1.0}, r"^generator.coupling = 1.0: must lie in \[0, 1\)"),
            ({"coupling": -0.1}, r"^generator.coupling = -0.1: must lie in \[0, 1\)"),
            ({"coupling": math.nan}, r"^generator.coupling = nan: must lie in \[0, 1\)"),
            ({"contents": 0.5}, "^generator.contents = 0.5: must be a list of probabilities"),
            ({"contents": ()}, r"^generator.contents = \(\): must be a list of probabilities"),
            ({"contents": (0.5, 0.6)}, "^generator.contents: sums to 1.1, must sum to 1"),
            ({"contents": (1.5, -0.5)}, r"must be a list of numbers in \[0, 1\]"),
            ({"contents": (math.nan, 1)}, r"must be a list of numbers in \[0, 1\]"),
            ({"contents": ("a", 1)}, r"must be a list of numbers in \[0, 1\]"),
            ({"contents": ((0.5, 0.5),)}, "found 1 lists, must be one for all squares or one for"),
            (
                {"rows": 1, "columns": 2, "contents": ((0.5, 0.5), 1)},
                r"^generator.contents\[1\] = 1: must be a list of numbers",
            ),
            (
                {"rows": 1, "columns": 2, "contents": ((0.5, 0.5), (1.0,))},
                r"found lists of \[1, 2\] numbers, must be as many for each square",
            ),
            ({"content_names": ("a", "b")}, "must be 3 different names, one for each"),
            ({"content_names": ("a", "b", "a")}, "must be 3 different names, one for each"),
            (
                {"magnitude": magnitudes.Constant(profiles.Constant(-1.0))},
                "^generator.magnitude.value: ",
            ),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            Board(**fields)

    def test_lists_are_taken_and_frozen(self):
        assert Board(contents=[0.4, 0.3, 0.3]) == Board()
        assert hash(Board(contents=[0.4, 0.3, 0.3])) == hash(Board())
