"""Reading: against the library that wrote the files, and against every kind of damage."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toysae.checkpoints.find import find_checkpoints
from toysae.checkpoints.saelens import load, save
from toysae.errors import CheckpointError
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor, ConstantNorm, LayerNorm, NoScaling
from toysae.saes.topk import TopK

from .conftest import CheckpointFiles, MakeSAE

INFERENCE = [
    "batchtopk",
    "gated",
    "jumprelu",
    "old_gpt2_res_jb_style",
    "standard",
    "standard_layernorm",
    "standard_no_bdec",
    "topk",
    "topk_norescale",
]
TRAINING = [f"training_{name}" for name in INFERENCE if name != "old_gpt2_res_jb_style"]


@pytest.mark.parametrize("name", [*INFERENCE, *TRAINING])
def test_reproduces_the_library_that_wrote_it(data_dir: Path, name: str) -> None:
    directory = data_dir / "saelens_format"
    expected = load_file(directory / name.removeprefix("training_") / "io.safetensors")
    checkpoint = load(directory / name)
    latents, reconstructions = checkpoint.sae.apply(expected["x"])
    assert torch.allclose(latents[0], expected["feature_acts"], rtol=0, atol=1e-5)
    assert torch.allclose(reconstructions[0], expected["recons"], rtol=0, atol=1e-5)
    assert checkpoint.name == name
    assert checkpoint.metadata["hook_name"] == "blocks.8.hook_resid_pre"
    assert checkpoint.log_sparsity is not None
    assert checkpoint.log_sparsity.shape == (32,)


STORIES = [*(f"relu_seed{seed}" for seed in range(2)), *(f"topk_seed{seed}" for seed in range(4))]


@pytest.mark.parametrize("name", STORIES)
def test_real_language_model_saes_reach_what_their_metadata_says(data_dir: Path, name: str) -> None:
    directory = data_dir / "stories260k"
    recorded = np.load(directory / "resid_pre3_eval_acts_f16.npy")
    x = torch.from_numpy(recorded.astype(np.float32))
    checkpoint = load(directory / "saes" / name)
    latents, reconstructions = checkpoint.sae.apply(x)
    error = (reconstructions[0] - x).double().square().sum()
    variance = (x - x.double().mean(0)).square().sum()
    active = (latents[0] > 0).sum(1).double()
    # The shipped activations are rounded to float16; noise of that size moves L0 by 3e-4 of it.
    assert float(error / variance) == pytest.approx(checkpoint.metadata["fvu"], rel=1e-3)
    assert float(active.mean()) == pytest.approx(checkpoint.metadata["l0"], rel=1e-3)
    if isinstance(checkpoint.sae.family, TopK):
        assert active.max() == checkpoint.metadata["k"] == 8


def test_all_real_language_model_saes_are_found(data_dir: Path) -> None:
    found = find_checkpoints(data_dir / "stories260k")
    assert [path.name for path in found] == STORIES


def old_checkpoint(directory: Path, config: dict[str, Any], **tensors: torch.Tensor) -> Path:
    """A file of versions 1 to 5 with d = 2, m = 3 and x W_enc = (x_1, x_2, x_1 - x_2)."""
    directory.mkdir()
    weights = {
        "W_enc": torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]),
        "b_enc": torch.zeros(3),
        "W_dec": torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        "b_dec": torch.tensor([1.0, 0.0]),
        **tensors,
    }
    (directory / "cfg.json").write_text(json.dumps({"d_in": 2, "d_sae": 3, **config}))
    save_file(weights, directory / "sae_weights.safetensors")
    return directory


X = torch.tensor([[4.0, 1.0]])


def test_before_version_6_the_decoder_bias_is_subtracted_unless_said_otherwise(
    tmp_path: Path,
) -> None:
    old = {"hook_point": "blocks.1.hook_z", "device": "mps", "dtype": "torch.float32"}
    checkpoint = load(old_checkpoint(tmp_path / "1.0", old))
    assert checkpoint.sae.family == ReLU(n_latents=3, subtract_decoder_bias=True)
    assert checkpoint.sae.scaling == NoScaling()
    assert checkpoint.metadata == {"hook_name": "blocks.1.hook_z"}
    assert checkpoint.log_sparsity is None
    assert checkpoint.sae.encode(X).tolist() == [[[3.0, 1.0, 2.0]]]

    newer = {"hook_name": "h", "apply_b_dec_to_input": False, "architecture": "standard"}
    assert load(old_checkpoint(tmp_path / "4.0", newer)).sae.encode(X).tolist() == [
        [[4.0, 1.0, 3.0]]
    ]


@pytest.mark.parametrize("architecture", [{}, {"architecture": "standard"}])
def test_flat_topk_is_told_by_its_activation_function(
    tmp_path: Path, architecture: dict[str, str]
) -> None:
    config = {**architecture, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 1}}
    checkpoint = load(old_checkpoint(tmp_path / "5.0", config))
    assert checkpoint.sae.family == TopK(n_latents=3, k=1, subtract_decoder_bias=True)
    assert checkpoint.sae.encode(X).tolist() == [[[3.0, 0.0, 0.0]]]


def test_scaling_factor_of_ones_is_dropped(tmp_path: Path) -> None:
    path = old_checkpoint(tmp_path / "sae", {}, scaling_factor=torch.ones(3))
    assert load(path).sae.params.keys() == {"W_enc", "b_enc", "W_dec", "b_dec"}


def test_scaling_factor_multiplies_activations_before_decoding(tmp_path: Path) -> None:
    config = {"finetuning_scaling_factor": True}
    factor = torch.tensor([2.0, 1.0, 0.5])
    sae = load(old_checkpoint(tmp_path / "sae", config, scaling_factor=factor)).sae
    assert sae.encode(X).tolist() == [[[3.0, 1.0, 2.0]]]
    # (6, 1, 1) through the decoder, and its bias
    assert sae.reconstruct(X).tolist() == [[[8.0, 2.0]]]


def test_scaling_factor_that_the_configuration_denies_is_refused(tmp_path: Path) -> None:
    path = old_checkpoint(tmp_path / "sae", {}, scaling_factor=torch.full((3,), 2.0))
    with pytest.raises(CheckpointError, match="scaling_factor is not all ones, but"):
        load(path)


@pytest.mark.parametrize("stored", [False, None])
def test_old_ways_of_writing_no_scaling(tmp_path: Path, stored: bool | None) -> None:
    path = old_checkpoint(tmp_path / "sae", {"normalize_activations": stored})
    assert load(path).sae.scaling == NoScaling()


@pytest.mark.parametrize(
    ("name", "scaling"),
    [
        ("none", NoScaling()),
        ("layer_norm", LayerNorm()),
        ("constant_norm_rescale", ConstantNorm()),
    ],
)
def test_scalings_by_name(files: CheckpointFiles, name: str, scaling: object) -> None:
    files.change_config(normalize_activations=name)
    assert load(files.directory).sae.scaling == scaling


@pytest.mark.parametrize("stored", [True, "expected_average_only_in"])
def test_expected_average_needs_its_factor(files: CheckpointFiles, stored: bool | str) -> None:
    files.change_config(normalize_activations=stored)
    with pytest.raises(CheckpointError, match=r"cfg\.json: .*factor is not stored.*give scaling_"):
        load(files.directory)
    assert load(files.directory, scaling_factor=2.5).sae.scaling == ConstantFactor(2.5)
    (files.directory / "activation_scaler.json").write_text('{"scaling_factor": 1.5}')
    assert load(files.directory).sae.scaling == ConstantFactor(1.5)
    assert load(files.directory, scaling_factor=2.5).sae.scaling == ConstantFactor(2.5)
    with pytest.raises(CheckpointError, match=r"is 0\.0: must be a number greater than 0"):
        load(files.directory, scaling_factor=0.0)


def test_batch_topk_without_rescaling_keeps_its_weights(files: CheckpointFiles) -> None:
    before = load_file(files.weights_file)
    files.change_config(architecture="matryoshka_batchtopk", k=2.5)
    files.change_tensors(topk_threshold=torch.tensor(0.5, dtype=torch.float64))
    sae = load(files.directory).sae
    assert sae.family == JumpReLU(n_latents=6)
    assert sae.params["threshold"].tolist() == [[0.5] * 6]
    assert torch.equal(sae.params["W_enc"][0], before["W_enc"])


def test_other_dtypes_become_float32(files: CheckpointFiles) -> None:
    half = load_file(files.weights_file)["W_enc"].to(torch.bfloat16)
    files.change_tensors(W_enc=half)
    params = load(files.directory).sae.params
    assert {value.dtype for value in params.values()} == {torch.float32}
    assert torch.equal(params["W_enc"][0], half.float())


def refused(path: Path, message: str) -> None:
    """Refused with one line that holds the pattern `message`."""
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_missing_directory(tmp_path: Path) -> None:
    refused(tmp_path / "none", r"none: no such directory; give one that holds cfg\.json and sae_w")


def test_missing_files(files: CheckpointFiles) -> None:
    files.weights_file.unlink()
    refused(files.directory, r"sae_weights\.safetensors: no such file; a checkpoint needs its wei")
    files.config_file.unlink()
    refused(files.directory, r"cfg\.json: no such file; a checkpoint needs its configuration")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00"])
def test_configuration_that_is_not_json(files: CheckpointFiles, content: bytes) -> None:
    files.config_file.write_bytes(content)
    refused(files.directory, r"cfg\.json: not readable as JSON \(")


def test_configuration_that_is_not_an_object(files: CheckpointFiles) -> None:
    files.config_file.write_text("[1]")
    refused(files.directory, r"cfg\.json: holds a list; expected a JSON object")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": "temporal"},
            "architecture 'temporal' is unknown; known are "
            "batchtopk, gated, jumprelu, matching_pursuit, matryoshka_batchtopk, standard, topk, "
            "toysae_lista",
        ),
        (
            {"architecture": "matching_pursuit", "max_iterations": 0},
            "not a matching_pursuit SAE: sae.max_iterations = 0: must be at least 1",
        ),
        ({"architecture": ["topk"]}, "architecture ['topk'] is unknown"),
        ({"activation_fn_str": "tanh-relu"}, "activation_fn 'tanh-relu' is unknown"),
        ({"normalize_activations": "covariance_whitening"}, "normalize_activations 'covariance_w"),
        ({"architecture": "topk"}, "k = None: must be a whole number from 1 to d_sae = 6"),
        ({"architecture": "topk", "k": 7}, "k = 7: must be a whole number from 1 to d_sae = 6"),
        ({"d_sae": None}, "d_sae = None: must be a whole number"),
        ({"d_in": 0}, "d_in = 0: must be a whole number"),
        ({"metadata": [1]}, "metadata = [1]: must be an object"),
    ],
)
def test_configuration_that_cannot_be_used(
    files: CheckpointFiles, changes: dict[str, Any], message: str
) -> None:
    files.change_config(**changes)
    refused(files.directory, r"cfg\.json: " + re.escape(message))


@pytest.mark.parametrize("n_bytes", [0, 5, 200, -1])
def test_truncated_weights(files: CheckpointFiles, n_bytes: int) -> None:
    files.weights_file.write_bytes(files.weights_file.read_bytes()[:n_bytes])
    refused(files.directory, r"sae_weights\.safetensors: not a readable safetensors file \(")


def test_pickled_weights_are_refused(files: CheckpointFiles) -> None:
    torch.save({"W_enc": torch.zeros(4, 6)}, files.weights_file)
    refused(files.directory, r"sae_weights\.safetensors: not a readable safetensors file \(")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W_dec": None}, "tensor W_dec is missing; found W_enc, b_dec, b_enc"),
        ({"W_skip": torch.zeros(4, 4)}, "tensor W_skip is unknown; expected W_dec, W_enc, b_dec"),
        ({"W_enc": torch.zeros(6, 4)}, "tensor W_enc has shape [6, 4]; expected [4, 6]"),
        ({"b_dec": torch.zeros(1, 4)}, "tensor b_dec has shape [1, 4]; expected [4]"),
        ({"b_enc": torch.full((6,), math.nan)}, "tensor b_enc holds NaN or infinite values"),
        ({"b_dec": torch.full((4,), math.inf)}, "tensor b_dec holds NaN or infinite values"),
    ],
)
def test_tensors_that_do_not_fit(
    files: CheckpointFiles, changes: dict[str, torch.Tensor | None], message: str
) -> None:
    files.change_tensors(**changes)
    refused(files.directory, r"sae_weights\.safetensors: " + re.escape(message))


def test_sparsity_of_another_size(files: CheckpointFiles) -> None:
    save_file({"sparsity": torch.zeros(5)}, files.directory / "sparsity.safetensors")
    refused(
        files.directory, r"sparsity\.safetensors: tensor sparsity has shape \[5\]; expected \[6"
    )


def test_name_is_that_of_the_directory(
    tmp_path: Path, make_sae: MakeSAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(make_sae(ReLU(n_latents=6)), tmp_path / "a.b")
    monkeypatch.chdir(path)
    assert load(".").name == "a.b"
