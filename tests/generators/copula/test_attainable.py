from __future__ import annotations

import re

import pytest
import torch

from toysae.errors import ConfigError
from toysae.generators.copula.attainable import (
    check_attainable,
    check_semidefinite,
    is_semidefinite,
    latents_of_firings,
    scaled,
    semidefinite_share,
    smallest_eigenvalue,
)
from toysae.generators.copula.gaussian import phi_of_latent


def equal(size, r, blocks=1):
    block = torch.full((size, size), r, dtype=torch.float64).fill_diagonal_(1)
    return block.expand(blocks, -1, -1)


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)[None]


def constant(p, n):
    return torch.full((n,), p, dtype=torch.float64)


def factor_of(error):
    return float(re.search(r"multiply all correlations by ([0-9.]+) or less", str(error))[1])


class TestSemidefinite:
    """Four equal correlations r have eigenvalues 1 + 3 r and 1 - r."""

    def test_smallest_eigenvalue_of_all_blocks(self):
        assert smallest_eigenvalue(equal(4, -0.5)) == pytest.approx(-0.5)
        both = torch.cat([equal(4, 0.9), equal(4, -0.25)])
        assert smallest_eigenvalue(both) == pytest.approx(0.1)

    def test_the_edge_is_inside(self):
        assert is_semidefinite(equal(4, -1 / 3))
        assert is_semidefinite(equal(4, 1.0))
        assert not is_semidefinite(equal(4, -0.334))

    def test_share_is_the_largest_factor(self):
        share = semidefinite_share(equal(4, -0.5))
        assert share == pytest.approx(1 / 1.5)
        assert is_semidefinite(scaled(equal(4, -0.5), share))
        assert not is_semidefinite(scaled(equal(4, -0.5), 1.001 * share))
        assert semidefinite_share(equal(4, 0.5)) == 1

    def test_refusal_says_what_was_found_and_by_how_much_it_is_too_much(self):
        with pytest.raises(ConfigError, match=r"latents .* eigenvalue .* -0.5, .* 0.6666 or less"):
            check_semidefinite(equal(4, -0.5, blocks=2))
        check_semidefinite(scaled(equal(4, -0.5), 0.6666))


class TestFirings:
    def test_each_pair_fires_as_asked(self):
        p = torch.tensor([0.1, 0.3, 0.02, 0.5], dtype=torch.float64)
        asked = matrix(
            (1.0, 0.3, 0.0, -0.2), (0.3, 1.0, 0.1, 0.0), (0.0, 0.1, 1.0, 0.05), (-0.2, 0, 0.05, 1)
        )
        latents = latents_of_firings(asked, p)[0]
        found = phi_of_latent(p[:, None], p[None, :], latents)
        torch.testing.assert_close(found, asked[0], rtol=0, atol=1e-10)
        assert latents[0, 2] == 0
        torch.testing.assert_close(latents, latents.T)

    def test_blocks_are_solved_with_their_own_probabilities(self):
        p = torch.tensor([0.1, 0.1, 0.01, 0.01], dtype=torch.float64)
        latents = latents_of_firings(equal(2, 0.5, blocks=2), p)
        alone = [latents_of_firings(equal(2, 0.5), p[:2]), latents_of_firings(equal(2, 0.5), p[2:])]
        torch.testing.assert_close(latents, torch.cat(alone))
        assert float(latents[1, 0, 1]) > float(latents[0, 0, 1]) > 0.5

    def test_refusal_names_the_pair_and_what_is_attainable(self):
        p = torch.tensor([0.2, 0.4, 0.1, 0.1], dtype=torch.float64)
        asked = torch.cat([equal(2, 0.1), equal(2, -0.2)])
        expected = r"features 2 and 3 .*0\.1 and 0\.1.* -0\.2; attainable: \[-0\.111111, 1\]"
        with pytest.raises(ConfigError, match=expected):
            latents_of_firings(asked, p)

    def test_bounds_themselves_are_attainable(self):
        check_attainable(equal(2, -1 / 9), constant(0.1, 2))
        assert float(latents_of_firings(equal(2, -1 / 9), constant(0.1, 2))[0, 0, 1]) == -1
        assert float(latents_of_firings(equal(2, 1.0), constant(0.1, 2))[0, 0, 1]) == 1

    @pytest.mark.parametrize("p", [0.0, 1.0])
    def test_what_never_varies_correlates_with_nothing(self, p):
        both = torch.tensor([p, 0.3], dtype=torch.float64)
        torch.testing.assert_close(latents_of_firings(equal(2, 0.0), both), equal(2, 0.0))
        with pytest.raises(ConfigError, match="attainable: none, as one of them never varies"):
            latents_of_firings(equal(2, 0.1), both)

    def test_pairs_that_are_possible_one_by_one_may_not_be_together(self):
        asked = matrix((1.0, 0.9, 0.9), (0.9, 1.0, -0.1), (0.9, -0.1, 1.0))
        p = constant(0.1, 3)
        with pytest.raises(ConfigError, match="firing indicators cannot all") as raised:
            latents_of_firings(asked, p)
        factor = factor_of(raised.value)
        assert 0 < factor < 1
        latents_of_firings(scaled(asked, factor), p)
        with pytest.raises(ConfigError):
            latents_of_firings(scaled(asked, factor + 0.001), p)
