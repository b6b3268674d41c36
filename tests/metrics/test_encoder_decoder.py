from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.dictionary import (
    cosine_matrix,
    hungarian,
    joint_matching,
    matching_agreement,
    paired_cosine,
)

from .draw import SEEDS, normal, tensor
from .golden import FOUR, THREE

X, Y = 0.43589, 0.9798
AXES = torch.eye(3, dtype=torch.float64)
DECODER = tensor([[0.95, 0.31225, 0], [0, 0.9, X], [X, 0, 0.9]])
ENCODER = tensor([[0.9, X, 0], [0, 0.2, Y], [0, Y, 0.2]])


def test_golden_matching_agreement() -> None:
    agreement = matching_agreement(AXES, DECODER, AXES, ENCODER)
    assert agreement.decoder_match.tolist() == [0, 1, 2]
    assert agreement.encoder_match.tolist() == [0, 2, 1]
    assert agreement.agreement == pytest.approx(1 / 3)
    assert agreement.shared_fraction == pytest.approx(1 / 3)
    assert agreement.shared.tolist() == [True, False, False]
    assert agreement.n_defined == 3
    assert agreement.decoder_cosine.mean().item() == pytest.approx(0.916667, abs=1e-6)
    assert agreement.encoder_cosine.mean().item() == pytest.approx(0.953197, abs=1e-6)
    at_decoder = agreement.encoder_cosine_at_decoder_match
    assert at_decoder.mean().item() == pytest.approx(0.433333, abs=1e-6)


def test_golden_joint_matching() -> None:
    matching = joint_matching(AXES, DECODER, AXES, ENCODER)
    assert matching.rows.tolist() == [0, 1, 2]
    assert matching.cols.tolist() == [0, 2, 1]
    assert matching.mean_over_max == pytest.approx(0.707580, abs=1e-6)
    # Of unit rows, cosines .95 and .9, 0 and sqrt .96, sqrt .19 and sqrt .96.
    assert matching.cosine.tolist() == pytest.approx([0.925, 0.489898, 0.707843], abs=1e-6)


def test_both_cosines_must_be_above_the_threshold() -> None:
    low, high = tensor([[0.8, 0.6]]), tensor([[0.96, 0.28]])
    axis = tensor([[1, 0]])

    def shared(decoder: Tensor, encoder: Tensor, threshold: float) -> bool:
        agreement = matching_agreement(axis, decoder, axis, encoder, threshold=threshold)
        assert agreement.agreement == 1
        return bool(agreement.shared)

    assert shared(low, high, 0.79)
    assert shared(high, low, 0.79)
    assert not shared(low, high, 0.81)
    assert not shared(high, low, 0.81)
    at = paired_cosine(axis, low).item()
    assert not shared(low, high, at)
    assert not shared(high, low, at)


def test_without_a_partner() -> None:
    agreement = matching_agreement(AXES, -AXES[:1], AXES, AXES[:1])
    assert agreement.decoder_match.tolist() == [-1, -1, -1]
    assert agreement.encoder_match.tolist() == [0, -1, -1]
    assert agreement.agreement == 0
    assert agreement.shared_fraction == 0
    assert agreement.n_defined == 3
    assert torch.isnan(agreement.decoder_cosine).all()
    assert torch.isnan(agreement.encoder_cosine_at_decoder_match).all()
    assert agreement.encoder_cosine[0] == 1
    # Cosines -1 and 1 cancel: no joint partner either.
    assert joint_matching(AXES, -AXES[:1], AXES, AXES[:1]).n_matched == 0


def test_dead_latents_and_zero_rows_are_left_out_of_both() -> None:
    alive = torch.tensor([True, False, True])
    encoder = AXES.clone()
    encoder[2] = 0
    agreement = matching_agreement(AXES, AXES, encoder, AXES, alive_a=alive)
    assert agreement.n_defined == 1
    assert agreement.agreement == agreement.shared_fraction == 1
    assert agreement.shared.tolist() == [True, False, False]
    assert agreement.decoder_match.tolist() == [0, -1, 2]
    matching = joint_matching(AXES, AXES, encoder, AXES, alive_a=alive)
    assert (matching.rows.tolist(), matching.n_rows, matching.n_cols) == ([0], 1, 3)
    matching = joint_matching(AXES, AXES, encoder, AXES, alive_b=alive)
    assert (matching.cols.tolist(), matching.n_rows, matching.n_cols) == ([0], 2, 2)


@given(SEEDS)
def test_joint_matching_of_equal_parts_is_the_matching_of_one(seed: int) -> None:
    a, b = normal(seed, 5, 4), normal(seed + 1, 6, 4)
    joint, single = joint_matching(a, b, a, b), hungarian(a, b)
    assert joint.cols.tolist() == single.cols.tolist()
    assert joint.total == pytest.approx(single.total)


@given(SEEDS)
def test_paired_cosine_is_the_diagonal_of_the_matrix(seed: int) -> None:
    a, b = normal(seed, 5, 4), normal(seed + 1, 5, 4)
    assert torch.allclose(paired_cosine(a, b), cosine_matrix(a, b).diagonal())


def test_paired_cosine_of_known_and_of_zero_rows() -> None:
    a, b = tensor([[1, 0], [2, 0], [0, 0], [1, 1]]), tensor([[3, 4], [-5, 0], [1, 0], [0, 0]])
    found = paired_cosine(a, b)
    assert found[:2].tolist() == pytest.approx([0.6, -1])
    assert torch.isnan(found[2:]).all()
    assert paired_cosine(a[:0], b[:0]).shape == (0,)


@pytest.mark.parametrize(("n", "m"), [(0, 2), (2, 0), (0, 0)])
def test_empty_dictionaries_are_undefined(n: int, m: int) -> None:
    a, b = torch.ones(n, 3), torch.ones(m, 3)
    agreement = matching_agreement(a, b, a, b)
    assert math.isnan(agreement.agreement)
    assert math.isnan(agreement.shared_fraction)
    assert agreement.decoder_match.tolist() == [-1] * n
    assert math.isnan(joint_matching(a, b, a, b).mean_over_max)


def refuse(function: object, *args: Tensor) -> None:
    with pytest.raises(ShapeError, match="one of both a latent"):
        function(*args)  # type: ignore[operator]


def test_wrong_input_is_refused() -> None:
    for function in (matching_agreement, joint_matching):
        refuse(function, FOUR, THREE, THREE, THREE)
        refuse(function, FOUR, THREE, FOUR, FOUR)
    with pytest.raises(ShapeError, match="4 rows and b has 3"):
        paired_cosine(FOUR, THREE)
    with pytest.raises(ShapeError, match="2 dimensions and b of 3"):
        paired_cosine(FOUR[:3, :2], THREE)
    broken = THREE.clone()
    broken[0, 0] = math.nan
    with pytest.raises(DataError, match="b: 1 of 9"):
        paired_cosine(THREE, broken)


def test_a_partner_without_encoder_direction_has_no_encoder_cosine() -> None:
    eye = torch.eye(2, dtype=torch.float64)
    silent = tensor([[0, 0], [0, 1]])
    found = matching_agreement(eye, eye, eye, silent)
    assert found.decoder_match.tolist() == [0, 1]
    assert found.encoder_match.tolist() == [-1, 1]
    assert torch.isnan(found.encoder_cosine_at_decoder_match).tolist() == [True, False]
    assert found.encoder_cosine_at_decoder_match[1] == 1
