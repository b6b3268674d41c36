from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU
from toysae.errors import ShapeError
from toysae.training.initial import geometric_median, initial_params
from toysae.training.member import Member, group_into_stacks

from ._stacks import FOUR, TRAINER, members, stream


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


class TestGeometricMedian:
    @pytest.mark.parametrize(
        ("points", "expected"),
        [
            ([[0.0], [1.0], [10.0]], [1.0]),  # on a line it is the median
            ([[3.0, 4.0]], [3.0, 4.0]),
            ([[1.0, 1.0]] * 5 + [[9.0, 9.0]] * 2, [1.0, 1.0]),  # a majority decides
            ([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]], [0.0, 0.0]),
            # Fermat's point of a right isosceles triangle: x = y = (3 - sqrt 3) / 6.
            ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [(3 - math.sqrt(3)) / 6] * 2),
        ],
    )
    def test_golden(self, points, expected):
        median = geometric_median(tensor(points), iterations=1000, tolerance=1e-12)
        torch.testing.assert_close(median, tensor(expected), rtol=0, atol=2e-3)

    def test_default_tolerance_is_near_the_least_mean_distance(self):
        points = stream(4).hidden(0, 500).double() + 0.3
        found = geometric_median(points)
        exact = geometric_median(points, iterations=5000, tolerance=0.0)

        def distance(p):
            return float((points - p).norm(dim=1).mean())

        assert distance(exact) <= distance(found) <= distance(exact) * (1 + 1e-4)
        assert distance(found) < distance(points.mean(0)) - 1e-4


class TestInitialParams:
    def test_is_the_start_of_each_family_by_its_seed(self):
        some = members(3)
        params = initial_params(some, CPU)
        assert {name: tuple(p.shape) for name, p in params.items()} == {
            "W_enc": (3, 2, 4), "b_enc": (3, 4), "W_dec": (3, 4, 2), "b_dec": (3, 2),
        }  # fmt: skip
        assert all(p.is_contiguous() for p in params.values())
        alone = initial_params(some[1:2], CPU)
        assert all(torch.equal(params[name][1], alone[name][0]) for name in params)
        assert not torch.equal(params["W_dec"][0], params["W_dec"][1])

    def test_seed_of_the_data_is_not_that_of_the_start(self):
        member = members(1)[0]
        other = replace(member, stream=stream(seed=99))
        first, second = initial_params([member, other], CPU)["W_dec"]
        assert torch.equal(first, second)

    def test_given_decoder_is_the_start_of_both_sides(self):
        decoder = torch.arange(8.0).reshape(4, 2)
        member = replace(members(1)[0], initial_decoder=decoder)
        params = initial_params([member], CPU)
        assert torch.equal(params["W_dec"][0], decoder)
        assert torch.equal(params["W_enc"][0], decoder.T)
        assert not params["b_enc"].any()
        params["W_dec"].add_(1)
        assert torch.equal(decoder, torch.arange(8.0).reshape(4, 2))

    @pytest.mark.parametrize("shape", [(2, 4), (4, 3), (4,)])
    def test_given_decoder_of_another_shape(self, shape):
        member = replace(members(1)[0], initial_decoder=torch.zeros(shape))
        with pytest.raises(ShapeError, match=r"^initial decoder \(.*\): must be \(4, 2\)$"):
            initial_params([member], CPU)

    def test_decoder_bias_may_start_at_the_geometric_median(self):
        trainer = replace(TRAINER, decoder_bias_start="geometric_median")
        member = replace(members(1, d=4)[0], trainer=trainer)
        bias = initial_params([member], CPU)["b_dec"][0]
        expected = geometric_median(member.stream.hidden(0, 5000))
        torch.testing.assert_close(bias, expected)
        assert float(bias.norm()) > 0.1
        assert not initial_params(members(1, d=4), CPU)["b_dec"].any()


class TestGroupIntoStacks:
    def test_member_fields_share_a_stack(self):
        """Different l1, lr, beta1, seed and stream; the order is kept."""
        assert group_into_stacks(members(5)) == [[0, 1, 2, 3, 4]]

    def test_what_shapes_the_computation_does_not(self):
        base = members(1)[0]
        others = [
            replace(base, sae=replace(base.sae, n_latents=5)),
            replace(base, sae=replace(base.sae, normalize_error=True)),
            replace(base, sae=replace(base.sae, unit_norm_decoder=False)),
            replace(base, trainer=replace(base.trainer, steps=51)),
            replace(base, trainer=replace(base.trainer, batch_size=33)),
            replace(base, trainer=replace(base.trainer, dead_latents="ghost", dead_window=5)),
            replace(base, stream=stream(4)),
        ]
        assert group_into_stacks([base, *others, base]) == [
            [0, len(others) + 1],
            *([i] for i in range(1, len(others) + 1)),
        ]

    def test_no_members(self):
        assert group_into_stacks([]) == []

    def test_space_of_the_same_width_may_differ(self):
        base = members(1, d=4)[0]
        world = replace(base.stream, space=type(FOUR)(FOUR.directions.flip(0)))
        other = Member(base.sae, base.trainer, world, seed=1)
        assert group_into_stacks([base, other]) == [[0, 1]]
