"""The controller of the coefficient: its step, and whether it gets where it should."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.errors import ConfigError
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.relu import ReLU
from toysae.training.control import LARGEST_CONTROL, next_control
from toysae.training.member import Member
from toysae.training.trainer import Trainer

from ._stacks import identical, of_member, stream, train


def step(control: float, l0: float, target: float, rate: float = 0.01) -> float:
    numbers = [torch.tensor([value], dtype=torch.float64) for value in (control, l0, target)]
    return float(next_control(*numbers, rate))


class TestStep:
    @pytest.mark.parametrize(
        ("control", "l0", "target", "expected"),
        [
            (0.0, 2.0, 2.0, 0.0),
            (0.5, 3.0, 2.0, 0.505),
            (0.5, 1.0, 2.0, 0.495),
            (0.0, 0.0, 2.0, -0.01),
            (0.0, 4.0, 2.0, 0.01),
            (0.0, 100.0, 2.0, 0.01),  # no faster than its rate
            (0.3, 5.0, math.nan, 0.3),
            (0.3, math.nan, 2.0, 0.3),
            (math.log(1e6), 4.0, 2.0, math.log(1e6)),
            (-math.log(1e6), 0.0, 2.0, -math.log(1e6)),
        ],
    )
    def test_by_hand(self, control, l0, target, expected):
        assert step(control, l0, target) == pytest.approx(expected, abs=1e-15)

    @given(st.floats(-13, 13), st.floats(0, 1e4), st.floats(1e-2, 1e3), st.floats(1e-4, 1))
    def test_goes_the_right_way_within_its_limits(self, control, l0, target, rate):
        after = step(control, l0, target, rate)
        assert abs(after - control) <= rate * (1 + 1e-9)
        assert abs(after) <= LARGEST_CONTROL
        if l0 > target:
            assert after >= control
        if l0 < target:
            assert after <= control

    @given(st.floats(-13, 13), st.floats(1e-2, 1e3), st.floats(0, 1e3), st.floats(0, 1e3))
    def test_more_firing_latents_never_lower_it(self, control, target, one, other):
        less, more = sorted((one, other))
        assert step(control, less, target) <= step(control, more, target)

    def test_members_are_steered_apart(self):
        control = torch.zeros(3, dtype=torch.float64)
        target = torch.tensor([1.0, math.nan, 4.0], dtype=torch.float64)
        after = next_control(control, torch.tensor([2.0, 2.0, 2.0]), target, 0.1)
        assert after.tolist() == pytest.approx([0.1, 0.0, -0.05])


class TestCompatibility:
    @pytest.mark.parametrize(
        ("family", "target", "message"),
        [
            (
                ReLU(l1=0.0),
                2.0,
                "relu has no penalty that could be steered, or its coefficient is 0",
            ),
            (ReLU(n_latents=4), 4.5, "must be at most sae.n_latents = 4$"),
        ],
    )
    def test_what_cannot_be_steered(self, family, target, message):
        with pytest.raises(ConfigError, match=rf"^trainer.target_l0 = {target}: .*{message}"):
            Member(family, Trainer(target_l0=target), stream(), seed=0)

    def test_all_latents_can_be_asked_to_fire(self):
        Member(ReLU(n_latents=4, l1=0.02), Trainer(target_l0=4.0), stream(), seed=0)


class TestTraining:
    """Twelve features in eight dimensions, three of which fire on average."""

    WORLD = Independent(n_features=12, probability=Constant(0.25))
    SPACE = HiddenSpace(
        torch.nn.functional.normalize(torch.randn(12, 8, generator=torch.manual_seed(0)), dim=1)
    )
    TRAINER = Trainer(steps=2000, batch_size=128, lr=3e-3)

    def member(self, l1: float, target: float | None, seed: int = 0) -> Member:
        trainer = replace(self.TRAINER, target_l0=target)
        return Member(
            ReLU(n_latents=12, l1=l1), trainer, Stream(self.WORLD, self.SPACE, seed=0), seed
        )

    def l0(self, members: list[Member]) -> Tensor:
        """On fresh samples, `[M]`."""
        sae = train(members, "reference").sae
        fresh = replace(members[0].stream, split="evaluation").hidden(0, 8192)
        return (sae.encode(fresh) > 1e-6).double().sum(-1).mean(-1)

    def test_targets_are_reached_from_any_coefficient(self):
        """Six members of one stack: three starts over two orders of magnitude, two targets."""
        targets = [2.0, 4.0] * 3
        some = [
            self.member(l1, target)
            for l1, target in zip((0.01,) * 2 + (0.1,) * 2 + (1.0,) * 2, targets)
        ]
        found = self.l0(some)
        torch.testing.assert_close(found, torch.tensor(targets).double(), rtol=0.05, atol=0)

    def test_without_control_it_is_the_coefficient_that_decides(self):
        found = self.l0([self.member(l1, None) for l1 in (0.01, 1.0)])
        assert float(found[0]) > 4 * 1.5
        assert float(found[1]) < 2 / 1.5

    def test_member_that_is_steered_leaves_the_others_alone(self):
        trainer = replace(self.TRAINER, steps=30)
        some = [
            replace(self.member(0.1, target), trainer=replace(trainer, target_l0=target))
            for target in (None, 2.0)
        ]
        both = train(some, "reference")
        alone = train(some[:1], "reference")
        assert identical(of_member(both, 0), of_member(alone, 0))
        assert not identical(of_member(both, 0), of_member(both, 1))
