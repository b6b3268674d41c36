from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from toysae.errors import DataError
from toysae.language.activations import load_activations

VALUES = [[1.0, -2.5], [0.0, 3.0], [0.5, 0.25]]


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4", ">f2"])
def test_npy(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", np.array(VALUES, dtype=dtype))
    activations = load_activations(tmp_path / "x.npy", d_hidden=2)
    assert activations.dtype == torch.float32
    assert activations.tolist() == VALUES


def test_npy_in_fortran_order(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(np.array(VALUES, dtype=np.float32)))
    assert load_activations(tmp_path / "x.npy").tolist() == VALUES


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_safetensors(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"anything": torch.tensor(VALUES, dtype=dtype)}, tmp_path / "x.safetensors")
    activations = load_activations(str(tmp_path / "x.safetensors"))
    assert activations.dtype == torch.float32
    assert activations.tolist() == VALUES


def test_of_several_tensors_the_named_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"activations": torch.tensor(VALUES), "tokens": torch.zeros(3)}, path)
    assert load_activations(path).tolist() == VALUES
    save_file({"a": torch.tensor(VALUES), "b": torch.zeros(3)}, path)
    with pytest.raises(DataError, match="holds the tensors a, b; expected one, or one named activ"):
        load_activations(path)


def refused(path: Path, message: str, d_hidden: int | None = None) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_activations(path, d_hidden)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    refused(tmp_path / "x.npy", "no such file; give a .npy or .safetensors file")
    (tmp_path / "x.pt").touch()
    refused(tmp_path / "x.pt", "ends in '.pt'; must end in .npy or .safetensors")


@pytest.mark.parametrize(
    ("array", "d_hidden", "message"),
    [
        (np.zeros((3, 2), np.float32), 5, "shape [3, 2]; expected [N, 5] with N >= 1"),
        (np.zeros(3, np.float32), None, "shape [3]; expected [N, d] with N >= 1"),
        (np.zeros((0, 2), np.float32), None, "shape [0, 2]; expected [N, d] with N >= 1"),
        (np.zeros((3, 2), np.int16), None, "torch.int16; expected float16, bfloat16 or float32"),
        (np.zeros((3, 2), np.float64), None, "torch.float64; expected float16, bfloat16 or float"),
        (np.array([["a"]]), None, "not a readable .npy file of numbers ("),
    ],
)
def test_arrays_that_are_not_activations(
    tmp_path: Path, array: np.ndarray, d_hidden: int | None, message: str
) -> None:
    np.save(tmp_path / "x.npy", array)
    refused(tmp_path / "x.npy", message, d_hidden)


def test_undefined_values_are_counted(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, np.nan], [0, 1], [np.inf, np.nan]], np.float16))
    refused(tmp_path / "x.npy", "2 of 3 rows hold NaN or infinite values")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(tmp_path / "x.npy", "not a readable .npy file of numbers (Object arrays cannot be load")


@pytest.mark.parametrize("n_bytes", [0, 40, -1])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_truncated_files(tmp_path: Path, suffix: str, n_bytes: int) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, np.array(VALUES, np.float32))
    else:
        save_file({"x": torch.tensor(VALUES)}, path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    refused(path, f"not a readable {suffix} file")


def test_real_language_model(data_dir: Path) -> None:
    path = data_dir / "stories260k" / "resid_pre3_eval_acts_f16.npy"
    assert load_activations(path, d_hidden=64).shape == (65536, 64)
