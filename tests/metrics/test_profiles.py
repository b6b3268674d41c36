from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given

from toysae.errors import DataError, ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.density import density
from toysae.metrics.profiles import position_profile

from .draw import SEEDS, normal, tensor


def test_golden() -> None:
    # Two sequences of two tokens, and one of a single token.
    latents = tensor([[2, 0], [0, -1], [4, 0], [0, 0], [0, 3]])
    profile = position_profile(latents, torch.tensor([0, 1, 0, 1, 0]), 3)
    assert profile.samples.tolist() == [3, 2, 0]
    assert profile.firings.tolist() == [[2, 0, 0], [1, 1, 0]]
    assert profile.total.tolist() == [[6, 0, 0], [3, -1, 0]]
    assert profile.rate[:, :2].tolist() == [[2 / 3, 0], [1 / 3, 0.5]]
    assert profile.mean[:, :2].tolist() == [[2, 0], [1, -0.5]]
    assert profile.mean_when_firing[0, 0] == 3
    assert math.isnan(profile.mean_when_firing[0, 1])
    assert profile.rate[:, 2].isnan().all()
    assert profile.mean[:, 2].isnan().all()


def test_the_threshold_is_strict_and_cuts_the_mean_too() -> None:
    latents, positions = tensor([[1], [2], [4]]), torch.zeros(3, dtype=torch.int32)
    for given_as in (latents, SparseCodes.from_dense(latents)):
        profile = position_profile(given_as, positions, 1, threshold=1)
        assert profile.firings.tolist() == [[2]]
        assert profile.total.tolist() == [[6]]
        assert profile.mean.tolist() == [[2]]
        assert profile.mean_when_firing.tolist() == [[3]]


@given(SEEDS)
def test_positions_add_up_to_the_density(seed: int) -> None:
    latents = normal(seed, 24, 3).clamp(min=0)
    profile = position_profile(latents, torch.arange(24) % 4, 4)
    assert profile.samples.tolist() == [6, 6, 6, 6]
    assert torch.allclose(profile.rate.mean(dim=1), density(latents).frequency)
    for position in range(4):
        of_position = latents[position::4]
        assert torch.allclose(profile.rate[:, position], density(of_position).frequency)
        assert torch.allclose(profile.mean[:, position], of_position.mean(dim=0))


def test_bad_input_is_refused() -> None:
    latents = torch.ones(3, 2)
    with pytest.raises(ShapeError, match=r"expected \[3\]"):
        position_profile(latents, torch.zeros(2, dtype=torch.long), 1)
    with pytest.raises(DataError, match="integers"):
        position_profile(latents, torch.zeros(3), 1)
    for wrong in (-1, 2):
        with pytest.raises(DataError, match="expected 0 to 1"):
            position_profile(latents, torch.tensor([0, 1, wrong]), 2)
    with pytest.raises(DataError, match="NaN"):
        position_profile(tensor([[math.nan]]), torch.zeros(1, dtype=torch.long), 1)
    for threshold in (-1, math.nan, math.inf):
        for given_as in (latents, SparseCodes.from_dense(latents)):
            with pytest.raises(DataError, match="threshold="):
                position_profile(given_as, torch.zeros(3, dtype=torch.long), 1, threshold)
    assert position_profile(torch.ones(0, 2), torch.zeros(0).long(), 3).rate.isnan().all()
