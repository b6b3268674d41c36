from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from toysae.errors import ConfigError
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor, ConstantNorm, LayerNorm, NoScaling, Scaling

ALL = [NoScaling(), LayerNorm(), ConstantNorm(), ConstantFactor(3.0)]


def test_no_scaling_changes_nothing() -> None:
    x = torch.tensor([[3.0, 4.0]])
    scaled = NoScaling().scale(x)
    assert torch.equal(scaled.x, x)
    assert torch.equal(scaled.undo(x), x)


def test_layer_norm_uses_the_unbiased_deviation_and_is_undone_without_epsilon() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]], dtype=torch.float64)
    std = math.sqrt((4 + 1 + 0 + 9) / 3)
    scaled = LayerNorm().scale(x)
    expected = [(value - 3) / (std + 1e-5) for value in (1.0, 2.0, 3.0, 6.0)]
    assert scaled.x[0].tolist() == pytest.approx(expected, rel=1e-12)
    assert scaled.undo(torch.ones_like(x))[0].tolist() == pytest.approx([std + 3] * 4, rel=1e-12)


def test_layer_norm_of_a_constant_vector_is_zero_and_undone_to_its_mean() -> None:
    scaled = LayerNorm().scale(torch.full((1, 3), 5.0))
    assert scaled.x.tolist() == [[0.0, 0.0, 0.0]]
    assert scaled.undo(torch.tensor([[7.0, -7.0, 1.0]])).tolist() == [[5.0, 5.0, 5.0]]


def test_constant_norm_gives_every_vector_the_norm_root_d() -> None:
    scaled = ConstantNorm().scale(torch.tensor([[3.0, 4.0], [0.0, 0.5]]))
    root = math.sqrt(2)
    assert scaled.x.flatten().tolist() == pytest.approx([0.6 * root, 0.8 * root, 0.0, root])
    undone = scaled.undo(torch.ones(2, 2))
    assert undone.flatten().tolist() == pytest.approx([5 / root, 5 / root, 0.5 / root, 0.5 / root])


def test_constant_norm_keeps_zero_at_zero_and_undefined_undefined() -> None:
    scaled = ConstantNorm().scale(torch.tensor([[0.0, 0.0], [math.nan, 1.0]]))
    assert scaled.x[0].tolist() == [0.0, 0.0]
    assert scaled.undo(torch.ones(2, 2))[0].tolist() == [0.0, 0.0]
    assert scaled.x[1].isnan().all()


def test_constant_factor_multiplies_and_divides() -> None:
    scaled = ConstantFactor(4.0).scale(torch.tensor([[3.0, -1.0]]))
    assert scaled.x.tolist() == [[12.0, -4.0]]
    assert scaled.undo(torch.tensor([[2.0, 8.0]])).tolist() == [[0.5, 2.0]]


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan])
def test_factor_that_is_not_positive_is_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match=r"scaling\.factor = .*: must be greater than 0"):
        ConstantFactor(factor)


@pytest.mark.parametrize("scaling", ALL, ids=lambda scaling: type(scaling).__name__)
@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 100.0))
def test_undoing_gives_the_input_back(scaling: Scaling, seed: int, size: float) -> None:
    x = size * torch.randn(3, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scaled = scaling.scale(x)
    assert torch.allclose(scaled.undo(scaled.x), x, rtol=1e-3, atol=1e-3)


def test_sae_scales_before_encoding_and_undoes_on_reconstructing() -> None:
    # Reads 2 x = (6, -2): latents (6, 0), decoded to (6, 0) + (1, 1), halved.
    params = {
        "W_enc": torch.eye(2)[None],
        "b_enc": torch.zeros(1, 2),
        "W_dec": torch.eye(2)[None],
        "b_dec": torch.ones(1, 2),
    }
    sae = SAE(ReLU(n_latents=2), params, ConstantFactor(2.0))
    x = torch.tensor([[3.0, -1.0]])
    assert sae.encode(x).tolist() == [[[6.0, 0.0]]]
    assert sae.reconstruct(x).tolist() == [[[3.5, 0.5]]]
    latents, reconstructions = sae.apply(x)
    assert torch.equal(latents, sae.encode(x))
    assert torch.equal(reconstructions, sae.reconstruct(x))
    assert sae.members([0]).scaling == ConstantFactor(2.0)
