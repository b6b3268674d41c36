from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toysae.errors import ConfigError
from toysae.generators.copula.attainable import smallest_eigenvalue
from toysae.generators.copula.correlation import (
    Blocks,
    CommonFactors,
    Full,
    Hub,
    Pairs,
    Random,
    Table,
)

PUBLISHED = {"low": 0.3, "high": 0.9, "seed": 42}


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def constant(p, n):
    return torch.full((n,), p, dtype=torch.float64)


def off_diagonal(table):
    i, j = torch.triu_indices(len(table), len(table), 1)
    return table[i, j]


class TestTables:
    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            (Full(((1.0, 0.2), (0.2, 1.0))), ((1, 0.2), (0.2, 1))),
            (
                Pairs(((0, 2, 0.5), (2, 1, -0.25))),
                ((1, 0, 0.5), (0, 1, -0.25), (0.5, -0.25, 1)),
            ),
            (Pairs(((1, 0, 0.5),), others=0.1), ((1, 0.5, 0.1), (0.5, 1, 0.1), (0.1, 0.1, 1))),
            (Hub(0.3), ((1, 0.3, 0.3), (0.3, 1, 0), (0.3, 0, 1))),
            (Hub(-0.3, feature=1), ((1, -0.3, 0), (-0.3, 1, -0.3), (0, -0.3, 1))),
        ],
    )
    def test_holds_what_is_given(self, table, expected):
        torch.testing.assert_close(table.blocks(len(expected)), matrix(*expected)[None])

    def test_blocks_are_held_one_by_one(self):
        blocks = Blocks(size=2, within=0.3).blocks(6)
        torch.testing.assert_close(blocks, matrix((1, 0.3), (0.3, 1)).expand(3, 2, 2))
        assert Blocks(size=1).blocks(3).tolist() == [[[1.0]]] * 3
        assert Blocks(size=16, within=0.1).blocks(2**20).shape == (2**16, 16, 16)

    @pytest.mark.parametrize(
        ("table", "n"),
        [
            (Full(((1.0, 0.2), (0.2, 1.0))), 2),
            (Pairs(((0, 2, 0.5),)), 3),
            (Hub(0.3), 4),
            (Blocks(size=3, within=0.4), 6),
            (Random(), 5),
        ],
    )
    def test_latents_correlate_as_stated(self, table: Table, n):
        found = table.of_latents(constant(0.1, n)).correlations(torch.arange(n))
        torch.testing.assert_close(found, torch.block_diag(*table.blocks(n)))

    def test_firings_need_latents_that_correlate_more(self):
        found = Pairs(((0, 2, 0.120598),)).of_firings(constant(0.01, 3))
        expected = matrix((1, 0, 0.5), (0, 1, 0), (0.5, 0, 1))
        torch.testing.assert_close(found.correlations(torch.arange(3)), expected, rtol=0, atol=1e-5)

    def test_hub_on_the_edge_is_possible(self):
        """Eigenvalues are 1 and 1 +- r sqrt(n - 1)."""
        Hub(-0.5).of_latents(constant(0.4, 5))
        with pytest.raises(ConfigError, match=r"-0\.2, .* multiply all correlations by 0\.8333"):
            Hub(0.6).of_latents(constant(0.4, 5))

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Full(()), "full.matrix: found 0 rows"),
            (lambda: Full(((1.0, 0.1),)), "full.matrix: .* must be square"),
            (lambda: Full(((0.9, 0.1), (0.1, 1.0))), "full.matrix: the diagonal must hold ones"),
            (lambda: Full(((1.0, 1.1), (1.1, 1.0))), r"full.matrix: .* must lie in \[-1, 1\]"),
            (
                lambda: Full(((1.0, 0.1), (0.2, 1.0))),
                r"full.matrix: found 0\.1 at \[0\]\[1\] and 0\.2 at \[1\]\[0\]; must be symmetric",
            ),
            (lambda: Pairs(((0, 1, 1.5),)), "pairs.pairs = 1.5: must lie"),
            (lambda: Pairs(((0, 0, 0.5),)), "pairs.pairs: found .* two features"),
            (lambda: Pairs(((0, 1, 0.5), (1, 0, 0.5))), "pairs.pairs: found .* given once"),
            (lambda: Pairs(((0, 1.5, 0.5),)), "pairs.pairs: found .* indices"),
            (lambda: Pairs(((-1, 1, 0.5),)), "pairs.pairs: found .* indices"),
            (lambda: Pairs(((0, 1),)), r"pairs.pairs: .* must be \[i, j, correlation\]"),
            (lambda: Pairs((), others=2.0), "pairs.others = 2.0: must lie"),
            (lambda: Hub(1.5), "hub.correlation = 1.5"),
            (lambda: Hub(0.5, feature=-1), "hub.feature = -1"),
            (lambda: Blocks(size=0), "blocks.size = 0"),
            (lambda: Blocks(within=-1.5), "blocks.within = -1.5"),
            (lambda: Random(low=0.9, high=0.8), r"random.low = 0.9: must lie in \[0, 0.8\]"),
            (lambda: Random(high=1.2), "random.high = 1.2"),
            (lambda: Random(uncorrelated=1.2), "random.uncorrelated = 1.2"),
            (lambda: Random(positive=-0.1), "random.positive = -0.1"),
            (lambda: Random(repair="hide"), "random.repair = 'hide': must be one of clip, shrink"),
        ],
    )
    def test_nonsense_is_refused(self, make, message):
        with pytest.raises(ConfigError, match=message):
            make()

    @pytest.mark.parametrize(
        ("table", "n", "message"),
        [
            (Full(((1.0,),)), 2, "correlation.matrix: found 1 rows for 2 features"),
            (Pairs(((0, 3, 0.5),)), 3, "correlation.pairs: .* 0 and 3; must be below 3"),
            (Hub(feature=3), 3, "correlation.feature = 3: must be below 3"),
            (Blocks(size=2), 3, "correlation.size = 2: must divide .* 3"),
        ],
    )
    def test_what_does_not_fit_the_features_is_refused(self, table, n, message):
        with pytest.raises(ConfigError, match=f"generator.{message}"):
            table.of_latents(constant(0.1, n))


class TestRandom:
    def test_draws_the_pairs_of_the_published_code(self):
        """1,225 pairs, 30 % of them (367) uncorrelated, half of the others (429) positive.

        Entries are what Python's `random.seed(42)`, `sample` and `uniform` give in that order.
        """
        drawn = Random(**PUBLISHED).drawn(50)
        values = off_diagonal(drawn)
        assert int((values == 0).sum()) == 367
        assert int((values > 0).sum()) == 429
        assert int((values < 0).sum()) == 429
        assert float(values[values != 0].abs().min()) >= 0.3
        assert float(values.abs().max()) <= 0.9
        expected = [-0.61616046, 0.7258697, 0.83934512]
        assert drawn[0, 1:4].tolist() == pytest.approx(expected, abs=1e-8)
        torch.testing.assert_close(drawn, drawn.T)

    def test_clipped_as_published(self):
        """Entries of the published matrix, from numpy's `eigh`."""
        clipped = Random(**PUBLISHED, repair="clip").blocks(50)[0]
        expected = [-0.19676896, 0.18625243, 0.20119997]
        assert clipped[0, 1:4].tolist() == pytest.approx(expected, abs=1e-8)
        assert bool((clipped.diagonal() == 1).all())

    def test_shrinking_keeps_signs_zeros_and_ratios(self):
        table = Random(**PUBLISHED)
        shrunk, drawn = off_diagonal(table.blocks(50)[0]), off_diagonal(table.drawn(50))
        factor = float(shrunk[0] / drawn[0])
        torch.testing.assert_close(shrunk, factor * drawn)
        # The smallest eigenvalue of what is drawn is -5.98387.
        assert factor == pytest.approx(1 / 6.98387, rel=1e-5)

    @given(
        st.integers(1, 12),
        st.sampled_from(("clip", "shrink")),
        st.floats(0, 1),
        st.floats(0, 1),
        st.integers(0, 2**32),
    )
    @settings(max_examples=30)
    def test_is_always_possible(self, n, repair, uncorrelated, positive, seed):
        table = Random(
            uncorrelated=uncorrelated, positive=positive, repair=repair, seed=seed, high=1.0
        )
        assert smallest_eigenvalue(table.blocks(n)) >= -1e-12
        table.of_latents(constant(0.1, n))

    def test_what_is_possible_is_left_alone(self):
        for repair in ("clip", "shrink"):
            table = Random(low=0.0, high=0.1, repair=repair)
            torch.testing.assert_close(table.blocks(5)[0], table.drawn(5), rtol=0, atol=0)


class TestCommonFactors:
    def test_latents_correlate_by_their_loadings(self):
        table = CommonFactors(rank=3, scale=0.3, seed=1)
        loadings = table.loadings(20)
        found = table.of_latents(constant(0.1, 20)).correlations(torch.arange(20))
        torch.testing.assert_close(off_diagonal(found), off_diagonal(loadings @ loadings.T))
        assert bool((found.diagonal() == 1).all())

    def test_firings_cannot_correlate_like_this(self):
        with pytest.raises(ConfigError, match=r"generator.correlation_of = 'firing': .*'latent'"):
            CommonFactors().of_firings(constant(0.1, 20))
