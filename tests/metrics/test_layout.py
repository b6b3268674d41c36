"""Dictionaries that lie the wrong way round are noticed by the lengths of their vectors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from toysae.metrics.dictionary import cosine_matrix, hungarian, max_cosine, within_dictionary

from .draw import normal, rotation, tensor

ENCODER = normalize(normal(0, 4, 6), dim=0)
"""As SAELens stores it: 6 latents of unit length in 4 dimensions."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_columns_of_unit_length_are_warned_of(dtype: torch.dtype) -> None:
    with pytest.warns(UserWarning, match=r"a of shape \(4, 6\): its columns have unit length"):
        max_cosine(ENCODER.to(dtype), torch.ones(1, 6))
    with pytest.warns(UserWarning, match=r"b of shape \(4, 6\).*pass W_enc\.T"):
        hungarian(torch.ones(1, 6), ENCODER.to(dtype))


def test_a_dead_column_hides_nothing() -> None:
    encoder = ENCODER.clone()
    encoder[:, 2] = 0
    with pytest.warns(UserWarning, match="its columns have unit length"):
        within_dictionary(encoder)


@pytest.mark.parametrize(
    "rows",
    [
        ENCODER.T,
        ENCODER * torch.tensor([1, 1, 1, 1, 1, 1.1]),
        normal(1, 4, 6),
        rotation(2, 4),
        torch.eye(4),
        tensor([[1, -1, 1]]),
        tensor([[0.6], [0.8]]),
        tensor([[0.8, 0], [0.6, 0]]),
        tensor([[1, 0, 1], [0, 1, 0]]),
        torch.zeros(3, 2),
        torch.zeros(0, 2),
    ],
    ids=[
        "right way",
        "one column off",
        "no unit length",
        "orthogonal",
        "axes",
        "one row",
        "one dimension",
        "one dimension that is used",
        "single entries",
        "zeros",
        "empty",
    ],
)
def test_what_proves_nothing_passes(rows: Tensor) -> None:
    # Warnings are errors here.
    cosine_matrix(rows, rows)


def test_storage_order_changes_nothing() -> None:
    a, b = normal(3, 6, 4), normal(4, 5, 4)
    strided = torch.stack([a, a], dim=2)[:, :, 0]
    assert not strided.is_contiguous()
    expected = max_cosine(a, b)
    for view in (a.T.contiguous().T, strided):
        assert torch.equal(max_cosine(view, b).a_to_b, expected.a_to_b)


def test_every_row_antipodal() -> None:
    a = normalize(normal(5, 3, 4), dim=1)
    assert cosine_matrix(a, -a).diagonal().tolist() == pytest.approx([-1] * 3)
    matching = hungarian(a[:1], -a[:1])
    assert matching.n_matched == 0
    assert math.isnan(matching.mean_over_matched)
    assert (matching.mean_over_min, matching.mean_over_max) == (0, 0)
