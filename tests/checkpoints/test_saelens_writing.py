"""Writing: what is read back, and what is left behind when writing fails."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

import toysae.checkpoints.saelens as module
from toysae.checkpoints.saelens import load, save
from toysae.errors import CheckpointError, ResultsError, ShapeError
from toysae.saes.base import SAE, SAEFamily, stack
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.lista import Lista
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor, ConstantNorm, LayerNorm, NoScaling, Scaling
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily

from ._families import families, label, some_sae, some_x
from .conftest import MakeSAE

FAMILIES = [
    ReLU(n_latents=6),
    ReLU(n_latents=6, subtract_decoder_bias=True),
    TopK(n_latents=6, k=2),
    TopK(n_latents=6, k=2, rescale_by_decoder_norm=True, subtract_decoder_bias=True),
    JumpReLU(n_latents=6, subtract_decoder_bias=True),
    Gated(n_latents=6),
]


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
@pytest.mark.parametrize("scaling", [NoScaling(), LayerNorm(), ConstantNorm()], ids=repr)
def test_what_is_written_is_read_back(
    tmp_path: Path, make_sae: MakeSAE, family: SAEFamily, scaling: Scaling
) -> None:
    sae = make_sae(family, scaling=scaling)
    log_sparsity = torch.linspace(-10, 0, 6)
    metadata = {"model_name": "toy", "seed": 3, "nested": {"l0": 1.5}}
    written = save(sae, tmp_path / "deep" / "sae", metadata, log_sparsity=log_sparsity)
    assert written == tmp_path / "deep" / "sae"
    checkpoint = load(written)
    assert checkpoint.sae.family == family
    assert checkpoint.sae.scaling == scaling
    assert checkpoint.sae.params.keys() == sae.params.keys()
    assert all(torch.equal(checkpoint.sae.params[name], sae.params[name]) for name in sae.params)
    assert checkpoint.log_sparsity is not None
    assert torch.equal(checkpoint.log_sparsity, log_sparsity)
    assert checkpoint.metadata == {"sae_lens_version": "6.0.0", **metadata}


@given(
    d_hidden=st.integers(1, 9),
    n_latents=st.integers(1, 9),
    family=st.sampled_from(["relu", "topk", "jumprelu", "gated"]),
    seed=st.integers(0, 1000),
)
def test_every_shape_is_read_back(
    make_sae: MakeSAE, d_hidden: int, n_latents: int, family: str, seed: int
) -> None:
    families: dict[str, SAEFamily] = {
        "relu": ReLU(n_latents=n_latents),
        "topk": TopK(n_latents=n_latents, k=n_latents),
        "jumprelu": JumpReLU(n_latents=n_latents),
        "gated": Gated(n_latents=n_latents),
    }
    sae = make_sae(families[family], d_hidden=d_hidden, n_latents=n_latents, seed=seed)
    with tempfile.TemporaryDirectory() as directory:
        read = load(save(sae, Path(directory) / "sae")).sae
        assert read.family == sae.family
        assert (read.n_members, read.d_hidden, read.n_latents) == (1, d_hidden, n_latents)
        assert all(torch.equal(read.params[name], sae.params[name]) for name in sae.params)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_constant_factor_is_folded_into_the_weights(
    tmp_path: Path, make_sae: MakeSAE, family: SAEFamily
) -> None:
    sae = make_sae(family, scaling=ConstantFactor(2.5))
    read = load(save(sae, tmp_path / "sae")).sae
    assert read.scaling == NoScaling()
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    before, after = sae.apply(x), read.apply(x)
    assert torch.allclose(after.latents, before.latents, rtol=1e-4, atol=1e-5)
    assert torch.allclose(after.reconstructions, before.reconstructions, rtol=1e-4, atol=1e-5)


def test_the_configuration_is_that_of_the_library(tmp_path: Path, make_sae: MakeSAE) -> None:
    family = TopK(n_latents=6, k=2, rescale_by_decoder_norm=True)
    path = save(make_sae(family), tmp_path / "sae", {"hook_name": "blocks.0"})
    assert json.loads((path / "cfg.json").read_text()) == {
        "architecture": "topk",
        "k": 2,
        "rescale_acts_by_decoder_norm": True,
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "d_in": 4,
        "d_sae": 6,
        "dtype": "float32",
        "device": "cpu",
        "metadata": {"sae_lens_version": "6.0.0", "hook_name": "blocks.0"},
    }
    assert sorted(file.name for file in path.iterdir()) == ["cfg.json", "sae_weights.safetensors"]


def test_one_member_of_a_stack_in_training(tmp_path: Path, make_sae: MakeSAE) -> None:
    both = stack([make_sae(ReLU(n_latents=6), seed=seed) for seed in range(2)])
    trained = {name: value.requires_grad_() for name, value in both.params.items()}
    path = save(SAE(both.family, trained).members([1]), tmp_path / "sae")
    assert torch.equal(load(path).sae.decoder, both.decoder[[1]])
    with pytest.raises(ShapeError, match=r"2 members; save one at a time: sae\.members"):
        save(both, tmp_path / "both")


@pytest.mark.parametrize("family", families(), ids=label)
def test_every_trainable_family_is_read_back_as_one_that_is_applied_alike(
    tmp_path: Path, family: TrainableFamily
) -> None:
    sae, x = some_sae(family), some_x()
    read = load(save(sae, tmp_path / "sae")).sae
    before, after = sae.apply(x), read.apply(x)
    assert torch.allclose(after.latents, before.latents, rtol=1e-5, atol=1e-5)
    assert torch.allclose(after.reconstructions, before.reconstructions, rtol=1e-5, atol=1e-5)
    assert {read.family.subtract_decoder_bias} == {family.subtract_decoder_bias}


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("tied", "standard"),
        ("batch_topk", "jumprelu"),
        ("matryoshka", "jumprelu"),
        ("matryoshka_relu", "standard"),
        ("matching_pursuit", "matching_pursuit"),
        ("lista", "toysae_lista"),
    ],
)
def test_architecture_of_families_without_one_of_their_own(
    tmp_path: Path, family: str, architecture: str
) -> None:
    (first, *_) = [f for f in families() if f.name == family]
    path = save(some_sae(first), tmp_path / "sae")
    assert json.loads((path / "cfg.json").read_text())["architecture"] == architecture


def test_what_only_toysae_reads_is_read_back_whole(tmp_path: Path) -> None:
    family = Lista(n_latents=7, k=1.5, widths=(2, 5), step_size=0.2, subtract_decoder_bias=False)
    sae = some_sae(family)
    path = save(sae, tmp_path / "sae")
    read = load(path).sae
    assert read.family == family
    assert all(torch.equal(read.params[name], sae.params[name]) for name in sae.params)
    config = json.loads((path / "cfg.json").read_text())
    for damaged in ({"k": -1}, {"no_such_field": 1}):
        (path / "cfg.json").write_text(json.dumps({**config, "toysae": damaged}))
        with pytest.raises(CheckpointError, match=r"cfg\.json: not a lista SAE: "):
            load(path)


def test_a_factor_that_shared_weights_cannot_take_up_is_refused(tmp_path: Path) -> None:
    sae = some_sae(MatchingPursuit(n_latents=7), ConstantFactor(2.0))
    with pytest.raises(CheckpointError, match=r"scaling ConstantFactor\(factor=2\.0\) cannot be"):
        save(sae, tmp_path / "sae")


class OtherLoss(ReLU):
    """A family that is trained differently and applied alike."""


@dataclass(frozen=True)
class Squared(ReLU):
    def encode(self, params: object, x: Tensor) -> Tensor:
        return torch.relu(self.pre_activations(params, x)).square()  # type: ignore[arg-type]


def test_a_family_is_written_as_what_it_applies_like(tmp_path: Path, make_sae: MakeSAE) -> None:
    path = save(make_sae(OtherLoss(n_latents=6)), tmp_path / "other")
    assert load(path).sae.family == ReLU(n_latents=6)
    with pytest.raises(CheckpointError, match="family 'relu' cannot be written in SAELens's form"):
        save(make_sae(Squared(n_latents=6)), tmp_path / "squared")


@dataclass(frozen=True)
class Halved(NoScaling):
    pass


def test_scaling_without_a_name_is_refused(tmp_path: Path, make_sae: MakeSAE) -> None:
    with pytest.raises(CheckpointError, match=r"scaling Halved\(\) cannot be written"):
        save(make_sae(TopK(n_latents=6, k=2), scaling=Halved()), tmp_path / "sae")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_never_overwritten(tmp_path: Path, make_sae: MakeSAE) -> None:
    (tmp_path / "sae").mkdir()
    with pytest.raises(ResultsError, match="sae: exists already and is never overwritten"):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae")
    assert list((tmp_path / "sae").iterdir()) == []


def test_nothing_is_left_behind_when_writing_fails(
    tmp_path: Path, make_sae: MakeSAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(tensors: object, path: Path) -> None:
        assert (path.parent / "cfg.json").is_file()
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save_file", full_disk)
    with pytest.raises(ResultsError, match=r"sae: cannot be written \(No space left on device\)"):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_interrupted(
    tmp_path: Path, make_sae: MakeSAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(tensors: object, path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_appears_meanwhile_is_kept(
    tmp_path: Path, make_sae: MakeSAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_writer(tensors: object, path: Path) -> None:
        (tmp_path / "sae").mkdir()
        (tmp_path / "sae" / "theirs").touch()

    monkeypatch.setattr(module, "save_file", other_writer)
    with pytest.raises(ResultsError, match="sae: cannot be written"):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae")
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")] == [
        "sae",
        "sae/theirs",
    ]


def test_metadata_that_is_not_json_is_refused(tmp_path: Path, make_sae: MakeSAE) -> None:
    with pytest.raises(ResultsError, match="metadata cannot be written as JSON"):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae", {"path": tmp_path})
    assert list(tmp_path.iterdir()) == []


def test_damaged_parameters_are_refused(tmp_path: Path, make_sae: MakeSAE) -> None:
    sae = make_sae(TopK(n_latents=6, k=2))
    sae.params["b_dec"][0, 1] = math.nan
    with pytest.raises(CheckpointError, match="sae: tensor b_dec holds NaN or infinite values"):
        save(sae, tmp_path / "sae")
    with pytest.raises(CheckpointError, match=r"sparsity has shape \[5\]; expected \[6\]"):
        save(make_sae(TopK(n_latents=6, k=2)), tmp_path / "sae", log_sparsity=torch.zeros(5))
    assert list(tmp_path.iterdir()) == []
