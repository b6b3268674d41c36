"""What is written, opened by SAELens itself. Runs where sae-lens (6.54) is installed."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from toysae.checkpoints.saelens import save
from toysae.saes.lista import Lista
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.scaling import ConstantFactor, ConstantNorm, LayerNorm, NoScaling, Scaling
from toysae.saes.trainable import TrainableFamily

from ._families import families, label, some_sae, some_x

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sae_lens = pytest.importorskip("sae_lens", reason="opens checkpoints with SAELens itself")

pytestmark = pytest.mark.saelens

SCALINGS = [NoScaling(), LayerNorm(), ConstantNorm(), ConstantFactor(1.7)]
KNOWN = [
    pytest.param(family, scaling, id=f"{label(family)}-{type(scaling).__name__}")
    for family in families()
    for scaling in SCALINGS
    if not isinstance(family, Lista)
    # Weights that are shared cannot take up a factor.
    and not (isinstance(family, MatchingPursuit) and isinstance(scaling, ConstantFactor))
]


@pytest.mark.parametrize(("family", "scaling"), KNOWN)
def test_saelens_gives_the_same_activations_and_reconstructions(
    tmp_path: Path, family: TrainableFamily, scaling: Scaling
) -> None:
    sae, x = some_sae(family, scaling), some_x()
    theirs = sae_lens.SAE.load_from_disk(save(sae, tmp_path / "sae"))
    with torch.no_grad():
        latents = theirs.encode(x)
        reconstructions = theirs(x)
    ours = sae.apply(x)
    assert 0 < (ours.latents > 0).double().mean() < 1
    assert torch.allclose(latents, ours.latents[0], rtol=1e-5, atol=1e-5)
    assert torch.allclose(reconstructions, ours.reconstructions[0], rtol=1e-5, atol=1e-5)


def test_saelens_refuses_what_it_does_not_have(tmp_path: Path) -> None:
    (family,) = [f for f in families() if isinstance(f, Lista) and f.subtract_decoder_bias]
    path = save(some_sae(family), tmp_path / "sae")
    with pytest.raises(KeyError, match="toysae_lista"):
        sae_lens.SAE.load_from_disk(path)
