from __future__ import annotations

import pytest
import torch

from toysae.errors import ShapeError
from toysae.saes.base import SAE, SAEFamily, stack
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantNorm, LayerNorm, NoScaling, Scaling
from toysae.saes.topk import TopK

D_HIDDEN, N_LATENTS = 4, 7
FAMILIES = [
    ReLU(n_latents=N_LATENTS, subtract_decoder_bias=True),
    TopK(k=3, subtract_decoder_bias=True),
    TopK(k=3, rescale_by_decoder_norm=True),
    JumpReLU(subtract_decoder_bias=True),
    Gated(subtract_decoder_bias=True),
]


def random_sae(family: SAEFamily, seed: int, scaling: Scaling | None = None) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    shapes = family.param_shapes(D_HIDDEN, N_LATENTS)
    params = {
        name: torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    return SAE(family, params, scaling or NoScaling())


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
@pytest.mark.parametrize("scaling", [NoScaling(), LayerNorm()], ids=repr)
def test_members_do_what_each_does_alone(family: SAEFamily, scaling: Scaling) -> None:
    saes = [random_sae(family, seed, scaling) for seed in range(3)]
    x = torch.randn(20, D_HIDDEN, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    together = stack(saes).apply(x)
    assert together.latents.shape == (3, 20, N_LATENTS)
    assert (together.latents > 0).any()
    for member, sae in enumerate(saes):
        alone = sae.apply(x)
        assert torch.allclose(together.latents[[member]], alone.latents, rtol=1e-12)
        assert torch.allclose(together.reconstructions[[member]], alone.reconstructions)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_members_can_read_inputs_of_their_own(family: SAEFamily) -> None:
    saes = [random_sae(family, seed) for seed in range(2)]
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(2, 20, D_HIDDEN, generator=generator, dtype=torch.float64)
    together = stack(saes).apply(x)
    for member, sae in enumerate(saes):
        alone = sae.apply(x[member])
        assert torch.allclose(together.reconstructions[[member]], alone.reconstructions)


def test_stack_can_be_taken_apart_again() -> None:
    saes = [random_sae(FAMILIES[0], seed) for seed in range(3)]
    apart = stack(saes).members([2, 0])
    assert torch.equal(apart.decoder[0], saes[2].decoder[0])
    assert torch.equal(apart.decoder[1], saes[0].decoder[0])


@pytest.mark.parametrize(
    "other",
    [
        random_sae(TopK(k=2), 1),
        random_sae(TopK(k=3), 1, ConstantNorm()),
        SAE(TopK(k=3), {n: v[..., :3] for n, v in random_sae(TopK(k=3), 1).params.items()}),
    ],
    ids=["family", "scaling", "shape"],
)
def test_what_differs_is_not_stacked(other: SAE) -> None:
    with pytest.raises(ShapeError, match="SAE 1 does not fit SAE 0 in one stack"):
        stack([random_sae(TopK(k=3), 0), other])


def test_nothing_is_not_stacked() -> None:
    with pytest.raises(ShapeError, match="no SAEs to stack"):
        stack([])
