from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from torch import Tensor
from torch.nn import functional

from toysae.errors import DataError, ShapeError
from toysae.metrics import outputs

from .draw import SEEDS, normal, tensor

P, Q = tensor([0.7, 0.2, 0.1]), tensor([0.6, 0.3, 0.1])
LOG_P, LOG_Q = P.log(), Q.log()


class TestGolden:
    """p = (.7, .2, .1), q = (.6, .3, .1)."""

    def test_divergences(self) -> None:
        change = outputs.output_change(LOG_P + 5, LOG_Q - 3)
        assert change.kl.item() == pytest.approx(0.026812, abs=1e-6)
        assert change.reverse_kl.item() == pytest.approx(0.029149, abs=1e-6)
        assert change.jensen_shannon.item() == pytest.approx(0.006959, abs=1e-6)
        assert change.total_variation.item() == pytest.approx(0.1)
        assert change.same_top.item() is True

    def test_cross_entropy_difference_by_token(self) -> None:
        found = outputs.cross_entropy_difference(
            LOG_P.expand(3, 3), LOG_Q.expand(3, 3), torch.arange(3)
        )
        assert found.tolist() == pytest.approx([0.154151, -0.405465, 0], abs=1e-6)

    def test_expected_difference(self) -> None:
        uniform = outputs.expected_difference(torch.full((3,), 1 / 3), LOG_P, LOG_Q)
        assert uniform.difference.item() == pytest.approx(-0.083771, abs=1e-6)
        own = outputs.expected_difference(P, LOG_P, LOG_Q)
        assert own.difference.item() == pytest.approx(0.026812, abs=1e-6)
        assert own.original.item() == pytest.approx(0, abs=1e-12)

    def test_a_truth_of_whole_numbers_adds_up_to_one_all_the_same(self) -> None:
        both = torch.tensor([1, 1, 0])
        with pytest.raises(DataError, match="add up to 1"):
            outputs.expected_difference(both, LOG_P, LOG_Q)
        one = outputs.expected_difference(torch.tensor([0, 1, 0]), LOG_P, LOG_Q)
        assert one.difference.item() == pytest.approx(-0.405465, abs=1e-6)

    def test_recovered_hides_a_nat(self) -> None:
        found = outputs.cross_entropy_recovered(
            tensor([2]), tensor([3]), tensor([13]), baseline="zero"
        )
        assert found.ratio_of_means.item() == pytest.approx(0.909091, abs=1e-6)
        assert found.difference.item() == 1
        assert found.baseline == "zero"

    def test_two_averages_of_what_is_recovered(self) -> None:
        """Ablation costs 8 nats and .5, reconstructions .1: 8.3 / 8.5, and (7.9/8 + .8) / 2."""
        found = outputs.cross_entropy_recovered(
            tensor([2, 2]), tensor([2.1, 2.1]), tensor([10, 2.5]), baseline="mean"
        )
        assert found.ratio_of_means.item() == pytest.approx(0.976471, abs=1e-6)
        assert found.mean_of_ratios.item() == pytest.approx(0.893750, abs=1e-6)
        assert found.difference.item() == pytest.approx(0.1)

    def test_the_worse_sae_has_the_better_score(self) -> None:
        """GPT-2 at two sites: .00185 nats score .933, and .0691 nats score .9927."""
        attention, residual = (
            outputs.cross_entropy_recovered(
                tensor([3]), tensor([3 + cost]), tensor([3 + ablation]), baseline="zero"
            )
            for cost, ablation in ((0.00185, 0.0276), (0.0691, 9.466))
        )
        assert attention.difference.item() == pytest.approx(0.00185)
        assert attention.ratio_of_means.item() == pytest.approx(0.933, abs=5e-4)
        assert residual.ratio_of_means.item() == pytest.approx(0.9927, abs=5e-5)
        assert residual.difference > attention.difference
        assert residual.ratio_of_means > attention.ratio_of_means


class TestKL:
    @given(SEEDS)
    def test_is_torchs_with_its_arguments_swapped(self, seed: int) -> None:
        p, q = normal(seed, 4, 6), normal(seed + 1, 4, 6)
        expected = functional.kl_div(
            q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="none"
        ).sum(-1)
        assert torch.allclose(outputs.kl_divergence(p, q), expected)

    @given(SEEDS)
    def test_is_scipys(self, seed: int) -> None:
        p, q = normal(seed, 6), normal(seed + 1, 6)
        first, second = p.softmax(-1).numpy(), q.softmax(-1).numpy()
        assert outputs.kl_divergence(p, q).item() == pytest.approx(rel_entr(first, second).sum())
        distance = jensenshannon(first, second)
        assert outputs.jensen_shannon(p, q).item() == pytest.approx(distance**2)
        half = np.abs(first - second).sum() / 2
        assert outputs.total_variation(p, q).item() == pytest.approx(half)

    @given(SEEDS, st.floats(0, 1e4))
    def test_is_never_negative_and_always_finite(self, seed: int, gap: float) -> None:
        p, q = gap * normal(seed, 5, 4), gap * normal(seed + 1, 5, 4)
        change = outputs.output_change(p, q)
        for value in (change.kl, change.reverse_kl, change.jensen_shannon, change.total_variation):
            assert torch.isfinite(value).all()
            assert (value >= 0).all()
        assert (change.jensen_shannon <= math.log(2)).all()
        assert (change.total_variation <= 1).all()

    @given(SEEDS, st.floats(-1e3, 1e3))
    def test_a_shift_of_the_logits_does_not_matter(self, seed: int, shift: float) -> None:
        p, q = normal(seed, 5, 4), normal(seed + 1, 5, 4)
        shifts = shift * normal(seed + 2, 5, 1)
        same = outputs.kl_divergence(p, p + shifts)
        assert torch.allclose(same, torch.zeros(5, dtype=torch.float64), atol=1e-9)
        before, after = outputs.kl_divergence(p, q), outputs.kl_divergence(p + shifts, q)
        assert torch.allclose(before, after)
        assert (before > 0).all()

    def test_gaps_that_underflow(self) -> None:
        """Where `p (ln p - ln q)` of softmaxes in single precision is NaN or infinite."""
        certain, even = torch.tensor([200.0, 0.0]), torch.zeros(2)
        p, q = certain.softmax(-1), even.softmax(-1)
        assert torch.isnan(p * (p.log() - p.log())).any()
        assert torch.isinf((q * (q.log() - p.log())).sum())
        assert outputs.kl_divergence(certain, certain).item() == 0
        assert outputs.kl_divergence(even, certain).item() == pytest.approx(99.306853, abs=1e-6)
        assert outputs.kl_divergence(certain, even).item() == pytest.approx(math.log(2))
        far = torch.tensor([1e4, 0.0])
        found = outputs.kl_divergence(even, far).item()
        assert found == pytest.approx(5000 - math.log(2))
        assert outputs.kl_divergence(far, far.flip(0)).item() == pytest.approx(1e4)

    def test_opposite_certainties(self) -> None:
        p, q = tensor([1e4, 0]), tensor([0, 1e4])
        assert outputs.jensen_shannon(p, q).item() == pytest.approx(math.log(2))
        assert outputs.total_variation(p, q).item() == 1
        assert outputs.top1_agreement(p, q).item() is False


class TestTop1:
    def test_ties_go_to_the_lowest_token(self) -> None:
        p = tensor([[1, 1, 0], [1, 1, 0], [0, 2, 2]])
        q = tensor([[3, 0, 0], [0, 3, 0], [0, 1, 0]])
        assert outputs.top1_agreement(p, q).tolist() == [True, False, True]


class TestBlocks:
    @pytest.mark.parametrize("block", [1, 4, 5, 100])
    def test_do_not_matter(self, block: int) -> None:
        p, q = normal(0, 3, 5, 7), normal(1, 3, 5, 7)
        targets = torch.from_numpy(np.random.default_rng(2).integers(0, 7, (3, 5)))
        steps: list[tuple[int, int]] = []
        change = outputs.output_change(
            p, q, block=block, report=lambda done, n: steps.append((done, n))
        )
        n_blocks = math.ceil(15 / block)
        assert steps == [(i + 1, n_blocks) for i in range(n_blocks)]
        alone = {
            "kl": outputs.kl_divergence(p, q),
            "reverse_kl": outputs.kl_divergence(q, p),
            "jensen_shannon": outputs.jensen_shannon(p, q, block=block),
            "total_variation": outputs.total_variation(p, q, block=block),
            "same_top": outputs.top1_agreement(p, q, block=block),
        }
        for name, value in vars(change).items():
            assert value.shape == (3, 5)
            assert torch.allclose(value.double(), alone[name].double(), 1e-12, 1e-14)
        whole = outputs.cross_entropy(p, targets)
        assert whole.shape == (3, 5)
        assert torch.allclose(outputs.cross_entropy(p, targets, block=block), whole, 1e-12, 0)

    def test_no_tokens(self) -> None:
        assert outputs.kl_divergence(torch.ones(0, 4), torch.ones(0, 4)).shape == (0,)
        nothing = torch.ones(0, dtype=torch.long)
        assert outputs.cross_entropy(torch.ones(0, 4), nothing).shape == (0,)

    def test_low_precision_is_upcast(self) -> None:
        p, q = normal(0, 5, 7).bfloat16(), normal(1, 5, 7).bfloat16()
        found = outputs.kl_divergence(p, q)
        assert found.dtype == torch.float64
        assert torch.equal(found, outputs.kl_divergence(p.double(), q.double()))


class TestCrossEntropy:
    @given(SEEDS)
    def test_is_torchs(self, seed: int) -> None:
        logits = normal(seed, 6, 5)
        targets = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, 6))
        expected = functional.cross_entropy(logits, targets, reduction="none")
        assert torch.allclose(outputs.cross_entropy(logits, targets), expected)

    @given(SEEDS)
    def test_its_expected_difference_is_explained(self, seed: int) -> None:
        pi, p, q = normal(seed, 4).softmax(-1), normal(seed + 1, 4), normal(seed + 2, 4)
        every = outputs.cross_entropy_difference(p.expand(4, 4), q.expand(4, 4), torch.arange(4))
        found = outputs.expected_difference(pi, p, q, block=1)
        assert found.difference.item() == pytest.approx((pi * every).sum().item())
        assert found.patched.item() == pytest.approx(outputs.kl_divergence(pi.log(), q).item())
        assert found.original.item() == pytest.approx(outputs.kl_divergence(pi.log(), p).item())
        own = outputs.expected_difference(p.softmax(-1), p, q).difference.item()
        assert own == pytest.approx(outputs.kl_divergence(p, q).item())

    def test_one_certain_token_is_its_cross_entropy(self) -> None:
        pi = tensor([[0, 1, 0], [1, 0, 0]])
        found = outputs.expected_difference(pi, LOG_P.expand(2, 3), LOG_Q.expand(2, 3))
        assert found.difference.tolist() == pytest.approx([-0.405465, 0.154151], abs=1e-6)

    def test_better_than_the_original_is_legal(self) -> None:
        truth, flat = tensor([0.9, 0.1]), tensor([0, 0])
        found = outputs.expected_difference(truth, flat, truth.log())
        assert found.difference.item() == pytest.approx(-0.368064, abs=1e-6)
        assert outputs.kl_divergence(flat, truth.log()).item() > 0.5

    def test_bad_input_is_refused(self) -> None:
        logits = normal(0, 2, 3)
        for targets in (torch.tensor([0, 3]), torch.tensor([-1, 0])):
            with pytest.raises(DataError, match=r"targets leave 0\.\.2"):
                outputs.cross_entropy(logits, targets)
        shapes = ((logits, [0]), (torch.tensor(0.0), 0), (torch.ones(2, 0), [0, 0]))
        for predicted, targets in shapes:
            with pytest.raises(ShapeError, match="targets"):
                outputs.cross_entropy(predicted, torch.tensor(targets))
        for truth in (tensor([[0.5, 0.4, 0]] * 2), tensor([[1.5, -0.5, 0]] * 2), logits * math.nan):
            with pytest.raises(DataError, match="truth: expected probabilities"):
                outputs.expected_difference(truth, logits, logits)
        with pytest.raises(ShapeError, match="one number for each token"):
            outputs.kl_divergence(logits, logits[:1])
        with pytest.raises(ShapeError, match="one number for each token"):
            outputs.kl_divergence(torch.ones(2, 0), torch.ones(2, 0))
        for p, q in product((logits, logits * math.nan, logits / 0), repeat=2):
            if p is not logits or q is not logits:
                with pytest.raises(DataError, match="NaN or infinite"):
                    outputs.output_change(p, q)

    @pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
    def test_targets_that_are_no_integers_are_refused(self, dtype: torch.dtype) -> None:
        with pytest.raises(DataError, match=f"targets of type {dtype}: expected integers"):
            outputs.cross_entropy(torch.zeros(2, 3), torch.ones(2, dtype=dtype))

    def test_targets_may_be_small_integers(self) -> None:
        found = outputs.cross_entropy(torch.zeros(2, 3), torch.ones(2, dtype=torch.uint8))
        assert found.tolist() == pytest.approx([math.log(3)] * 2)


class TestRecovered:
    @staticmethod
    def recovered(clean: Tensor, sae: Tensor, ablated: Tensor) -> outputs.Recovered:
        return outputs.cross_entropy_recovered(clean, sae, ablated, baseline="zero")

    def test_ends_of_the_scale(self) -> None:
        clean, ablated = tensor([2, 3]), tensor([5, 9])
        assert self.recovered(clean, clean, ablated).ratio_of_means.item() == 1
        assert self.recovered(clean, ablated, ablated).mean_of_ratios.item() == 0
        assert self.recovered(clean, clean - 1, ablated).ratio_of_means.item() > 1
        assert self.recovered(clean, ablated + 1, ablated).ratio_of_means.item() < 0

    def test_an_ablation_without_cost_is_undefined(self) -> None:
        found = self.recovered(tensor([2, 2]), tensor([3, 3]), tensor([2, 4]))
        assert math.isnan(found.per_item[0])
        assert (found.n_defined, found.mean_of_ratios.item()) == (1, 0.5)
        assert found.ratio_of_means.item() == 0
        nothing = self.recovered(tensor([2]), tensor([3]), tensor([2]))
        assert math.isnan(nothing.ratio_of_means)
        assert math.isnan(nothing.mean_of_ratios)

    def test_bad_input_is_refused(self) -> None:
        one, two = tensor([2]), tensor([2, 3])
        for losses in ((one, two, two), (two, one, two), (two, two, one), (one[:0],) * 3):
            with pytest.raises(ShapeError, match="expected the same items"):
                self.recovered(*losses)
        with pytest.raises(DataError, match="baseline is empty"):
            outputs.cross_entropy_recovered(one, one, one, baseline=" ")
        with pytest.raises(DataError, match="patched: 1 of 1"):
            self.recovered(one, one * math.nan, one)
