"""The engine under independent features, groups, joint tables and islands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS, check_truth
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.blocks import Blocks
from toysae.generators.blocks_kernel import accumulate, draw_firings
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.laws.magnitudes import Magnitudes


@dataclass(frozen=True)
class Plain(Generator):
    """Blocks and nothing else. `table`: of each block, its patterns with their probabilities."""

    table: tuple[tuple[tuple[tuple[int, ...], float], ...], ...]
    n_features: int = 1
    correlations: tuple[float, ...] = ()
    magnitude: magnitudes.Magnitude = magnitudes.Uniform()

    @property
    def blocks(self):
        patterns = [entry for block in self.table for entry in block]
        return Blocks(
            patterns=torch.tensor([len(block) for block in self.table], dtype=torch.int64),
            probabilities=torch.tensor([p for _, p in patterns], dtype=torch.float64),
            sizes=torch.tensor([len(f) for f, _ in patterns], dtype=torch.int64),
            features=torch.tensor([i for f, _ in patterns for i in f], dtype=torch.int64),
            correlations=torch.tensor(self.correlations, dtype=torch.float64),
            magnitudes=Magnitudes.of(self.magnitude, self.n_features),
            n_features=self.n_features,
        )

    def sample(self, draws, n):
        return self.blocks.sample(draws, n)

    def truth(self):
        return self.blocks.truth([f"f{i}" for i in range(self.n_features)], {})


#: One pair with all three patterns, a triple that fires whole or not, an exclusive pair that is
#: never silent, a feature that never fires, one that always does, and one that lies in no block.
EXAMPLE = Plain(
    (
        (((4,), 0.1), ((0, 4), 0.25), ((0,), 0.05)),
        (((1, 3, 6), 0.125),),
        (((2,), 0.75), ((7,), 0.25)),
        (((5,), 0.0),),
        (((8,), 1.0),),
    ),
    n_features=10,
    correlations=(0.5, 1.0, 0.0, 0.0, 0.0),
)


@st.composite
def generators(draw):
    """Two or three blocks over shuffled features; activities from rare to certain."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
    order = iter(draw(st.permutations(range(sum(sizes)))))
    table = []
    for size in sizes:
        block = [next(order) for _ in range(size)]
        subsets = st.sets(st.sampled_from(block), min_size=1).map(lambda s: tuple(sorted(s)))
        patterns = draw(st.lists(subsets, max_size=3, unique=True))
        weights = draw(st.lists(st.integers(0, 2), min_size=len(patterns), max_size=len(patterns)))
        activity = draw(st.sampled_from((0.3, 0.36, 1.0)))
        total = max(sum(weights), 1)
        table.append(tuple((f, activity * w / total) for f, w in zip(patterns, weights)))
    rho = st.sampled_from((0.0, 0.4, 1.0))
    law = draw(
        st.sampled_from(
            (
                magnitudes.Uniform(profiles.Constant(0.5), profiles.Linear(1, 3)),
                magnitudes.Exponential(profiles.Linear(1, 2)),
            )
        )
    )
    correlations = tuple(draw(rho) for _ in sizes)
    return Plain(tuple(table), sum(sizes), correlations, law)


class TestTruth:
    @settings(max_examples=15)
    @given(generators(), st.integers(0, 2**32))
    def test_is_what_samples_do(self, generator, seed):
        check_truth(generator, seed=seed)

    def test_of_the_example(self):
        check_truth(EXAMPLE)

    def test_by_hand(self):
        truth = EXAMPLE.truth()
        expected = [0.3, 0.125, 0.75, 0.125, 0.35, 0, 0.125, 0.25, 1, 0]
        assert truth.marginals.tolist() == pytest.approx(expected)
        pairs = truth.pair_moments(torch.tensor([0, 4, 1, 3, 2, 7, 9]))
        assert pairs.probabilities[0].tolist() == pytest.approx(
            [0.3, 0.25, 0.3 / 8, 0.3 / 8, 0.3 * 0.75, 0.3 / 4, 0]
        )
        assert float(pairs.probabilities[2, 3]) == 0.125
        assert float(pairs.probabilities[4, 5]) == 0  # of one block, never together
        # Uniform magnitudes: E[u v] is 1/3 shared and 1/4 apart; E[u] = 1/2.
        assert float(pairs.products[0, 1]) == pytest.approx(0.25 * (0.5 / 3 + 0.5 / 4))
        assert float(pairs.products[2, 3]) == pytest.approx(0.125 / 3)
        assert float(pairs.products[0, 2]) == pytest.approx(0.15 * 0.0625)
        assert float(pairs.products[4, 4]) == pytest.approx(0.75 / 3)
        assert float(pairs.products_error.max()) == 0

    @given(st.lists(st.integers(0, 9), max_size=12))
    def test_of_any_features_in_any_order_is_cut_from_the_whole(self, chosen):
        features = torch.tensor(chosen, dtype=torch.int64)
        whole, part = EXAMPLE.truth().pairs, EXAMPLE.truth().pair_moments(features)
        at = (features[:, None], features[None, :])
        assert torch.equal(part.probabilities, whole.probabilities[at])
        assert torch.equal(part.products, whole.products[at])


class TestSamples:
    def test_each_feature_at_most_once_a_sample(self):
        drawn = EXAMPLE.sample(Draws(0), 4096)
        cells = drawn.samples * drawn.n_features + drawn.features
        assert len(cells.unique()) == len(cells) > 0
        assert drawn.values.dtype == torch.float32
        assert float(drawn.values.min()) > 0

    def test_certain_and_impossible(self):
        fires = EXAMPLE.sample(Draws(1), 4096).dense() > 0
        assert bool(fires[:, 8].all())
        assert not bool(fires[:, [5, 9]].any())
        assert bool((fires[:, 2] ^ fires[:, 7]).all())
        assert torch.equal(fires[:, 1], fires[:, 3])
        assert torch.equal(fires[:, 1], fires[:, 6])

    def test_same_key_same_bits(self):
        first, again, other = (EXAMPLE.sample(Draws(3).at_block(block), 512) for block in (7, 7, 8))
        for name in ("offsets", "features", "values"):
            assert torch.equal(getattr(first, name), getattr(again, name))
        assert len(other.values) != len(first.values) or not torch.equal(other.values, first.values)

    def test_none(self):
        drawn = EXAMPLE.sample(Draws(0), 0)
        assert drawn.n_samples == 0
        assert drawn.dense().shape == (0, 10)

    def test_samples_are_independent_of_each_other(self):
        """A feature fires on one of two neighbours, or both, as often as a fair gap says."""
        n, p = 2**17, 0.3
        fires = EXAMPLE.sample(Draws(0), n).dense()[:, 0] > 0
        both = float((fires[1:] & fires[:-1]).double().mean())
        # Variance of a mean of products of neighbours, 1-dependent.
        variance = p**2 - p**4 + 2 * (p**3 - p**4)
        assert abs(both - p**2) < SIGMAS * (variance / n) ** 0.5


class TestKernel:
    def test_lack_of_room_changes_nothing(self):
        schedule = EXAMPLE.blocks._schedule
        narrow, wide = (
            draw_firings(Draws(5).kernel_state("blocks"), 300, schedule, room)
            for room in (1, 10_000)
        )
        assert len(narrow[0]) > 300
        for a, b in zip(narrow, wide):
            assert np.array_equal(a, b)

    def test_a_pattern_larger_than_the_room(self):
        together = Plain((((tuple(range(3000)), 0.001),),), 3000, (1.0,))
        drawn = together.sample(Draws(0), 1000)
        counts = drawn.offsets.diff()
        assert set(counts.tolist()) == {0, 3000}
        first = int((counts > 0).nonzero()[0])
        assert sorted(drawn.rows(first, first + 1).features.tolist()) == list(range(3000))

    def test_activity(self):
        cumulative, activity = accumulate(np.array([0, 2, 2, 3]), np.array([0.25, 0.5, 0.125]))
        assert cumulative.tolist() == [0.25, 0.75, 0.125]
        assert activity.tolist() == [0.75, 0, 0.125]

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_bands_hold_every_block_that_fires_below_their_bound(self, activity):
        table = tuple((((i,), p),) for i, p in enumerate(activity))
        schedule = Plain(table, len(activity), (0.0,) * len(activity)).blocks._schedule
        active = [i for i, p in enumerate(activity) if p > 0]
        assert sorted(schedule.blocks.tolist()) == active
        assert schedule.bands[0] == 0
        assert schedule.bands[-1] == len(active)
        for k, bound in enumerate(schedule.bounds):
            band = [activity[b] for b in schedule.blocks[schedule.bands[k] : schedule.bands[k + 1]]]
            assert max(band) == bound
            assert min(band) >= bound * 0.8408  # 2^(-1/4), or no band holds two
