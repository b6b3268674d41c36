from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from toysae.errors import ConfigError
from toysae.saes.fast import FastForm
from toysae.saes.topk import TopK

# x = (2, 1) has the pre-activations (2, 1.5, 1); the decoder rows have the norms 1, 2, 5.
PARAMS = {
    "W_enc": torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]]),
    "b_enc": torch.tensor([[0.0, 0.5, 0.0]]),
    "W_dec": torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]]),
    "b_dec": torch.tensor([[1.0, -1.0]]),
}
X = torch.tensor([[[2.0, 1.0]]])


def latents_of(family: TopK, x: torch.Tensor) -> list[float]:
    return family.encode(PARAMS, x)[0, 0].tolist()


def test_keeps_the_k_largest_and_decodes_them() -> None:
    family = TopK(k=2)
    latents = family.encode(PARAMS, X)
    assert latents.tolist() == [[[2.0, 1.5, 0.0]]]
    assert family.decode(PARAMS, latents).tolist() == [[[3.0, 2.0]]]


def test_with_k_of_all_latents_it_is_a_relu_sae() -> None:
    assert latents_of(TopK(k=3), torch.tensor([[[2.0, 3.0]]])) == [2.0, 3.5, 0.0]


def test_decoder_norms_decide_what_is_kept_and_are_divided_out_again() -> None:
    family = TopK(k=2, rescale_by_decoder_norm=True)
    latents = family.encode(PARAMS, X)
    assert latents.tolist() == [[[0.0, 3.0, 5.0]]]
    assert family.decode(PARAMS, latents).tolist() == [[[4.0, 6.0]]]


def test_decoder_bias_is_subtracted_first_where_asked() -> None:
    assert latents_of(TopK(k=1, subtract_decoder_bias=True), X) == [0.0, 2.5, 0.0]


def test_kept_but_negative_is_silent() -> None:
    assert latents_of(TopK(k=2), torch.tensor([[[-1.0, -1.0]]])) == [0.0, 0.0, 0.0]


def test_zero_decoder_row_gives_finite_reconstructions() -> None:
    params = {**PARAMS, "W_dec": torch.zeros(1, 3, 2)}
    family = TopK(k=3, rescale_by_decoder_norm=True)
    assert family.decode(params, family.encode(params, X)).tolist() == [[[1.0, -1.0]]]


def test_training_is_the_same_pass_and_only_kept_latents_learn() -> None:
    params = {name: value.clone().requires_grad_() for name, value in PARAMS.items()}
    forward = TopK(k=2).forward(params, X, torch.tensor(0.0))
    assert forward.pre_activations.tolist() == [[[2.0, 1.5, 1.0]]]
    assert forward.latents.tolist() == [[[2.0, 1.5, 0.0]]]
    assert forward.reconstruction.tolist() == [[[3.0, 2.0]]]
    # The residual is (1, 1); d|r|^2 / db_enc = 2 r . W_dec_j where j is kept.
    (forward.reconstruction - X).square().sum().backward()
    assert params["b_enc"].grad is not None
    assert params["b_enc"].grad.tolist() == [[2.0, 4.0, 0.0]]


def test_kernels_know_it_unless_norms_decide() -> None:
    assert TopK(k=2).fast_form == FastForm("topk", k=2)
    assert TopK(k=2, rescale_by_decoder_norm=True).fast_form == FastForm("topk", k=2)
    free = TopK(k=2, rescale_by_decoder_norm=True, unit_norm_decoder=False)
    assert free.fast_form is None


def test_k_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sae\.k = 0: must be at least 1"):
        TopK(k=0)
    with pytest.raises(ConfigError, match=r"sae\.k = 4: must be at most sae\.n_latents = 3"):
        TopK(n_latents=3, k=4)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), rescale=st.booleans())
def test_active_latents_are_the_largest_positive_pre_activations(
    seed: int, k: int, rescale: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    params = {
        name: torch.randn(2, *shape, generator=generator)
        for name, shape in TopK(k=k).param_shapes(3, 6).items()
    }
    x = torch.randn(2, 5, 3, generator=generator)
    family = TopK(k=k, rescale_by_decoder_norm=rescale)
    latents, pre = family.encode(params, x), family.pre_activations(params, x)
    active = latents > 0
    assert (active.sum(-1) == (pre > 0).sum(-1).clamp_max(k)).all()
    assert torch.equal(latents[active], pre[active])
    smallest_active = torch.where(active, pre, torch.inf).amin(-1)
    largest_silent = torch.where(active, -torch.inf, pre).amax(-1)
    assert ((smallest_active >= largest_silent) | (active.sum(-1) < k)).all()
