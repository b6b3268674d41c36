from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.statistics import SIGMAS, check_truth
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators import composed_sets
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.sets import set_blocks
from toysae.generators.sets.composed_kernel import TILE, uniform_tile
from toysae.generators.shared_kernel import first_above
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK, Stream

FRACTIONS = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))
SIZES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
ONE_BLOCK_A_SET = patch.object(set_blocks, "_MOST_JOINT_OUTCOMES", 0)
LISTS = patch.object(composed_sets, "_MOST_DENSE_FEATURES", 0)


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def probabilities(draw, n):
    """Integer weights over their sum: impossible members are common, rare ones are not."""
    weights = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), dtype=float)
    weights[0] += weights.sum() == 0
    return weights / weights.sum()


@st.composite
def tables(draw, sizes):
    return probabilities(draw, math.prod(sizes)).reshape(sizes).tolist()


@st.composite
def generators(draw):
    """Every way to configure one: a table, members of unequal weights, a boost."""
    laws = {"amplitude_correlation": draw(FRACTIONS), "one_hot_fraction": draw(FRACTIONS)}
    sizes = draw(SIZES)
    kind = draw(st.sampled_from(("table", "weights", "boost")))
    if kind == "table":
        return ComposedSets(sizes=sizes, table=draw(tables(sizes)), **laws)
    if kind == "weights":
        weights = tuple(tuple(probabilities(draw, n).tolist()) for n in sizes)
        return ComposedSets(sizes=sizes, weights=weights, **laws)
    plain = ComposedSets(sizes=sizes, **laws)
    if len(sizes) == 1:
        return plain
    ends = draw(st.permutations(range(len(sizes))))[:2]
    pair = tuple(
        plain.names[plain.first_features[k] + draw(st.integers(0, sizes[k] - 1))] for k in ends
    )
    return replace(plain, boosted_pairs=(pair,), boost=draw(FRACTIONS))


def sample(generator, n=8192, seed=0):
    return generator.sample(Draws(seed), n).dense()


class TestBits:
    """Bits of published runs."""

    BOOSTED = {"boosted_pairs": (("x1", "y1"),), "boost": 0.3}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("fields", "digest"),
        [
            ({}, "5daee4c80e470d09"),
            ({"amplitude_correlation": 1.0, "one_hot_fraction": 0.75}, "23fbc6a15868482f"),
            ({"amplitude_correlation": 0.3, "one_hot_fraction": 0.25}, "4067a7f996f74db0"),
            (BOOSTED, "2d8df9dace0f8e5a"),
            (BOOSTED | {"amplitude_correlation": 1.0}, "2c99a532d91d91f6"),
            (
                {
                    "sizes": (3, 5), "amplitude_correlation": 0.25, "one_hot_fraction": 0.4,
                    "boosted_pairs": (("x3", "y2"),), "boost": 0.7,
                },
                "ff21ad27c8832f8e",
            ),
            (
                {"sizes": (8, 8), "boosted_pairs": (("x8", "y1"),), "boost": 0.99},
                "ea711be6927d664b",
            ),
            (
                {"table": ((0.5, 0.0), (0.25, 0.25)), "one_hot_fraction": 0.1},
                "8e8de95af74232d3",
            ),
        ],
    )  # fmt: skip
    def test_of_two_sets_stay(self, fields, digest):
        values = ComposedSets(**fields).sample(Draws(5, ("data",), block=3), 4096).dense()
        assert hashlib.sha256(values.numpy().tobytes()).hexdigest()[:16] == digest

    def test_first_samples(self):
        generator = ComposedSets(amplitude_correlation=0.5, one_hot_fraction=0.5, **self.BOOSTED)
        expected = [
            [0, 0, 0.5196547508239746, 0],
            [0, 0, 0, 0.5853396654129028],
            [0.5612088441848755, 0, 0.3719690442085266, 0],
            [0.04749131202697754, 0, 0.4663524031639099, 0],
            [0.09335219860076904, 0, 0, 0],
            [0.5014863014221191, 0, 0.37104862928390503, 0],
        ]
        assert generator.sample(Draws(5), 6).dense().tolist() == expected


class TestSamples:
    @given(generators(), st.integers(0, 2**32))
    def test_every_sample_has_one_of_each_set_or_a_single_feature(self, generator, seed):
        values = sample(generator, 256, seed)
        n_sets = len(generator.sizes)
        per_set = torch.stack([(part > 0).sum(1) for part in values.split(generator.sizes, 1)], 1)
        allowed = [[1] * n_sets] if generator.one_hot_fraction < 1 else []
        if generator.one_hot_fraction > 0:
            allowed += torch.eye(n_sets, dtype=torch.int64).tolist()
        assert all(counts in allowed for counts in per_set.tolist())
        assert values.dtype == torch.float32
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1

    @settings(max_examples=40)
    @given(generators(), st.integers(0, 2**32))
    def test_are_what_the_truth_states(self, generator, seed):
        check_truth(generator, 8192, seed)

    @settings(max_examples=40)
    @given(generators(), st.integers(0, 2**32))
    def test_drawn_set_by_set_are_what_the_truth_states(self, generator, seed):
        with ONE_BLOCK_A_SET:
            check_truth(replace(generator), 8192, seed)

    def test_impossible_pair_never_occurs(self):
        generator = ComposedSets(table=((0.5, 0.0), (0.0, 0.5)))
        fires = sample(generator, 50_000) > 0
        assert bool((fires[:, 0] == fires[:, 2]).all())

    def test_one_hot_only_has_singles_of_all_features_alike(self):
        fires = sample(ComposedSets(sizes=(1, 1, 2), one_hot_fraction=1.0), 20_000) > 0
        assert bool((fires.sum(1) == 1).all())
        frequency = fires.double().mean(0)
        assert bool(((frequency - 0.25).abs() < SIGMAS * math.sqrt(0.25 * 0.75 / 20_000)).all())

    @pytest.mark.parametrize("f", [0.0, 0.25, 0.5, 0.75])
    def test_amplitudes_correlate(self, f):
        """cov(a, (1 - f) b + f a) = f / 12, against variances 1/12, ((1 - f)^2 + f^2) / 12; two
        sets other than the first share f a: covariance f^2 / 12."""
        values = sample(ComposedSets(sizes=(1, 1, 1), amplitude_correlation=f), 40_000)
        spread = (1 - f) ** 2 + f**2
        found = torch.corrcoef(values.T)
        allowed = SIGMAS * 2 / math.sqrt(40_000)
        assert abs(float(found[0, 1]) - f / math.sqrt(spread)) < allowed
        assert abs(float(found[0, 2]) - f / math.sqrt(spread)) < allowed
        assert abs(float(found[1, 2]) - f * f / spread) < allowed

    def test_shared_amplitudes_are_identical(self):
        generator = ComposedSets(sizes=(2, 2, 3), amplitude_correlation=1.0, one_hot_fraction=0.25)
        values = sample(generator)
        composed = (values > 0).sum(1) == 3
        first, *others = (part.sum(1)[composed] for part in values.split(generator.sizes, 1))
        assert all(torch.equal(first, other) for other in others)
        assert 0.7 < float(composed.double().mean()) < 0.8

    def test_amplitudes_alone_are_uniform_whatever_the_correlation(self):
        values = sample(ComposedSets(amplitude_correlation=0.5, one_hot_fraction=1.0), 20_000)
        alone = values[:, 2:].sum(1)
        counts = torch.histc(alone[alone > 0], bins=10, min=0, max=1)
        expected = float(counts.sum()) / 10
        assert float(((counts - expected) ** 2 / expected).sum()) < 45  # chi^2(9): p < 1e-6


class TestManySets:
    TWENTY = ComposedSets(
        sizes=(10,) * 20,
        boosted_pairs=(("s3_1", "s5_2"), ("s5_3", "s9_10")),
        boost=0.5,
        one_hot_fraction=0.25,
        amplitude_correlation=0.5,
    )

    def test_blocks_are_what_pairs_join(self):
        assert [block.sets for block in self.TWENTY.blocks][:4] == [(0,), (1,), (2, 4, 8), (3,)]
        assert len(self.TWENTY.blocks) == 18

    def test_truth_of_chosen_features(self):
        """Together 1/100, or boosted 1/100 + (1/10 - 1/100) / 2; in 3/4 of samples."""
        place = self.TWENTY.names.index
        chosen = torch.tensor([place(name) for name in ("s5_2", "s3_1", "s20_1", "s20_2", "s1_1")])
        pairs = self.TWENTY.truth().pair_moments(chosen)
        marginal = 0.75 / 10 + 0.25 / 200
        expected = torch.full((5, 5), 0.0075, dtype=torch.float64)
        expected.fill_diagonal_(marginal)
        expected[0, 1] = expected[1, 0] = 0.75 * 0.055
        expected[2, 3] = expected[3, 2] = 0
        close(pairs.probabilities, expected)
        # E[(b/2 + a/2)(c/2 + a/2)] = 3/16 + 1/12, and with a itself: 1/8 + 1/6.
        assert float(pairs.products[0, 1]) == pytest.approx(0.75 * 0.055 * 13 / 48)
        assert float(pairs.products[0, 4]) == pytest.approx(0.0075 * 7 / 24)

    def test_samples(self):
        firings = self.TWENTY.sample(Draws(1), 8192)
        assert isinstance(firings, SparseCoefficients)
        counts = firings.offsets.diff()
        assert set(counts.tolist()) == {1, 20}
        assert bool((firings.values > 0).all())
        composed = firings.features[counts[firings.samples] == 20].reshape(-1, 20)
        assert torch.equal((composed // 10).sort(1).values, torch.arange(20).expand_as(composed))
        boosted = self.TWENTY.names.index("s3_1"), self.TWENTY.names.index("s5_2")
        together = sum((composed == feature).sum(1) for feature in boosted) == 2
        sigma = math.sqrt(0.055 * 0.945 / len(composed))
        assert abs(float(together.double().mean()) - 0.055) < SIGMAS * sigma

    def test_sets_of_one(self):
        values = sample(ComposedSets(sizes=(1,) * 70), 10)
        assert bool((values > 0).all())

    @given(generators(), st.integers(0, 2**32))
    def test_list_of_firings_has_the_bits_of_the_tensor(self, generator, seed):
        with LISTS:
            listed = generator.sample(Draws(seed), 256)
        assert isinstance(listed, SparseCoefficients)
        assert torch.equal(listed.dense(), sample(generator, 256, seed))

    @given(generators())
    def test_truth_is_that_of_one_table(self, generator):
        with ONE_BLOCK_A_SET:
            apart = replace(generator).truth()
        truth = generator.truth()
        close(apart.marginals, truth.marginals)
        close(apart.pair_probabilities, truth.pair_probabilities)
        close(apart.second_moment, truth.second_moment)


class TestReproducibility:
    @pytest.mark.parametrize("pieces", [(1, 999), (500, 500), (BLOCK,), (BLOCK - 1, 2, BLOCK)])
    def test_chunks_of_a_stream_have_the_bits_of_the_whole(self, pieces):
        stream = Stream(ComposedSets(one_hot_fraction=0.3), HiddenSpace(torch.eye(4)), seed=3)
        whole = stream.coefficients(0, sum(pieces)).dense()
        starts = itertools.accumulate(pieces, initial=0)
        parts = [stream.coefficients(start, n).dense() for start, n in zip(starts, pieces)]
        assert torch.equal(torch.cat(parts), whole)

    def test_seed_and_block_give_the_samples(self):
        generator = ComposedSets()
        assert torch.equal(sample(generator, 64, 1), sample(generator, 64, 1))
        assert not torch.equal(sample(generator, 64, 1), sample(generator, 64, 2))
        later = generator.sample(Draws(1, block=1), 64).dense()
        assert not torch.equal(sample(generator, 64, 1), later)


class TestTorchFormulation:
    """What other devices run, against the compiled sampler of the CPU."""

    def by_torch(self, generator, draws, n):
        blocks, state = len(generator.blocks), draws.kernel_state("samples")
        tiles = [uniform_tile(state, blocks + len(generator.sizes)) for _ in range(0, n, TILE)]
        uniform = torch.from_numpy(np.concatenate(tiles, axis=1))[:, :n]
        f = generator.amplitude_correlation
        return generator._outcomes.firings(uniform[:blocks], uniform[blocks:], f).dense()

    @given(generators(), st.sampled_from((0.0, 0.3, 1.0)), st.integers(0, 2**32))
    def test_gives_the_same_bits(self, generator, correlation, seed):
        generator = replace(generator, amplitude_correlation=correlation)
        expected = self.by_torch(generator, Draws(seed), 512)
        assert torch.equal(sample(generator, 512, seed), expected)

    @given(generators(), st.integers(0, 2**32))
    def test_gives_the_same_bits_set_by_set(self, generator, seed):
        with ONE_BLOCK_A_SET:
            apart = replace(generator)
            assert torch.equal(sample(apart, 512, seed), self.by_torch(apart, Draws(seed), 512))

    @given(generators())
    def test_a_number_on_the_edge_belongs_to_the_next_outcome(self, generator):
        """The first is drawn for 0, and the one after a cumulative probability for just that."""
        outcomes = generator._outcomes
        numbers = torch.cat([torch.zeros(1), outcomes.cumulative[:-1]])[None]
        cumulative = outcomes.cumulative.numpy()
        for k, level in enumerate(numbers[0].numpy()):
            assert first_above(level, cumulative, 0, len(cumulative) - 1) == k
        half = torch.full((len(generator.sizes), numbers.shape[1]), 0.5)
        values = outcomes.firings(numbers, half, generator.amplitude_correlation).dense()
        for row, members in zip(values, outcomes.members.tolist(), strict=True):
            assert row.nonzero()[:, 0].tolist() == [k for k in members if k >= 0]


class TestTruth:
    @given(generators())
    def test_is_the_sum_over_all_outcomes(self, generator):
        """Every combination and every single, with moments of amplitudes by exact quadrature."""
        n, n_sets = generator.n_features, len(generator.sizes)
        q, f = generator.one_hot_fraction, generator.amplitude_correlation
        nodes, weights = np.polynomial.legendre.leggauss(2)  # exact up to degree 3
        u = np.array(list(itertools.product((nodes + 1) / 2, repeat=n_sets)))
        weight = np.array([math.prod(w) for w in itertools.product(weights / 2, repeat=n_sets)])
        mixed = np.concatenate([u[:, :1], (1 - f) * u[:, 1:] + f * u[:, :1]], 1)
        pairs, mean, second = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))

        def add(probability, features, amplitudes):
            at = np.ix_(features, features)
            pairs[at] += probability
            mean[features] += probability * weight @ amplitudes
            second[at] += probability * amplitudes.T @ (weight[:, None] * amplitudes)

        [block] = generator.blocks
        for members in itertools.product(*(range(size) for size in generator.sizes)):
            features = [f + m for f, m in zip(generator.first_features, members)]
            add((1 - q) * float(block.table[members]), features, mixed)
        for k in range(n):
            add(q / n, [k], u[:, :1])
        truth = generator.truth()
        close(truth.pair_probabilities, tensor(pairs))
        close(truth.marginals, tensor(np.diag(pairs)))
        close(truth.mean, tensor(mean))
        close(truth.second_moment, tensor(second))
        close(truth.square, tensor(np.diag(second)))
        assert truth.l0 == pytest.approx((1 - q) * n_sets + q, abs=1e-12)

    @given(generators(), st.data())
    def test_of_chosen_features_is_part_of_that_of_all(self, generator, data):
        chosen = torch.tensor(data.draw(st.permutations(range(generator.n_features)))[:3])
        truth = generator.truth()
        part = truth.pair_moments(chosen)
        close(part.probabilities, truth.pair_probabilities[chosen][:, chosen])
        close(part.products, truth.second_moment[chosen][:, chosen])

    def test_names_and_groups(self):
        truth = ComposedSets(sizes=(2, 3), boosted_pairs=(("y3", "x2"),), boost=0.5).truth()
        assert truth.names == ("x1", "x2", "y1", "y2", "y3")
        assert truth.groups == {"set_x": (0, 1), "set_y": (2, 3, 4), "boosted": (1, 4)}
        assert set(ComposedSets().truth().groups) == {"set_x", "set_y"}

    def test_names_and_groups_of_other_numbers_of_sets(self):
        truth = ComposedSets(sizes=(2, 1, 2)).truth()
        assert truth.names == ("s1_1", "s1_2", "s2_1", "s3_1", "s3_2")
        assert truth.groups == {"set_1": (0, 1), "set_2": (2,), "set_3": (3, 4)}
        assert ComposedSets(sizes=(2,)).truth().names == ("s1_1", "s1_2")

    def test_weights_are_marginals(self):
        weights = ((0.25, 0.75), (0.5, 0.0, 0.5), (1.0,))
        truth = ComposedSets(sizes=(2, 3, 1), weights=weights).truth()
        close(truth.marginals, tensor([0.25, 0.75, 0.5, 0, 0.5, 1]))
        assert float(truth.pair_probabilities[1, 4]) == pytest.approx(0.375)


PLANE = tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])


def matched(n, r):
    """Joint probabilities (1 - r)/n^2 + (r/n) I."""
    table = np.full((n, n), (1 - r) / n**2) + r / n * np.eye(n)
    return ComposedSets(sizes=(n, n), table=table.tolist())


class TestMomentsOfTheHiddenSpace:
    """When are the principal components the diagonals? E u^2 = 1/3, E uv = 1/4 or 1/3."""

    ANTIPODAL = (
        (None, 0.0, (0, 0), (1 / 3, 1 / 3)),
        (None, 1.0, (0, 0), (1 / 3, 1 / 3)),
        (((0.3, 0.2), (0.2, 0.3)), 0.0, (0, 0), (0.383333, 0.283333)),
        (((0.3, 0.2), (0.2, 0.3)), 1.0, (0, 0), (0.4, 0.266667)),
        (((0.5, 0.0), (0.0, 0.5)), 0.0, (0, 0), (0.583333, 0.083333)),
        (((0.5, 0.0), (0.0, 0.5)), 1.0, (0, 0), (0.666667, 0)),
        (((0.55, 0.15), (0.15, 0.15)), 0.0, (0.2, 0.2), (0.353333, 0.233333)),
    )

    @pytest.mark.parametrize(("table", "f", "mean", "eigenvalues"), ANTIPODAL)
    def test_antipodal_plane(self, table, f, mean, eigenvalues):
        """x1 = -x2 and y1 = -y2 on the axes."""
        truth = ComposedSets(table=table, amplitude_correlation=f).truth()
        covariance = PLANE.T @ truth.covariance @ PLANE
        close(truth.mean @ PLANE, tensor(mean), 1e-6)
        close(torch.linalg.eigvalsh(covariance).flip(0), tensor(eigenvalues), 1e-6)

    @pytest.mark.parametrize(("table", "f", "mean", "eigenvalues"), ANTIPODAL)
    def test_samples_in_the_antipodal_plane(self, table, f, mean, eigenvalues):
        """Coordinates lie in [-1, 1]: an eigenvalue is known to about 1 / sqrt(n)."""
        n = 60_000
        hidden = sample(ComposedSets(table=table, amplitude_correlation=f), n).double() @ PLANE
        found = torch.linalg.eigvalsh(hidden.T.cov()).flip(0)
        close(hidden.mean(0), tensor(mean), SIGMAS / math.sqrt(n))
        close(found, tensor(eigenvalues), SIGMAS / math.sqrt(n))

    def test_components_are_the_diagonals_where_a_pair_is_favoured(self):
        """At 45 degrees, however unequal the table, as long as variances are equal."""
        truth = ComposedSets(table=((0.55, 0.15), (0.15, 0.15))).truth()
        vectors = torch.linalg.eigh(PLANE.T @ truth.covariance @ PLANE).eigenvectors
        close(vectors.abs(), torch.full((2, 2), 0.5**0.5, dtype=torch.float64), 1e-9)

    @pytest.mark.parametrize(
        ("n", "uniform", "unit"),
        [
            (2, (0.191667, 0.141667, 0.041667, 0.041667), (0.6, 0.4, 0, 0)),
            (
                3,
                (0.127778, 0.127778, 0.094444, 0.094444, 0.027778, 0.027778),
                (0.4, 0.4, 0.266667, 0.266667, 0, 0),
            ),
        ],
    )
    def test_orthogonal_features_of_matched_pairs(self, n, uniform, unit):
        """Amplitudes U(0, 1): 1/(3n) +- r/(4n) and 1/(12n) twice; amplitude 1: (1 +- r)/n."""
        truth = matched(n, 0.2).truth()
        close(torch.linalg.eigvalsh(truth.covariance).flip(0), tensor(uniform), 1e-6)
        p = truth.marginals
        indicators = truth.pair_probabilities - p[:, None] * p[None, :]
        close(torch.linalg.eigvalsh(indicators).flip(0), tensor(unit), 1e-6)
        samples = sample(matched(n, 0.2), 60_000).double()
        found = torch.linalg.eigvalsh(samples.T.cov()).flip(0)
        close(found, tensor(uniform), SIGMAS * 0.5 / math.sqrt(60_000))

    def test_orthogonal_components_are_not_the_composed_features(self):
        truth = matched(2, 0.2).truth()
        first = torch.linalg.eigh(truth.covariance).eigenvectors[:, -1]
        close(first.abs(), torch.full((4,), 0.5, dtype=torch.float64), 1e-9)
        composed = tensor([1, 0, 1, 0]) / 2**0.5
        assert abs(float(first @ composed)) == pytest.approx(0.5**0.5)


class TestKurtosis:
    """Of projections in the antipodal plane, about the origin."""

    AXES_AND_DIAGONALS = torch.tensor([[1.0, 0], [0, 1], [1, 1], [1, -1]]) @ PLANE.T.float()

    @pytest.mark.parametrize(("f", "diagonal"), [(0.0, 2.4), (1.0, 3.6)])
    def test_singles_out_the_diagonals(self, f, diagonal):
        """E[a^4] / E[a^2]^2 = (1/5) / (1/9) = 1.8; the covariance is that of a circle."""
        found = ComposedSets(amplitude_correlation=f).projection_kurtosis(self.AXES_AND_DIAGONALS)
        close(found, tensor([1.8, 1.8, diagonal, diagonal]))

    def test_of_single_features(self):
        """Half of all samples lie on each axis: twice the kurtosis of an axis."""
        found = ComposedSets(one_hot_fraction=1.0).projection_kurtosis(self.AXES_AND_DIAGONALS)
        close(found, tensor([3.6, 3.6, 1.8, 1.8]))

    @given(generators(), st.integers(0, 2**32))
    def test_is_that_of_samples(self, generator, seed):
        if len(generator.sizes) != 2:
            return
        n = 8192
        weights = torch.randn(3, generator.n_features, generator=torch.Generator().manual_seed(1))
        squares = (sample(generator, n, seed).double() @ weights.double().T).square()
        squares = squares / squares.mean(0)
        fourths = squares.square()
        influence = fourths - fourths.mean(0) - 2 * fourths.mean(0) * (squares - 1)
        error = influence.square().mean(0).sqrt() / n**0.5
        found = generator.projection_kurtosis(weights)
        assert bool(((fourths.mean(0) - found).abs() < SIGMAS * error + 0.02 * found).all())

    def test_of_sets_that_are_drawn_one_by_one(self):
        """Uniform tables of any size give each projection the law of the sum of its parts."""
        joint = ComposedSets(sizes=(2, 2), one_hot_fraction=0.25)
        weights = torch.tensor([[1.0, -1, 1, -1]])
        large = ComposedSets(sizes=(100, 100), one_hot_fraction=0.25)
        assert len(large.blocks) == 2
        repeated = torch.tensor([[1.0, -1]]).repeat(1, 100)
        close(large.projection_kurtosis(repeated), joint.projection_kurtosis(weights))

    def test_is_known_for_two_sets(self):
        with pytest.raises(ConfigError, match=r"generator\.sizes = \[2, 2, 2\]: .* two sets"):
            ComposedSets(sizes=(2, 2, 2)).projection_kurtosis(torch.ones(1, 6))


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"sizes": ()}, r"^generator.sizes: is empty"),
            ({"sizes": (0, 2)}, r"^generator.sizes = 0: must be at least 1"),
            ({"amplitude_correlation": -0.1}, "^generator.amplitude_correlation = -0.1: must lie"),
            ({"one_hot_fraction": 1.1}, "^generator.one_hot_fraction = 1.1: must lie in"),
            ({"one_hot_fraction": math.nan}, "^generator.one_hot_fraction = nan: must lie in"),
            ({"boost": 1.1}, r"^generator.boost = 1.1: must lie in \[0, 1"),
            ({"boost": 0.5}, r"boost = 0.5: needs generator.boosted_pairs, such as \[\[x1, y2"),
            ({"boosted_pairs": (("x3", "y1"),)}, r"found \['x3', 'y1'\]; .* out of x1 ... y2"),
            ({"boosted_pairs": (("x1",),)}, r"^generator.boosted_pairs: found \['x1'\]; must be"),
            ({"boosted_pairs": (("y1", "y2"),)}, r"\['y1', 'y2'\] are of one set"),
            ({"boosted_pairs": (("y1", "y1"),)}, r"\['y1', 'y1'\] are of one set"),
            (
                {"sizes": (300, 300), "boosted_pairs": (("x1", "y1"),), "boost": 0.1},
                "a table of 90,000 cells; must be at most 65,536",
            ),
            (
                {"table": ((0.25, 0.25), (0.5, 0.0)), "boosted_pairs": (("x1", "y1"),), "boost": 1},
                r"^generator.boost = 1: no table .* must lie in \[0, 0\]",
            ),
            ({"table": ((0.5, 0.5),)}, r"table: found a list of 1, must be a list of 2 lists"),
            ({"table": ((0.5, 0.5), (0.0,))}, r"table\[1\]: found a list of 1, must .* 2 numbers"),
            ({"table": 0.5}, r"^generator.table: found 0.5, must be a list of 2 lists"),
            ({"table": ((0.5, 0.5), ("a", 0))}, r"^generator.table\[1\]\[0\] = 'a': must be a num"),
            ({"sizes": (2, 2, 1), "table": ((0.5, 0.5), (0, 0))}, r"table\[0\]\[0\]: found 0.5, "),
            ({"table": ((0.5, 0.2), (0.2, 0.2))}, "entries sum to 1.1, must sum to 1"),
            ({"table": ((1.5, -0.5), (0.0, 0.0))}, r"found 1.5; entries must lie in \[0, 1\]"),
            ({"table": ((math.nan, 0.5), (0.5, 0.0))}, r"found nan; entries must lie in \[0, 1\]"),
            ({"weights": ((0.5, 0.5),)}, "found 1 lists, must be one for each of the 2 sets"),
            ({"weights": ((1.0,), (0.5, 0.5))}, r"weights\[0\]: found a list of 1, must be a list"),
            ({"weights": ((0.5, 0.6), (0.5, 0.5))}, r"weights\[0\]: entries sum to 1.1"),
            (
                {"weights": ((0.5, 0.5),) * 2, "table": ((0.5, 0), (0, 0.5))},
                "^generator.weights: must be null where generator.table is given",
            ),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            ComposedSets(**fields)

    def test_lists_are_taken_and_frozen(self):
        listed = ComposedSets(table=[[0.5, 0], [0, 0.5]])
        frozen = ComposedSets(table=((0.5, 0.0), (0.0, 0.5)))
        assert listed == frozen
        assert hash(listed) == hash(frozen)
