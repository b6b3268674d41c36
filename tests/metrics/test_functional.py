from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import DataError, ShapeError
from toysae.metrics.dictionary import cosine_matrix, max_cosine, within_dictionary
from toysae.metrics.functional import functional_agreement, in_metric

from .draw import SEEDS, normal, rotation, tensor


def test_golden_covariance() -> None:
    a, b, covariance = tensor([[1, 0]]), tensor([[0.6, 0.8]]), torch.diag(tensor([1, 0.01]))
    assert cosine_matrix(a, b).item() == pytest.approx(0.6)
    # .6 / sqrt(1 (.36 + .01 .64))
    weighted = cosine_matrix(in_metric(a, covariance), in_metric(b, covariance)).item()
    assert weighted == pytest.approx(0.991228, abs=1e-6)


def test_golden_readout() -> None:
    a, b, readout = tensor([[0.8, 0.6]]), tensor([[0.8, -0.6]]), torch.diag(tensor([1, 0]))
    assert cosine_matrix(a, b).item() == pytest.approx(0.28)
    assert cosine_matrix(in_metric(a, readout), in_metric(b, readout)).item() == pytest.approx(1)


@given(SEEDS)
def test_by_covariance_it_is_the_correlation_of_pre_activations(seed: int) -> None:
    x, encoder = normal(seed, 30, 4) @ normal(seed + 1, 4, 4), normal(seed + 2, 5, 4)
    rows = in_metric(encoder, torch.cov(x.T))
    expected = np.corrcoef((x @ encoder.T).numpy(), rowvar=False)
    assert torch.allclose(cosine_matrix(rows, rows), torch.from_numpy(expected))


@given(SEEDS, st.integers(1, 6))
def test_by_a_linear_readout_it_is_the_cosine_of_effects(seed: int, n_outputs: int) -> None:
    readout, a, b = normal(seed, 4, n_outputs), normal(seed + 1, 3, 4), normal(seed + 2, 5, 4)
    metric = readout @ readout.T
    found = cosine_matrix(in_metric(a, metric), in_metric(b, metric))
    assert torch.allclose(found, cosine_matrix(a @ readout, b @ readout), atol=1e-7)
    scaled = cosine_matrix(in_metric(a, 7 * metric), in_metric(2 * b, 7 * metric))
    assert torch.allclose(scaled, found, atol=1e-9)


@given(SEEDS)
def test_inner_products_are_those_of_the_metric(seed: int) -> None:
    root, a = normal(seed, 4, 4), normal(seed + 1, 3, 4)
    metric = root @ root.T
    rows = in_metric(a, metric)
    assert torch.allclose(rows @ rows.T, a @ metric @ a.T)
    assert torch.allclose(in_metric(a, torch.eye(4)), a)


@given(SEEDS, st.sampled_from([torch.float64, torch.float32]))
def test_what_the_metric_does_not_see_is_zero(seed: int, dtype: torch.dtype) -> None:
    basis = rotation(seed, 5)
    metric = ((basis[:3].T * tensor([1e-2, 1, 30])) @ basis[:3]).to(dtype)
    blind, seen = normal(seed + 1, 2, 2) @ basis[3:], basis[:3] + basis[3:4]
    rows = in_metric(torch.cat([blind, seen]), (metric + metric.T) / 2)
    assert rows.shape == (5, 5)
    assert not rows[:2].any()
    assert rows[2:].any(dim=1).all()
    within = within_dictionary(rows)
    assert within.n_zero == 2
    assert torch.isnan(within.max_cosine[:2]).all()
    # The rows that are seen are orthogonal in the metric though they share a component.
    atol = 1e-9 if dtype is torch.float64 else 1e-2
    assert torch.allclose(within.max_cosine[2:], torch.zeros(3).double(), atol=atol)


def test_what_a_metric_sees_less_of_than_rounding_is_zero() -> None:
    """A root is exact to the root of rounding, here `sqrt(64 * 2.2e-16) = 1.2e-7`."""
    seen, blind = tensor([0.6, 0.8]), tensor([0.8, -0.6])
    rows = in_metric(
        torch.stack([blind + 1e-8 * seen, blind + 1e-6 * seen]), torch.outer(seen, seen)
    )
    assert not rows[0].any()
    assert rows[1].norm().item() == pytest.approx(1e-6)


def test_a_metric_that_sees_nothing() -> None:
    assert not in_metric(torch.ones(2, 3), torch.zeros(3, 3)).any()
    assert in_metric(torch.ones(0, 3), torch.eye(3)).shape == (0, 3)


def test_each_agreement_uses_its_own_rows_and_metric() -> None:
    decoder_a, decoder_b = tensor([[0.8, 0.6], [0, 1]]), tensor([[0.8, -0.6], [0.6, 0.8]])
    encoder_a, encoder_b = torch.eye(2), tensor([[0.6, 0.8], [0, 1]])
    alive = torch.tensor([True, False])
    found = functional_agreement(
        decoder_a,
        decoder_b,
        encoder_a,
        encoder_b,
        covariance=torch.diag(tensor([1, 0.01])),
        readout=torch.diag(tensor([1, 0])),
        alive_b=alive,
    )
    # Only the first latent of b is left.
    assert found.decoder.a_to_b.tolist() == pytest.approx([0.28, -0.6])
    assert found.encoder.a_to_b.tolist() == pytest.approx([0.6, 0.8])
    assert found.decoder_by_readout.a_to_b[0].item() == pytest.approx(1)
    assert math.isnan(found.decoder_by_readout.a_to_b[1])
    assert found.decoder_by_readout.n_zero_a == 1
    length = math.sqrt(0.6**2 + 0.01 * 0.8**2)
    by_covariance = found.encoder_by_covariance.a_to_b.tolist()
    assert by_covariance == pytest.approx([0.6 / length, 0.1 * 0.8 / length])
    assert math.isnan(found.encoder_by_covariance.b_to_a[1])
    both = functional_agreement(
        decoder_a,
        decoder_b,
        encoder_a,
        encoder_b,
        covariance=torch.eye(2),
        readout=torch.eye(2),
        alive_a=alive,
    )
    assert both.decoder_by_readout.b_to_a.tolist() == pytest.approx([0.28, 0.96])
    assert both.encoder_by_covariance.b_to_a.tolist() == pytest.approx([0.6, 0])
    assert torch.isnan(both.encoder.a_to_b).tolist() == [False, True]


@given(SEEDS)
def test_rescaling_latents_changes_nothing(seed: int) -> None:
    a, b, root = normal(seed, 4, 3), normal(seed + 1, 5, 3), normal(seed + 2, 3, 3)
    scale = torch.linspace(0.1, 8, 4, dtype=torch.float64)[:, None]
    plain, scaled = (
        max_cosine(in_metric(rows, root @ root.T), in_metric(b, root @ root.T))
        for rows in (a, scale * a)
    )
    assert torch.allclose(plain.a_to_b, scaled.a_to_b)


def test_wrong_metrics_are_refused() -> None:
    rows = torch.ones(2, 3)
    with pytest.raises(ShapeError, match=r"metric of shape \(2, 2\): rows need \[3, 3\]"):
        in_metric(rows, torch.eye(2))
    skewed = torch.eye(3)
    skewed[0, 1] = 1e-3
    with pytest.raises(DataError, match=r"differs from its transpose by 0\.001"):
        in_metric(rows, skewed)
    with pytest.raises(DataError, match=r"negative eigenvalue -0\.5"):
        in_metric(rows, torch.diag(tensor([1, 1, -0.5])))
    with pytest.raises(DataError, match="metric: 1 of 9"):
        in_metric(rows, torch.diag(tensor([1, 1, math.nan])))
    with pytest.raises(ShapeError, match="two axes"):
        in_metric(rows[0], torch.eye(3))
