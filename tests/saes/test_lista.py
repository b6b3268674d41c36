from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.base import Params
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.folding import fold_factor
from toysae.saes.lista import Lista

BEGIN, END = torch.tensor(0.0), torch.tensor(1.0)
X = torch.tensor([[[2.0, 1.0]]])


def parameters(
    latents: int = 2, bias: tuple[float, ...] = (0.0, 0.0), thresholds: tuple[float, ...] = (0, 0)
) -> Params:
    """One member with the identity as encoder and decoder."""
    return {
        "W_enc": torch.eye(latents)[None],
        "b_enc": torch.tensor([bias]),
        "W_dec": torch.eye(latents)[None],
        "b_dec": torch.zeros(1, latents),
        "threshold": torch.tensor([thresholds], dtype=torch.float32),
        "frequency": torch.zeros(1, latents),
    }


def lista(n_latents: int = 2, k: float = 1, **fields) -> Lista:
    fields = {"initial_k_factor": 1, "step_size": 0.5, "frequency_rate": 0, **fields}
    return Lista(n_latents=n_latents, k=k, **fields)


def test_a_refinement_adds_what_is_left_over():
    """z = (2, 1 + 1.2), so that the second fires; (2, -1.2) are left; z = (3, 1.6)."""
    forward = lista().forward(parameters(bias=(0.0, 1.2)), X, END)
    torch.testing.assert_close(forward.earlier[0], torch.tensor([[[0.0, 2.2]]]))
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[3.0, 1.6]]]))
    assert forward.latents.tolist() == forward.reconstruction.tolist() == [[[3.0, 0.0]]]


def test_two_refinements():
    """After z = (3, 1.6): (-1, 1) are left, z = (2.5, 2.1)."""
    forward = lista(n_iterations=2).forward(parameters(bias=(0.0, 1.2)), X, END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[2.5, 2.1]]]))
    assert len(forward.earlier) == 2


def test_what_is_left_over_is_without_the_decoder_bias():
    """x - b_dec = (2, 1) is encoded, (2, 0) fires, x - (2, 0) - b_dec = (0, 1): z = (2, 1.5)."""
    params = {**parameters(), "b_dec": torch.tensor([[5.0, -3.0]])}
    forward = lista().forward(params, X + params["b_dec"], END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[2.0, 1.5]]]))
    torch.testing.assert_close(forward.reconstruction, torch.tensor([[[7.0, -3.0]]]))


def test_trained_it_goes_by_a_threshold_for_each_iteration():
    """z = (2, 2.2), then (3, 1.6) if the second alone fires, (2, 1.6) if both do."""
    params = parameters(bias=(0.0, 1.2), thresholds=(2.1, 1.5))
    torch.testing.assert_close(lista().encode(params, X), torch.tensor([[[3.0, 1.6]]]))
    params = parameters(bias=(0.0, 1.2), thresholds=(1.0, 1.8))
    torch.testing.assert_close(lista().encode(params, X), torch.tensor([[[2.0, 0.0]]]))


def test_without_its_additions_it_is_batch_topk():
    plain = lista(8, 2, n_iterations=0, widths=(), tilt=0, subtract_decoder_bias=False)
    flat = BatchTopK()
    params = {name: p[None] for name, p in flat.init(3, Draws(0)).items()}
    x = Draws(1).normal("x", (1, 9, 3))
    forward = plain.forward({**params, "frequency": torch.zeros(1, 8)}, x, END)
    expected = flat.forward(params, x, END)
    assert torch.equal(forward.latents, expected.latents)
    assert torch.equal(forward.reconstruction, expected.reconstruction)
    assert forward.earlier == ()


def test_k_falls_linearly():
    family = Lista(n_latents=100, k=25)
    at = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(family.k_at(at), torch.tensor([60, 42.5, 25], dtype=torch.float64))
    early = Lista(n_latents=100, k=25, anneal_fraction=0.5)
    torch.testing.assert_close(early.k_at(at), torch.tensor([60.0, 25, 25], dtype=torch.float64))


@pytest.mark.parametrize(("progress", "count"), [(0.0, 4), (0.5, 3), (0.9, 2), (1.0, 2)])
def test_so_many_latents_fire(progress, count):
    """k from 2 to 1 on two samples; what fires are the largest of the batch."""
    family = lista(4, initial_k_factor=2, n_iterations=0)
    z = torch.tensor([[[5.0, 4, 3, 2], [1, 0.9, 0.8, 0.7]]])
    kept = family.select_largest(z, torch.tensor(progress))
    assert kept.flatten().tolist() == [5.0, 4, 3, 2][:count] + [0.0] * (8 - count)


def test_large_errors_weigh_more():
    """Errors 1 and 3 are .5 and 1.5 of their mean: weights 3^.5 and 3^1.5, that is 1 and 3."""
    errors = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    tilted = lista(tilt=math.log(3)).mean_error(errors)
    torch.testing.assert_close(tilted, torch.tensor([2.5, 0.0]))
    assert lista(tilt=0).mean_error(errors).tolist() == [2.0, 0.0]


def squared(made: Tensor) -> Tensor:
    return (made - X).square().sum(-1)


def test_levels_are_of_the_most_frequent_latents():
    """Both fire; alone, the first leaves an error of 1 and the second one of 4."""
    family = lista(k=2, widths=(1,), tilt=0)
    errors = []
    for frequency in ([[0.2, 0.1]], [[0.1, 0.2]]):
        params = {**parameters(), "frequency": torch.tensor(frequency)}
        forward = family.forward(params, X, END)
        errors.append(float(family.error(params, X, forward, squared)))
    assert errors == [1, 4]


def test_an_inner_level_trains_only_what_it_adds():
    """The level of two latents moves the second row of the decoder, and the whole moves all."""
    family = lista(3, k=3, widths=(1, 2), tilt=0)
    params = parameters(3, bias=(0.0, 0.0, 0.0))
    params["W_dec"] = params["W_dec"].requires_grad_()
    x = torch.tensor([[[3.0, 2.0, 1.0]]])
    forward = family.forward(params, x, END)
    # Latents without their history, so that the gradient of W_dec is that of decoding alone.
    forward = forward._replace(latents=forward.latents.detach())
    levels = family.level_reconstructions(params, forward)
    moved = [
        torch.autograd.grad(level.sum(), params["W_dec"], retain_graph=True)[0][0].abs().sum(1) > 0
        for level in levels[:2]
    ]
    assert [rows.tolist() for rows in moved] == [[True, False, False], [False, True, False]]


def test_buffers_follow_the_batch():
    """Smallest positive activations 2.2 and 3 of the two iterations, frequencies 0 and 1."""
    family = lista(threshold_rate=0.5, frequency_rate=0.25)
    params = parameters(bias=(0.0, 1.2), thresholds=(1.0, 1.0))
    params["frequency"] = torch.tensor([[0.4, 0.4]])
    buffers = family.update_buffers(params, family.forward(params, X, END))
    torch.testing.assert_close(buffers["threshold"], torch.tensor([[1.6, 2.0]]))
    torch.testing.assert_close(buffers["frequency"], torch.tensor([[0.55, 0.3]]))
    assert set(buffers) == set(family.buffers)


def test_silent_batch_leaves_thresholds():
    params = parameters(thresholds=(1.0, 0.5))
    buffers = lista().update_buffers(params, lista().forward(params, -X, END))
    torch.testing.assert_close(buffers["threshold"], params["threshold"])


def test_factor_of_the_inputs_can_be_moved_into_the_weights():
    family, draws = Lista(initial_k_factor=1, n_iterations=2), Draws(0)
    params = {name: p[None] for name, p in family.init(3, draws).items()}
    params["b_dec"] = draws.normal("bias", (1, 3))
    params["threshold"] = torch.tensor([[0.1, 0.2, 0.3]])
    x = draws.normal("x", (1, 9, 3))
    folded = fold_factor(family, params, torch.tensor([2.5]))
    applied = folded.apply(x)
    latents = family.encode(params, 2.5 * x)
    torch.testing.assert_close(applied.latents, latents)
    torch.testing.assert_close(applied.reconstructions, family.decode(params, latents) / 2.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_iterations": -1}, "n_iterations = -1: must be at least 0"),
        ({"step_size": 0.0}, "step_size = 0.0: must be greater than 0"),
        ({"initial_k_factor": 0.5}, "initial_k_factor = 0.5: must be at least 1"),
        ({"k": 4}, "initial_k_factor = 2.4: times sae.k = 4 it must be at most sae.n_latents = 8"),
        ({"anneal_fraction": 0.0}, "anneal_fraction = 0.0: must be greater than 0"),
        ({"anneal_fraction": 1.5}, "anneal_fraction = 1.5: must lie in"),
        ({"tilt": -1.0}, "tilt = -1.0: must be at least 0"),
        ({"frequency_rate": 2.0}, "frequency_rate = 2.0: must lie in"),
    ],
)
def test_values_out_of_range_are_refused(fields, message):
    with pytest.raises(ConfigError, match=rf"^sae\.{message}"):
        Lista(**fields)
