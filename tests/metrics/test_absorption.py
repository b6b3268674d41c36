from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from toysae.errors import DataError, ShapeError
from toysae.metrics._absorption.saebench_absorption import _saebench_block
from toysae.metrics.absorption import absorption, saebench_absorption
from toysae.metrics.codes import SparseCodes
from toysae.metrics.cofiring import cofiring, firing_counts
from toysae.metrics.density import fires, mean_l0
from toysae.metrics.splitting import splitting

from .cases.absorption import DECODER, FAMILIES, FEATURES, parents_and_children
from .draw import SEEDS, tensor

HALF = math.sqrt(0.5)
E2 = torch.eye(2, dtype=torch.float64)

# Three samples of the parent alone, three of parent and child; the child's latent has both.
C = tensor([[1, 0]] * 3 + [[1, 1]] * 3)
D = tensor([[1, 0], [HALF, HALF]])
Z = tensor([[1, 0]] * 3 + [[0, math.sqrt(2)]] * 3)


class TestGolden:
    def test_the_absorbing_code_is_exact_and_sparser(self) -> None:
        assert torch.allclose(Z @ D, C @ E2)
        assert (mean_l0(C), mean_l0(Z)) == (1.5, 1)
        assert C.sum(dim=1).mean().item() == 1.5
        assert Z.sum(dim=1).mean().item() == pytest.approx(1.207107, abs=1e-6)
        assert splitting(C, Z).single_f1[0].item() == pytest.approx(0.666667, abs=1e-6)
        counts = firing_counts(fires(Z[:, :1]), fires(Z[:, 1:]))
        assert cofiring(*counts).phi.item() == pytest.approx(-1)

    def test_absorption(self) -> None:
        found = absorption(C, Z, E2, D, [(0, 1)])
        assert found.rate.tolist() == [1]
        assert found.overall_rate.tolist() == [0.5]
        assert found.recall.tolist() == [0.5]
        assert found.recall_without_child.tolist() == [1]
        assert found.recall_with_child.tolist() == [0]
        assert found.asymmetry.tolist() == [1]
        assert found.main == ((0,),)
        assert found.absorber.tolist() == [1]
        assert found.n_both.tolist() == [3]
        assert found.n_defined == 1

    def test_saebench(self) -> None:
        found = saebench_absorption(C, Z, E2, D, C @ E2, [(0, 1)])
        assert found.fraction.tolist() == [1]
        assert found.overall_fraction.tolist() == [0.5]
        assert found.full.tolist() == [1]
        assert found.overall_full.tolist() == [0.5]
        assert found.main == ((0,),)

    def test_no_absorption_in_a_faithful_code(self) -> None:
        found = absorption(C, C, E2, E2, [(0, 1)])
        assert (found.mean_rate, found.mean_asymmetry) == (0, 0)
        assert found.absorber.tolist() == [-1]
        score = saebench_absorption(C, C, E2, E2, C @ E2, [(0, 1)])
        assert (score.mean_fraction, score.mean_full) == (0, 0)


class TestMainLatents:
    def test_the_cosine_must_exceed_seven_tenths(self) -> None:
        above = tensor([[0.71, math.sqrt(1 - 0.71**2)]])
        z = C[:, :1]
        assert absorption(C, z, E2, above, [(0, 1)]).main == ((0,),)
        below = tensor([[0.69, math.sqrt(1 - 0.69**2)]])
        assert absorption(C, z, E2, below, [(0, 1)]).main == ((),)

    def test_a_split_parent_is_not_absorbed_by_its_own_parts(self) -> None:
        c = tensor([[1, 0]] * 4 + [[1, 1]] * 4)
        z = torch.zeros(8, 2)
        z[::2, 0], z[1::2, 1] = 1, 1
        found = absorption(c, z, E2, tensor([[1, 0], [1, 0.1]]), [(0, 1)])
        assert found.main == ((0, 1),)
        assert found.mean_rate == 0
        assert found.recall.tolist() == [1]

    def test_all_children_of_a_parent_are_set_aside(self) -> None:
        """The latent of the second child is no main latent in the pair with the first."""
        c = tensor([[1, 0, 0]] * 2 + [[1, 1, 0]] * 2 + [[1, 0, 1]] * 6)
        z = tensor([[1, 0]] * 4 + [[0, 1.5]] * 6)
        f = torch.eye(3, dtype=torch.float64)
        d = tensor([[1, 0, 0], [0.8, 0, 0.6]])
        both = absorption(c, z, f, d, [(0, 1), (0, 2)])
        assert both.main == ((0,), (0,))
        assert both.rate.tolist() == [0, 1]
        assert absorption(c, z, f, d, [(0, 1)]).main == ((1, 0),)

    def test_a_parent_without_latent_is_missing_and_not_absorbed(self) -> None:
        found = absorption(C, Z[:, 1:], E2, tensor([[0, 1]]), [(0, 1)])
        assert math.isnan(found.mean_rate)
        assert torch.isnan(found.recall).all()
        assert found.absorber.tolist() == [-1]
        assert found.n_both.tolist() == [3]
        assert found.n_defined == 0
        assert found.n_both.tolist() == [3]
        score = saebench_absorption(C, Z[:, 1:], E2, tensor([[0, 1]]), C, [(0, 1)])
        assert math.isnan(score.mean_fraction)
        assert math.isnan(score.mean_full)


class TestThresholds:
    @pytest.mark.parametrize(("share", "rate"), [(0.4, 1), (0.39, 0), (0.41, 1)])
    def test_another_latent_must_carry_two_fifths(self, share: float, rate: float) -> None:
        z = tensor([[1, 0]] * 3 + [[0, share]] * 3)
        assert absorption(C, z, E2, tensor([[1, 0], [1, 5]]), [(0, 1)]).mean_rate == rate

    def test_nothing_absorbs_a_negative_coefficient(self) -> None:
        c = tensor([[1, 0]] * 3 + [[-1, 1]] * 3)
        assert absorption(c, Z * (c[:, :1] > 0), E2, D, [(0, 1)]).mean_rate == 0

    def test_two_latents_together_are_no_absorber(self) -> None:
        z = tensor([[1, 0, 0]] * 3 + [[0, 0.3, 0.3]] * 3)
        d = tensor([[1, 0], [1, 5], [1, 4]])
        assert absorption(C, z, E2, d, [(0, 1)]).mean_rate == 0

    def test_a_main_latent_that_fires_a_little_is_enough(self) -> None:
        z = Z + tensor([[0, 0]] * 3 + [[0.01, 0]] * 3)
        assert absorption(C, z, E2, D, [(0, 1)]).mean_rate == 0
        assert absorption(C, z, E2, D, [(0, 1)], threshold=0.01).mean_rate == 1

    def test_interference_is_not_absorption(self) -> None:
        """Features of cosine .6: the child's direction has .6 of the parent, by its dual none."""
        f = tensor([[1, 0], [0.6, 0.8]])
        z = tensor([[1, 0]] * 3 + [[0, 1]] * 3)
        assert absorption(C, z, f, f, [(0, 1)]).mean_rate == 0
        assert saebench_absorption(C, z, f, f, C @ f, [(0, 1)]).mean_fraction == 0
        child_only = saebench_absorption(C, z, f, f, z @ f, [(0, 1)])
        assert (child_only.mean_fraction, child_only.mean_full) == (1, 1)

    def test_coefficients_are_in_units_of_the_features(self) -> None:
        found = absorption(C, Z * 2, 2 * E2, D, [(0, 1)])
        assert found.mean_rate == 1
        assert absorption(C, Z * 0.7, 2 * E2, D, [(0, 1)]).mean_rate == 0


class TestSaebenchBranches:
    """One sample with both, and single changes of it."""

    F = torch.eye(4, dtype=torch.float64)

    def score(self, z: list[float], d: list[list[float]], p: float = 1.0) -> tuple[float, float]:
        c = tensor([[1, 0, 0, 0], [1, 1, 0, 0]])
        latents = torch.stack([tensor([1.0] + [0.0] * (len(z) - 1)), tensor(z)])
        hidden = tensor([[1, 0, 0, 0], [p, 1, 0, 0]])
        found = saebench_absorption(c, latents, self.F, tensor(d), hidden, [(0, 1)])
        return found.mean_fraction, found.mean_full

    def test_part_of_it(self) -> None:
        # Main .5; the other has min(.6, .5): .5 / (.5 + .5).
        assert self.score([0.5, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]]) == (0.5, 0)
        # Main .2, the other .6: .6 / .8.
        assert self.score([0.2, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]])[0] == pytest.approx(0.75)

    def test_main_latents_that_have_it_all(self) -> None:
        assert self.score([1, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]]) == (0, 0)

    def test_others_with_too_little(self) -> None:
        assert self.score([0, 1], [[1, 0, 0, 0], [0.39, 0.920815, 0, 0]]) == (0, 0)
        assert self.score([0, 1], [[1, 0, 0, 0], [0.41, 0.912086, 0, 0]]) == (1, 1)

    def test_at_most_three_absorbers(self) -> None:
        """.13 each: three reach .39, four would .52. The largest three of .2, .13 and .13: .46."""
        child = [0.13, 0.99151399, 0, 0]
        assert self.score([0, 1, 1, 1, 1], [[1, 0, 0, 0], *[child] * 4]) == (0, 0)
        more = [0.2, 0.97979590, 0, 0]
        assert self.score([0, 1, 1, 1, 1], [[1, 0, 0, 0], *[child] * 3, more]) == (1, 0)

    def test_absorbers_need_a_tenth(self) -> None:
        small = [0.09, 0.99594177, 0, 0]
        assert self.score([0, 10], [[1, 0, 0, 0], small]) == (0, 1)
        tiny = [0.02, 0.99979998, 0, 0]
        assert self.score([0, 30], [[1, 0, 0, 0], tiny]) == (0, 0)

    @pytest.mark.parametrize(
        ("z", "cosine", "projected", "expected"),
        [
            # Main .5 of 1; the other .5 by a cosine of a tenth, which is enough.
            ([1, 5], 0.1, 1.0, (0.5, 0)),
            # Two fifths are not little: .4 / (.4 + .5).
            ([1, 4], 0.1, 1.0, (4 / 9, 0)),
            # A fortieth is aligned, and 2/5 is enough; but it is no absorber.
            ([0, 16], 0.025, 1.0, (0, 1)),
            # A main latent of 1e-8 is not silent.
            ([1e-8, 16], 0.025, 1.0, (0, 0)),
            ([9.9e-9, 16], 0.025, 1.0, (0, 1)),
        ],
    )
    def test_at_every_threshold(
        self, z: list[float], cosine: float, projected: float, expected: tuple[float, float]
    ) -> None:
        found = _saebench_block(tensor([z]), tensor([0.5, cosine]), tensor([projected]), [0])
        assert [part.item() for part in found] == pytest.approx(expected)

    def test_negative_projections_absorb_nothing(self) -> None:
        assert self.score([0, -1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]]) == (0, 0)
        assert self.score([-0.5, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]]) == (1, 0)
        assert self.score([0, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]], p=-1)[1] == 0
        assert self.score([0, 1], [[1, 0, 0, 0], [0.6, 0.8, 0, 0]], p=0) == (0, 0)


class TestInputs:
    @settings(max_examples=20)
    @given(SEEDS)
    def test_sparse_codes_give_what_tables_give(self, seed: int) -> None:
        c, z = parents_and_children(np.random.default_rng(seed))
        dense = absorption(c, z, FEATURES, DECODER, FAMILIES)
        sparse = absorption(
            SparseCodes.from_dense(c), SparseCodes.from_dense(z), FEATURES, DECODER, FAMILIES
        )
        assert torch.equal(dense.rate.nan_to_num(nan=-1), sparse.rate.nan_to_num(nan=-1))
        assert dense.main == sparse.main
        for k, (parent, child) in enumerate(FAMILIES):
            both = (c[:, parent] > 0) & (c[:, child] > 0)
            if both.any() and dense.main[k] == (parent,):
                carried = z * (DECODER @ torch.linalg.pinv(FEATURES)[:, parent])
                carried[:, parent] = 0
                absorbed = (z[:, parent] == 0) & (carried.amax(dim=1) >= 0.4 * c[:, parent])
                assert dense.rate[k].item() == pytest.approx(absorbed[both].double().mean().item())
                detected = (z[both, parent] != 0).double().mean().item()
                assert dense.recall_with_child[k].item() == pytest.approx(detected)

    def test_groups_and_progress(self) -> None:
        c = torch.cat([C, C], dim=1)
        z = torch.cat([Z, C], dim=1)
        d = torch.block_diag(D, E2)
        seen: list[tuple[int, int]] = []
        f = torch.eye(4, dtype=torch.float64)
        found = absorption(c, z, f, d, [(0, 1), (2, 3)], report=lambda *done: seen.append(done))
        groups = found.by_group({"absorbed": [0], "kept": [1]})
        assert (groups["absorbed"].mean, groups["kept"].mean) == (1, 0)
        assert found.mean_rate == 0.5
        assert seen == [(1, 2), (2, 2)]

    def test_a_child_that_never_occurs(self) -> None:
        found = absorption(C[:3], Z[:3], E2, D, [(0, 1)])
        assert math.isnan(found.mean_rate)
        assert math.isnan(found.mean_asymmetry)
        assert found.recall_without_child.tolist() == [1]
        assert found.overall_rate.tolist() == [0]
        assert absorption(C, Z, E2, D, []).rate.shape == (0,)
        assert math.isnan(saebench_absorption(C[:3], Z[:3], E2, D, C[:3], [(0, 1)]).mean_fraction)

    def test_a_parent_that_never_occurs_has_no_latents(self) -> None:
        found = absorption(torch.zeros(2, 2), torch.ones(2, 2), E2, E2, [(0, 1)])
        assert found.main == ((),)
        assert found.n_defined == 0

    def test_what_does_not_fit_is_refused(self) -> None:
        for pair in ((0, 0), (0, 2), (-1, 1)):
            with pytest.raises(ShapeError, match=r"expected \(parent, child\)"):
                absorption(C, Z, E2, D, [pair])
        with pytest.raises(ShapeError, match="latents has 2 columns and decoder has 1"):
            absorption(C, Z, E2, D[:1], [(0, 1)])
        with pytest.raises(ShapeError, match="coefficients has 2 columns and features has 1"):
            absorption(C, Z, E2[:1], D, [(0, 1)])
        with pytest.raises(ShapeError, match="coefficients has 6 samples and latents has 5"):
            absorption(C, Z[:5], E2, D, [(0, 1)])
        with pytest.raises(ShapeError, match="hidden"):
            saebench_absorption(C, Z, E2, D, C[:5], [(0, 1)])
        with pytest.raises(DataError, match="decoder"):
            absorption(C, Z, E2, D * math.nan, [(0, 1)])
