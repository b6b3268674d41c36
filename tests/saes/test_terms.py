from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.saes.terms import frequency_shortfall, orthogonality

# Cosines: 0.6 between the first two, 0 between first and last, -0.8 between the last two.
ROWS = [[1.0, 0.0], [0.6, 0.8], [0.0, -2.0]]


def random_rows(seed: int, members: int = 3, latents: int = 5, d: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, latents, d, generator=generator, dtype=torch.float64)


class TestOrthogonality:
    def test_by_hand(self):
        """Largest |cosines| 0.6, 0.8 and 0.8."""
        assert orthogonality(torch.tensor([ROWS])).tolist() == pytest.approx([2.2 / 3])

    def test_gradient_by_hand(self):
        """Rows of the unit circle at 0 and a: (|cos a| + |cos a|) / 2, of slope -sin a."""
        angle = torch.tensor([0.0, math.pi / 3], dtype=torch.float64, requires_grad=True)
        rows = torch.stack([angle.cos(), angle.sin()], dim=-1)[None]
        value = orthogonality(rows)
        assert value.tolist() == pytest.approx([0.5])
        (slope,) = torch.autograd.grad(value.sum(), angle)
        assert slope.tolist() == pytest.approx([math.sqrt(0.75), -math.sqrt(0.75)])

    def test_is_0_for_orthogonal_rows_and_1_for_parallel_ones(self):
        axes = torch.eye(4)
        opposite = torch.cat([axes, -3 * axes])
        assert orthogonality(axes[None]).tolist() == [0.0]
        assert orthogonality(opposite[None]).tolist() == [1.0]

    def test_of_a_single_latent_is_0(self):
        assert orthogonality(torch.ones(2, 1, 3)).tolist() == [0.0, 0.0]

    def test_zero_rows_count_as_orthogonal_and_get_no_gradient(self):
        rows = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]], requires_grad=True)
        value = orthogonality(rows)
        assert value.tolist() == pytest.approx([2 / 3])
        (gradient,) = torch.autograd.grad(value.sum(), rows)
        assert gradient.isfinite().all()
        assert not gradient[0, 0].any()

    @given(seed=st.integers(0, 2**31))
    def test_depends_on_lines_alone(self, seed):
        rows = random_rows(seed)
        value = orthogonality(rows)
        assert bool(((value >= 0) & (value <= 1)).all())
        scales = random_rows(seed + 1)[..., :1]
        torch.testing.assert_close(orthogonality(rows * scales), value)
        torch.testing.assert_close(orthogonality(rows.flip(1)), value)
        torch.testing.assert_close(orthogonality(rows[[2, 0]]), value[[2, 0]])


class TestFrequencyShortfall:
    # Ten samples; the soft counts with epsilon 0.9 are 0.5 always, 0.1 once, and never any.
    LATENTS = torch.zeros(1, 10, 3, dtype=torch.float64)
    LATENTS[..., 0] = 0.9
    LATENTS[0, 4, 1] = 0.1

    def test_by_hand(self):
        """Frequencies 0.5, 0.01 and 1e-12 against a floor of 0.1: 0 + 1 + 11."""
        assert frequency_shortfall(self.LATENTS, 0.1, 0.9).tolist() == pytest.approx([12.0])
        two = frequency_shortfall(self.LATENTS[..., :2], 0.1, 0.9)
        assert two.tolist() == pytest.approx([1.0])

    def test_gradient_by_hand(self):
        """-1 / (nu log 10) times d nu / d f = 0.9 / (f + 0.9)^2 / 10, where nu is below the floor.

        Silent latents and those that fire often enough get none.
        """
        latents = self.LATENTS.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(frequency_shortfall(latents, 0.1, 0.9).sum(), latents)
        assert not gradient[..., 0].any()
        assert not gradient[..., 2].any()
        assert float(gradient[0, 4, 1]) == pytest.approx(-0.09 / (0.01 * math.log(10)))
        assert float(gradient[0, 0, 1]) == pytest.approx(-(0.1 / 0.9) / (0.01 * math.log(10)))

    def test_is_0_where_all_fire_often_enough(self):
        assert frequency_shortfall(self.LATENTS[..., :2], 0.005, 0.9).tolist() == [0.0]

    def test_members_are_apart(self):
        both = torch.cat([self.LATENTS, torch.full_like(self.LATENTS, 0.9)])
        assert frequency_shortfall(both, 0.1, 0.9).tolist() == pytest.approx([12.0, 0.0])

    @given(seed=st.integers(0, 2**31), floor=st.floats(1e-4, 0.5))
    def test_falls_with_activations_and_rises_with_the_floor(self, seed, floor):
        latents = torch.relu(random_rows(seed, latents=8))
        value = frequency_shortfall(latents, floor, 0.1)
        assert bool((value >= 0).all())
        assert bool((frequency_shortfall(1.5 * latents, floor, 0.1) <= value + 1e-12).all())
        assert bool((frequency_shortfall(latents, 1.5 * floor, 0.1) >= value - 1e-12).all())
