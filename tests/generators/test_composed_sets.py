from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.composed_kernel import fill
from toysae.generators.composed_sets import ComposedSets, boost_pair
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK, Stream

#: Statistics may lie this many standard errors away: about 4e-8 a comparison.
SIGMAS = 5.5
TAIL = 2e-8

FRACTIONS = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4))


def uniform(n_x, n_y):
    return torch.full((n_x, n_y), 1 / (n_x * n_y), dtype=torch.float64)


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@st.composite
def tables(draw):
    """Integer weights over their sum: impossible pairs are common, rare ones are not."""
    n_x, n_y = draw(SIZES)
    rows = st.lists(st.integers(0, 4), min_size=n_y, max_size=n_y)
    weights = np.array(draw(st.lists(rows, min_size=n_x, max_size=n_x)), dtype=float)
    weights[0, 0] += weights.sum() == 0
    return tuple(tuple(row) for row in (weights / weights.sum()).tolist())


@st.composite
def generators(draw):
    """Every way to configure one: a table, or a boost of the uniform one."""
    laws = {"amplitude_correlation": draw(FRACTIONS), "one_hot_fraction": draw(FRACTIONS)}
    if draw(st.booleans()):
        table = draw(tables())
        return ComposedSets(sizes=(len(table), len(table[0])), table=table, **laws)
    sizes = draw(SIZES)
    pair = tuple(draw(st.integers(0, size - 1)) for size in sizes)
    return ComposedSets(sizes=sizes, boosted_pair=pair, boost=draw(FRACTIONS), **laws)


def sample(generator, n=8192, seed=0):
    return generator.sample(Draws(seed), n).dense()


class TestSamples:
    @given(generators(), st.integers(0, 2**32))
    def test_every_sample_has_one_of_each_set_or_a_single_feature(self, generator, seed):
        values = sample(generator, 256, seed)
        fires = values > 0
        n_x = generator.sizes[0]
        per_set = torch.stack([fires[:, :n_x].sum(1), fires[:, n_x:].sum(1)], dim=1)
        allowed = {(1, 1)} if generator.one_hot_fraction < 1 else set()
        if generator.one_hot_fraction > 0:
            allowed |= {(1, 0), (0, 1)}
        assert {tuple(counts) for counts in per_set.tolist()} <= allowed
        assert values.dtype == torch.float32
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1

    @given(generators(), st.integers(0, 2**32))
    def test_what_fires_is_what_the_truth_states(self, generator, seed):
        values = sample(generator, 8192, seed).double()
        fires = (values > 0).double()
        together = (fires.T @ fires).numpy()
        law = stats.binom(len(values), generator.truth().pair_probabilities.clamp(max=1).numpy())
        assert (law.cdf(together) > TAIL).all()
        assert (law.sf(together - 1) > TAIL).all()

    @given(generators(), st.integers(0, 2**32))
    def test_amplitudes_are_what_the_truth_states(self, generator, seed):
        values = sample(generator, 8192, seed).double()
        truth = generator.truth()
        for power, expected in (
            (values, truth.mean),
            (torch.einsum("ni,nj->nij", values, values), truth.second_moment),
        ):
            # Amplitudes are at most 1, so that a variance is at most its probability.
            bound = truth.marginals if expected.ndim == 1 else truth.pair_probabilities
            sigma = (bound / len(values)).sqrt()
            assert bool(((power.mean(0) - expected).abs() <= SIGMAS * sigma + 1e-9).all())

    def test_impossible_pair_never_occurs(self):
        generator = ComposedSets(table=((0.5, 0.0), (0.0, 0.5)))
        fires = sample(generator, 50_000) > 0
        assert bool((fires[:, 0] == fires[:, 2]).all())

    def test_one_hot_only_has_singles_of_all_features_alike(self):
        fires = sample(ComposedSets(sizes=(1, 3), one_hot_fraction=1.0), 20_000) > 0
        assert bool((fires.sum(1) == 1).all())
        frequency = fires.double().mean(0)
        assert bool(((frequency - 0.25).abs() < SIGMAS * math.sqrt(0.25 * 0.75 / 20_000)).all())

    @pytest.mark.parametrize("f", [0.0, 0.25, 0.5, 0.75])
    def test_amplitudes_correlate(self, f):
        """cov(a, (1 - f) b + f a) = f / 12, against variances 1/12, ((1 - f)^2 + f^2) / 12."""
        values = sample(ComposedSets(sizes=(1, 1), amplitude_correlation=f), 40_000)
        expected = f / math.sqrt((1 - f) ** 2 + f**2)
        found = float(torch.corrcoef(values.T)[0, 1])
        assert abs(found - expected) < SIGMAS * 2 / math.sqrt(40_000)

    def test_shared_amplitudes_are_identical(self):
        generator = ComposedSets(amplitude_correlation=1.0, one_hot_fraction=0.25)
        values = sample(generator)
        composed = (values > 0).sum(1) == 2
        x, y = values[:, :2].sum(1), values[:, 2:].sum(1)
        assert torch.equal(x[composed], y[composed])
        assert 0.7 < float(composed.double().mean()) < 0.8

    def test_amplitudes_alone_are_uniform_whatever_the_correlation(self):
        values = sample(ComposedSets(amplitude_correlation=0.5, one_hot_fraction=1.0), 20_000)
        alone = values[:, 2:].sum(1)
        counts = torch.histc(alone[alone > 0], bins=10, min=0, max=1)
        expected = float(counts.sum()) / 10
        assert float(((counts - expected) ** 2 / expected).sum()) < 45  # chi^2(9): p < 1e-6


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
        outcome, first, second = draws.uniform("samples", (3, n))
        return generator._fill(outcome, 1 - first, 1 - second, *generator._outcomes)

    @given(generators(), st.integers(0, 2**32))
    def test_gives_the_same_samples(self, generator, seed):
        compiled = sample(generator, 512, seed)
        torch.testing.assert_close(
            self.by_torch(generator, Draws(seed), 512), compiled, rtol=0, atol=1e-7
        )

    @given(generators())
    def test_a_number_on_the_edge_belongs_to_the_next_outcome(self, generator):
        """The first is drawn for 0, and the one after a cumulative probability for just that."""
        cumulative, x_of, y_of = generator._outcomes
        outcome = torch.cat([torch.zeros(1), cumulative])
        half, values = (
            torch.full_like(outcome, 0.5),
            torch.zeros(len(outcome), generator.n_features),
        )
        fill(
            values.numpy(), np.float32(0), outcome.numpy(), half.numpy(), half.numpy(),
            *(t.numpy() for t in generator._outcomes),
        )  # fmt: skip
        for row, x, y in zip(values, x_of.tolist(), y_of.tolist(), strict=True):
            assert row.nonzero()[:, 0].tolist() == [k for k in (x, y) if k >= 0]
        uncorrelated = replace(generator, amplitude_correlation=0.0)
        by_torch = uncorrelated._fill(outcome, half, half, *generator._outcomes)
        assert torch.equal(by_torch, values)


class TestTruth:
    @given(generators())
    def test_is_the_sum_over_all_outcomes(self, generator):
        """Every pair and every single, with moments of amplitudes by exact quadrature."""
        n_x, n_y = generator.sizes
        n, q, f = n_x + n_y, generator.one_hot_fraction, generator.amplitude_correlation
        nodes, weights = np.polynomial.legendre.leggauss(4)  # exact up to degree 7
        u, w = (nodes + 1) / 2, weights / 2
        a, b = np.meshgrid(u, u)
        weight = np.outer(w, w)
        pairs, mean, second = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))

        def add(probability, features, amplitudes):
            for i, x in zip(features, amplitudes):
                mean[i] += probability * (weight * x).sum()
                for j, y in zip(features, amplitudes):
                    pairs[i, j] += probability
                    second[i, j] += probability * (weight * x * y).sum()

        for i, j in itertools.product(range(n_x), range(n_y)):
            together = (1 - q) * float(generator.joint_table[i, j])
            add(together, (i, n_x + j), (a, (1 - f) * b + f * a))
        for k in range(n):
            add(q / n, (k,), (a,))
        truth = generator.truth()
        close(truth.pair_probabilities, tensor(pairs))
        close(truth.marginals, tensor(np.diag(pairs)))
        close(truth.mean, tensor(mean))
        close(truth.second_moment, tensor(second))
        close(truth.covariance, tensor(second - np.outer(mean, mean)))
        assert truth.l0 == pytest.approx(2 - q, abs=1e-6)

    def test_names_and_groups(self):
        truth = ComposedSets(sizes=(2, 3), boosted_pair=(1, 2), boost=0.5).truth()
        assert truth.names == ("x1", "x2", "y1", "y2", "y3")
        assert truth.groups == {"set_x": (0, 1), "set_y": (2, 3, 4), "boosted": (1, 4)}
        assert set(ComposedSets().truth().groups) == {"set_x", "set_y"}

    @pytest.mark.parametrize(
        ("table", "f", "mean", "eigenvalues"),
        [
            (None, 0.0, (0, 0), (1 / 3, 1 / 3)),
            (None, 1.0, (0, 0), (1 / 3, 1 / 3)),
            (((0.3, 0.2), (0.2, 0.3)), 0.0, (0, 0), (0.383333, 0.283333)),
            (((0.3, 0.2), (0.2, 0.3)), 1.0, (0, 0), (0.4, 0.266667)),
            (((0.5, 0.0), (0.0, 0.5)), 0.0, (0, 0), (0.583333, 0.083333)),
            (((0.5, 0.0), (0.0, 0.5)), 1.0, (0, 0), (0.666667, 0)),
            (((0.55, 0.15), (0.15, 0.15)), 0.0, (0.2, 0.2), (0.353333, 0.233333)),
        ],
    )
    def test_moments_in_the_antipodal_plane(self, table, f, mean, eigenvalues):
        """x1 = -x2 and y1 = -y2 on the axes; by hand, E u^2 = 1/3 and E uv = 1/4 or 1/3."""
        truth = ComposedSets(table=table, amplitude_correlation=f).truth()
        plane = tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])
        covariance = plane.T @ truth.covariance @ plane
        close(truth.mean @ plane, tensor(mean), 1e-6)
        close(torch.linalg.eigvalsh(covariance).flip(0), tensor(eigenvalues), 1e-6)

    @pytest.mark.parametrize(
        ("n", "eigenvalues"),
        [
            (2, (0.191667, 0.141667, 0.041667, 0.041667)),
            (3, (0.127778, 0.127778, 0.094444, 0.094444, 0.027778, 0.027778)),
        ],
    )
    def test_eigenvalues_of_matched_pairs(self, n, eigenvalues):
        """Table (1 - r)/n^2 + (r/n) I with r = 0.2: 1/(3n) +- r/(4n), and 1/(12n) twice."""
        table = 0.8 * uniform(n, n) + 0.2 / n * torch.eye(n)
        generator = ComposedSets(sizes=(n, n), table=tuple(map(tuple, table.tolist())))
        found = torch.linalg.eigvalsh(generator.truth().covariance).flip(0)
        close(found, tensor(eigenvalues), 1e-6)


class TestBoost:
    @pytest.mark.parametrize(
        ("base", "pair", "boost", "expected"),
        [
            (uniform(2, 2), (0, 0), 0.2, [[0.3, 0.2], [0.2, 0.3]]),
            (uniform(2, 2), (1, 0), 1.0, [[0, 0.5], [0.5, 0]]),
            (
                uniform(3, 3), (2, 0), 0.5,
                [[2 / 36, 5 / 36, 5 / 36], [2 / 36, 5 / 36, 5 / 36], [8 / 36, 2 / 36, 2 / 36]],
            ),
            (uniform(2, 3), (0, 1), 1.0, [[1 / 12, 4 / 12, 1 / 12], [3 / 12, 0, 3 / 12]]),
            # Row 0 leaves 0.4 and column 0 leaves 0.2: the gain is half of 0.2.
            (
                tensor([[0.2, 0.4], [0.2, 0.2]]), (0, 0), 0.5,
                [[0.3, 0.3], [0.1, 0.3]],
            ),
        ],
    )  # fmt: skip
    def test_golden(self, base, pair, boost, expected):
        close(boost_pair(base, *pair, boost), tensor(expected))

    @given(SIZES, st.data(), st.floats(0, 1))
    def test_uniform_table_keeps_its_marginals(self, sizes, data, boost):
        i, j = (data.draw(st.integers(0, size - 1)) for size in sizes)
        table = ComposedSets(sizes=sizes, boosted_pair=(i, j), boost=boost).joint_table
        n_x, n_y = sizes
        close(table.sum(1), torch.full((n_x,), 1 / n_x, dtype=torch.float64))
        close(table.sum(0), torch.full((n_y,), 1 / n_y, dtype=torch.float64))
        assert float(table.min()) >= 0
        most = min(1 / n_x, 1 / n_y)
        expected = 1 / (n_x * n_y) + boost * (most - 1 / (n_x * n_y))
        assert float(table[i, j]) == pytest.approx(expected, abs=1e-12)

    @given(tables(), st.data(), FRACTIONS)
    def test_any_table_keeps_its_marginals_or_is_refused(self, rows, data, boost):
        sizes = (len(rows), len(rows[0]))
        pair = tuple(data.draw(st.integers(0, size - 1)) for size in sizes)
        fields = {"sizes": sizes, "table": rows, "boosted_pair": pair, "boost": boost}
        boosted, base = boost_pair(tensor(rows), *pair, boost), tensor(rows)
        assert float(boosted.min()) >= 0
        assert float(boosted[pair]) >= float(base[pair])
        if all(torch.allclose(boosted.sum(k), base.sum(k), atol=1e-6, rtol=0) for k in (0, 1)):
            close(ComposedSets(**fields).joint_table, boosted)
        else:
            with pytest.raises(ConfigError, match="moves a marginal by"):
                ComposedSets(**fields)

    @pytest.mark.parametrize(
        "table",
        [
            ((0.2, 0.05, 0.05), (0.05, 0.2, 0.05), (0.05, 0.05, 0.3)),
            ((0.1, 0.1, 0.2), (0.1, 0.4, 0.1)),  # the boosted row alone is out of proportion
            ((0.25, 0.25), (0.5, 0.0)),  # nowhere to put what row 1 loses
        ],
    )
    def test_table_whose_marginals_cannot_be_kept_is_refused(self, table):
        sizes = (len(table), len(table[0]))
        ComposedSets(sizes=sizes, table=table, boosted_pair=(0, 0))
        with pytest.raises(ConfigError, match=r"^generator.boost = 0.5: .* moves a marginal by 0"):
            ComposedSets(sizes=sizes, table=table, boosted_pair=(0, 0), boost=0.5)

    def test_table_of_proportional_rows_is_boosted(self):
        """Not uniform, and more than two columns: rows 1, 2 and 1 times (2, 1, 1)."""
        rows = tuple(tuple(k * p / 16 for p in (2, 1, 1)) for k in (1, 2, 1))
        table = ComposedSets(sizes=(3, 3), table=rows, boosted_pair=(1, 2), boost=0.5).joint_table
        close(table.sum(0), tensor([0.5, 0.25, 0.25]))
        close(table.sum(1), tensor([0.25, 0.5, 0.25]))
        assert float(table[1, 2]) == pytest.approx(2 / 16 + 0.5 * 2 / 16)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"sizes": (2,)}, r"^generator.sizes = \[2\]: must hold two numbers"),
            ({"sizes": (2, 2, 2)}, r"^generator.sizes = \[2, 2, 2\]: must hold two numbers"),
            ({"sizes": (0, 2)}, r"^generator.sizes = 0: must be at least 1"),
            ({"amplitude_correlation": -0.1}, "^generator.amplitude_correlation = -0.1: must lie"),
            ({"one_hot_fraction": 1.1}, "^generator.one_hot_fraction = 1.1: must lie in"),
            ({"one_hot_fraction": math.nan}, "^generator.one_hot_fraction = nan: must lie in"),
            ({"boost": 1.1, "boosted_pair": (0, 0)}, r"^generator.boost = 1.1: must lie in \[0, 1"),
            ({"boost": 0.5}, r"^generator.boost = 0.5: needs generator.boosted_pair"),
            ({"boosted_pair": (2, 0)}, r"^generator.boosted_pair = \[2, 0\]: .* 0 <= i < 2"),
            ({"boosted_pair": (0, -1)}, r"^generator.boosted_pair = \[0, -1\]: .* 0 <= j < 2"),
            ({"boosted_pair": (0,)}, r"^generator.boosted_pair = \[0\]: must be \[i, j\]"),
            ({"table": ((0.5, 0.5),)}, r"rows of lengths \[2\], must be 2 rows of 2 numbers"),
            ({"table": ((0.5, 0.5), (0.0,))}, r"rows of lengths \[2, 1\], must be 2 rows"),
            ({"table": ()}, r"rows of lengths \[\], must be 2 rows"),
            ({"table": ((0.5, 0.2), (0.2, 0.2))}, "entries sum to 1.1, must sum to 1"),
            ({"table": ((1.5, -0.5), (0.0, 0.0))}, r"entries must lie in \[0, 1\]"),
            ({"table": ((math.nan, 0.5), (0.5, 0.0))}, r"entries must lie in \[0, 1\]"),
        ],
    )
    def test_bad_value(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            ComposedSets(**fields)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("one_hot", [0.0, 0.4, 1.0])
def test_fused_sampler_is_the_torch_formulation_bit_for_bit(correlation, one_hot):
    generator = ComposedSets(
        sizes=(3, 2), amplitude_correlation=correlation, one_hot_fraction=one_hot
    )
    draws = Draws(7)
    outcome, first, second = draws.uniform("samples", (3, 4096))
    torch_values = generator._fill(outcome, 1 - first, 1 - second, *generator._outcomes)
    assert torch.equal(generator.sample(draws, 4096).dense(), torch_values)
