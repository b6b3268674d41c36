"""The auxiliary loss of dead latents: by hand, by another formula, and its gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.relu import ReLU
from toysae.saes.selecting import Selecting
from toysae.saes.topk import TopK
from toysae.saes.trainable import Forward, TrainableFamily
from toysae.training.auxiliary import auxiliary_loss

NO_PROGRESS = torch.zeros(())


def random_stack(
    members: int = 2, d: int = 6, m: int = 9, n: int = 5, seed: int = 0
) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    params = {
        "W_enc": normal(members, d, m), "b_enc": normal(members, m),
        "W_dec": normal(members, m, d), "b_dec": normal(members, d),
    }  # fmt: skip
    return params, normal(members, n, d)


def by_saelens(x: Tensor, made: Tensor, pre: Tensor, decoder: Tensor, dead: Tensor) -> float:
    """One member, as in sae_lens.saes.topk_sae: the best `min(d // 2, dead)`, sample by sample."""
    n_dead, half = int(dead.sum()), x.shape[1] // 2
    if n_dead == 0:
        return 0.0
    total = 0.0
    for sample, output, activations in zip(x, made, pre):
        candidates = sorted(torch.nonzero(dead).flatten().tolist(), key=lambda j: -activations[j])
        best = candidates[: min(half, n_dead)]
        predicted = sum(activations[j] * decoder[j] for j in best)
        total += float((predicted - (sample - output)).square().sum())
    return min(n_dead / half, 1.0) * total / len(x)


class TestValue:
    def test_by_hand(self):
        """d = 4, so that two dead latents count; residual (1, 0, 0, 0), (0, 2, 0, 0).

        Dead latents 0, 1 and 2 decode to e1, e2 and e3. Of the first sample the largest are 0 and 2
        (0.5 and -1): (0.5 - 1)^2 + 1 = 1.25. Of the second 1 and 0 (3 and 1): 1 + 1 = 2.
        """
        pre = torch.tensor([[[0.5, -2.0, -1.0, 9.0], [1.0, 3.0, -1.0, 9.0]]])
        x = torch.tensor([[[1.0, 1, 1, 1], [1, 3, 1, 1]]])
        made = torch.tensor([[[0.0, 1, 1, 1], [1, 1, 1, 1]]])
        params = {"W_dec": torch.eye(4)[None], "b_dec": torch.ones(1, 4)}
        forward = Forward(pre, torch.relu(pre), made)
        dead = torch.tensor([[True, True, True, False]])
        value = auxiliary_loss(ReLU(n_latents=4), params, x, forward, dead)
        assert value.tolist() == [(1.25 + 2) / 2]

    def test_few_dead_latents_count_less(self):
        """One dead latent, half of the two that count."""
        pre = torch.tensor([[[0.5, 0, 0, 0]]])
        params = {"W_dec": torch.eye(4)[None], "b_dec": torch.zeros(1, 4)}
        x = torch.tensor([[[1.0, 0, 0, 0]]])
        forward = Forward(pre, torch.relu(pre), torch.zeros(1, 1, 4))
        dead = torch.tensor([[True, False, False, False]])
        assert auxiliary_loss(ReLU(n_latents=4), params, x, forward, dead).tolist() == [0.5 * 0.25]

    @pytest.mark.parametrize("d", [2, 6, 30])
    @pytest.mark.parametrize("family", [ReLU(n_latents=9), TopK(n_latents=9)])
    def test_is_that_of_saelens(self, family, d):
        params, x = random_stack(d=d)
        dead = torch.zeros(2, 9, dtype=torch.bool)
        dead[0, [1, 2, 5, 7]] = True
        dead[1, [8]] = True
        forward = family.forward(params, x, NO_PROGRESS)
        found = auxiliary_loss(family, params, x, forward, dead)
        for i in range(2):
            expected = by_saelens(
                x[i], forward.reconstruction[i], forward.pre_activations[i], params["W_dec"][i],
                dead[i],
            )  # fmt: skip
            assert float(found[i]) == pytest.approx(expected, rel=1e-10)

    def test_is_that_of_saelens_where_norms_matter(self):
        """`z ||W_dec||` is compared, and decoded by unit rows."""
        family = TopK(n_latents=9, unit_norm_decoder=False, rescale_by_decoder_norm=True)
        assert isinstance(family, Selecting)
        params, x = random_stack(1)
        dead = torch.tensor([[True, False, True, True] + [False] * 5])
        forward = family.forward(params, x, NO_PROGRESS)
        unit = params["W_dec"][0] / params["W_dec"][0].norm(dim=1, keepdim=True)
        pre = x[0] @ params["W_enc"][0] + params["b_enc"][0]
        pre = pre * params["W_dec"][0].norm(dim=1)
        expected = by_saelens(x[0], forward.reconstruction[0], pre, unit, dead[0])
        found = auxiliary_loss(family, params, x, forward, dead)
        assert float(found[0]) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("d", [1, 4])
    def test_without_dead_latents(self, d):
        params, x = random_stack(d=d)
        params["W_dec"].requires_grad_()
        family = ReLU(n_latents=9)
        dead = torch.zeros(2, 9, dtype=torch.bool)
        dead[1, 0] = True
        value = auxiliary_loss(family, params, x, family.forward(params, x, NO_PROGRESS), dead)
        assert (value.detach() > 0).tolist() == [False, True]
        assert value[0].detach() == 0
        value.sum().backward()
        gradient = params["W_dec"].grad
        assert gradient is not None
        assert not gradient[0].any()
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("subtract", [True, False])
def test_decoder_bias_has_no_part_in_it(subtract):
    """Whether reconstructions have it or, as in this family without `subtract`, not."""
    family = MatchingPursuit(n_latents=4, max_iterations=1, subtract_decoder_bias=subtract)
    x = torch.tensor([[[1.0, 0, 0, 0]]])
    bias = torch.tensor([[0.0, 0.5, 0, 0]], requires_grad=True)
    params = {"W_dec": torch.eye(4)[None].requires_grad_(), "b_dec": bias}
    pre = torch.tensor([[[0.5, -2.0, -1.0, -3.0]]])
    forward = Forward(pre, torch.relu(pre), torch.zeros(1, 1, 4))
    value = auxiliary_loss(family, params, x, forward, torch.tensor([[True, True, True, False]]))
    # Of latents 0 and 2, which decode to e1 and e3: (0.5 - 1)^2 + 1.
    assert value.tolist() == [0.25 + 1]
    assert torch.autograd.grad(value.sum(), bias, allow_unused=True)[0] is None


class TestGradient:
    def loss(self, family: TrainableFamily, params: dict[str, Tensor], x: Tensor, dead: Tensor):
        """With the residual of the first pass as a constant."""
        return auxiliary_loss(family, params, x, family.forward(params, x, NO_PROGRESS), dead)

    def test_is_numerical_but_for_the_residual(self):
        params, x = random_stack(1, d=4, m=6)
        dead = torch.tensor([[True, False, True, True, False, False]])
        family = ReLU(n_latents=6)
        residual = x - family.forward(params, x, NO_PROGRESS).reconstruction

        def detached(w_enc: Tensor, b_enc: Tensor, w_dec: Tensor) -> Tensor:
            moved = {"W_enc": w_enc, "b_enc": b_enc, "W_dec": w_dec, "b_dec": params["b_dec"]}
            forward = family.forward(moved, x, NO_PROGRESS)
            held = forward._replace(reconstruction=x - residual)
            return auxiliary_loss(family, moved, x, held, dead)

        names = ("W_enc", "b_enc", "W_dec")
        inputs = [params[name].clone().requires_grad_() for name in names]
        assert torch.autograd.gradcheck(detached, inputs)
        held = torch.autograd.grad(detached(*inputs).sum(), inputs)
        free = {name: value.clone().requires_grad_() for name, value in params.items()}
        gradients = torch.autograd.grad(
            self.loss(family, free, x, dead).sum(), list(free.values()), allow_unused=True
        )
        for name, gradient in zip(free, gradients):
            if name == "b_dec":
                assert gradient is None or not gradient.any()
            else:
                torch.testing.assert_close(gradient, held[names.index(name)])

    def test_only_dead_latents_learn(self):
        params, x = random_stack(1, d=20)
        dead = torch.tensor([[True, False, True] + [False] * 6])
        free = {name: value.requires_grad_() for name, value in params.items()}
        self.loss(ReLU(n_latents=9), free, x, dead).sum().backward()
        for name, axis in (("W_enc", 0), ("b_enc", 0), ("W_dec", 1)):
            gradient = free[name].grad
            assert gradient is not None
            learns = gradient[0].abs().sum(axis) > 0 if gradient.ndim == 3 else gradient[0] != 0
            assert torch.equal(learns, dead[0])

    def test_pre_activation_that_is_not_finite_is_left_out(self):
        """The error of such a member is not finite either: it is frozen by that."""
        params, x = random_stack(1)
        forward = ReLU(n_latents=9).forward(params, x, NO_PROGRESS)
        broken = forward._replace(pre_activations=forward.pre_activations * math.inf)
        dead = torch.ones(1, 9, dtype=torch.bool)
        assert bool(auxiliary_loss(ReLU(n_latents=9), params, x, broken, dead).isfinite().all())


def test_nothing_is_read_back_to_the_host():
    """Meta tensors have no values: any look at one would raise."""
    params, x = random_stack()
    params = {name: value.to("meta") for name, value in params.items()}
    family = ReLU(n_latents=9)
    forward = family.forward(params, x.to("meta"), NO_PROGRESS)
    dead = torch.zeros(2, 9, dtype=torch.bool, device="meta")
    assert auxiliary_loss(family, params, x.to("meta"), forward, dead).shape == (2,)
    with pytest.raises(RuntimeError, match="meta"):
        bool(dead.any())
