"""End-to-end objectives: values by hand, gradients, and what an SAE learns from them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.base import HiddenSpace
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.readout import Readout, ReadoutConfig, RectifiedReadout
from toysae.hidden.stream import Stream
from toysae.saes.relu import ReLU
from toysae.training import stack
from toysae.training.member import Member, group_into_stacks
from toysae.training.objectives import (
    EndToEnd,
    EndToEndDownstream,
    Local,
    Objective,
    build_objective,
)
from toysae.training.trainer import Trainer

from ._stacks import CUBE, identical, of_member, train

#: Two dimensions, outputs h1, -h2, h1 + h2 + 1; the last two are cut off at 0 where rectified.
WEIGHT = torch.tensor([[1.0, 0, 1], [0, -1, 1]], dtype=torch.float64)
BIAS = torch.tensor([0.0, 0, 1], dtype=torch.float64)
LINEAR = HiddenSpace(torch.eye(2), readout=Readout(WEIGHT, BIAS))
RECTIFIED = HiddenSpace(torch.eye(2), readout=RectifiedReadout(WEIGHT, BIAS))

X = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]], dtype=torch.float64)
MADE = torch.tensor([[[1.0, 1.0], [2.0, -1.0]]], dtype=torch.float64)


def objective(
    space: HiddenSpace, name: str, *, downstream: float = 1.0, **fields: str
) -> Objective:
    """`downstream` is for the one that has it."""
    trainer = Trainer(objective=name, **fields)
    if name == "end_to_end_downstream":
        trainer = replace(trainer, downstream=downstream)
    return build_objective(trainer, [space])


class TestByHand:
    """Linear outputs of X: (1, -2, 4), (0, -1, 2); of MADE: (1, -1, 3), (2, 1, 2)."""

    @pytest.mark.parametrize(
        ("space", "name", "fields", "expected"),
        [
            (LINEAR, "local", {}, [1, 8]),
            (LINEAR, "end_to_end", {}, [2, 8]),
            (LINEAR, "end_to_end_downstream", {"downstream": 3.0}, [2 + 3 * 2, 8 + 3 * 8]),
            # Rectified: (1, 0, 4), (0, 0, 2) and (1, 0, 3), (2, 1, 2).
            (RECTIFIED, "end_to_end", {}, [1, 5]),
            (RECTIFIED, "end_to_end_downstream", {"downstream": 0.0}, [1, 5]),
            (RECTIFIED, "end_to_end_downstream", {}, [1 + (2 + 1) / 2, 5 + (8 + 5) / 2]),
        ],
    )
    def test_squared(self, space, name, fields, expected):
        errors = objective(space, name, **fields).sample_error(X, MADE)
        assert errors.tolist() == [expected]

    @pytest.mark.parametrize("name", ["end_to_end", "end_to_end_downstream"])
    def test_kl_is_from_the_original_to_what_the_reconstruction_gives(self, name):
        """Two outputs whose softmax is (3/4, 1/4) for the truth and (1/2, 1/2) for the other."""
        space = HiddenSpace(torch.eye(2), readout=Readout(torch.eye(2), torch.zeros(2)))
        x = torch.tensor([[[math.log(3) + 5, 5.0]]], dtype=torch.float64)
        made = torch.tensor([[[1.0, 1.0]]], dtype=torch.float64)
        error = objective(space, name, output_error="kl", downstream=0.0).sample_error(x, made)
        expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        assert error.item() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("output_error", ["squared", "kl"])
    @pytest.mark.parametrize("name", ["end_to_end", "end_to_end_downstream"])
    def test_perfect_reconstruction_has_no_error(self, name, output_error):
        error = objective(RECTIFIED, name, output_error=output_error).sample_error(X, X.clone())
        assert error.tolist() == [[0, 0]]

    def test_every_member_has_its_own_readout(self):
        other = HiddenSpace(torch.eye(2), readout=Readout(2 * WEIGHT, BIAS))
        both = build_objective(Trainer(objective="end_to_end"), [LINEAR, other, LINEAR])
        errors = both.sample_error(X, MADE.expand(3, -1, -1))
        assert errors.tolist() == [[2, 8], [8, 32], [2, 8]]


@pytest.mark.parametrize("output_error", ["squared", "kl"])
@pytest.mark.parametrize("space", [LINEAR, RECTIFIED])
@pytest.mark.parametrize("name", ["end_to_end", "end_to_end_downstream"])
def test_gradient_is_numerical(name, space, output_error):
    error = objective(space, name, output_error=output_error, downstream=0.7).sample_error
    made = MADE.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda reconstruction: error(X, reconstruction), made)


class TestSeenAndBlindDirections:
    D, RANK = 5, 2

    def draw(self, name: str) -> Tensor:
        return Draws(3).normal(name, (1, 40, self.D)).double()

    def space(self, rank: int | None) -> HiddenSpace:
        readout = ReadoutConfig(outputs=7, rank=rank).readout(self.D, Draws(4)).to(torch.float64)
        return HiddenSpace(torch.eye(self.D), readout=readout)

    @pytest.mark.parametrize(("name", "times"), [("end_to_end", 1), ("end_to_end_downstream", 3)])
    def test_at_full_rank_it_is_local(self, name, times):
        error = objective(self.space(None), name, downstream=2.0)
        x, made = self.draw("x"), self.draw("made")
        local = Local().sample_error(x, made)
        torch.testing.assert_close(error.sample_error(x, made), times * local, rtol=1e-5, atol=0)

    @pytest.mark.parametrize("output_error", ["squared", "kl"])
    @pytest.mark.parametrize("name", ["end_to_end", "end_to_end_downstream"])
    def test_blind_directions_get_no_gradient(self, name, output_error):
        space = self.space(self.RANK)
        made = self.draw("made").requires_grad_()
        objective(space, name, output_error=output_error).sample_error(
            self.draw("x"), made
        ).sum().backward()
        assert space.readout is not None
        seen = torch.linalg.svd(space.readout.weight)[0][:, : self.RANK]
        blind = torch.linalg.svd(space.readout.weight)[0][:, self.RANK :]
        assert float((made.grad @ blind).abs().max()) < 1e-6
        assert float((made.grad @ seen).abs().mean()) > 0.01


class TestBuilding:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("local", Local), ("end_to_end", EndToEnd), ("end_to_end_downstream", EndToEndDownstream)],
    )
    def test_kind(self, name, expected):
        assert type(objective(LINEAR, name)) is expected

    def test_without_readout(self):
        with pytest.raises(
            ConfigError,
            match=r"^trainer.objective = 'end_to_end': the hidden space has no readout; "
            "use hidden=toy_model, or hidden.readout=",
        ):
            build_objective(Trainer(objective="end_to_end"), [LINEAR, CUBE])
        assert isinstance(build_objective(Trainer(), [CUBE]), Local)

    @pytest.mark.parametrize(
        "other", [Readout(WEIGHT[:, :2], BIAS[:2]), RectifiedReadout(WEIGHT, BIAS)]
    )
    def test_readouts_that_do_not_stack(self, other):
        spaces = [LINEAR, HiddenSpace(torch.eye(2), readout=other)]
        with pytest.raises(
            ConfigError, match=r"different kind or size \(.*\(2, 3\).*\); group them"
        ):
            build_objective(Trainer(objective="end_to_end"), spaces)

    @pytest.mark.parametrize("name", ["end_to_end", "end_to_end_downstream"])
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (
                {"input_scaling": "layer_norm"},
                "^trainer.input_scaling = 'layer_norm': must be none",
            ),
            (
                {"dead_latents": "ghost"},
                "^trainer.dead_latents = 'ghost': must be none or resample",
            ),
            ({"dead_latents": "auxiliary"}, "^trainer.dead_latents = 'auxiliary': must be none or"),
        ],
    )
    def test_options_that_do_not_go_with_it(self, name, fields, message):
        with pytest.raises(ConfigError, match=message):
            Trainer(objective=name, **fields)
        Trainer(**fields)


class TestTraining:
    """Six features in as many dimensions, of which the outputs see the first three."""

    WORLD = Independent(n_features=6, probability=Constant(0.1))
    TRAINER = Trainer(steps=800, batch_size=128, lr=1e-2)
    SHORT = replace(TRAINER, steps=20, batch_size=32, objective="end_to_end", output_error="kl")

    def member(self, seed: int, trainer: Trainer, *, seen: int = 3, l1: float = 0.1) -> Member:
        directions = Orthonormal(d_hidden=6).spaces(self.WORLD, [seed], CPU)[0].directions
        readout = Readout(directions[:seen].T.contiguous(), torch.zeros(seen))
        space = HiddenSpace(directions, readout=readout)
        return Member(ReLU(n_latents=6, l1=l1), trainer, Stream(self.WORLD, space, seed), seed)

    def found(self, objective: str) -> Tensor:
        """Largest cosine of each feature with a latent, `[seeds, features]`."""
        some = [self.member(s, replace(self.TRAINER, objective=objective)) for s in range(6)]
        decoder = train(some, "reference").sae.decoder
        features = torch.stack([member.stream.space.directions for member in some])
        return (features @ decoder.transpose(1, 2)).amax(-1)

    def test_local_finds_all_features(self):
        assert int((self.found("local") > 0.95).all(1).sum()) >= 5

    @pytest.mark.parametrize("objective", ["end_to_end", "end_to_end_downstream"])
    def test_end_to_end_ignores_what_no_output_sees(self, objective):
        found = self.found(objective)
        assert int((found[:, :3] > 0.95).all(1).sum()) >= 5
        assert float(found[:, 3:].max()) < 0.8
        assert float(found[:, 3:].mean()) < 0.5

    @pytest.mark.parametrize(
        ("objective", "times"), [("end_to_end", 1), ("end_to_end_downstream", 2)]
    )
    def test_where_all_is_seen_it_learns_what_local_learns(self, objective, times):
        """Adam does not see a common factor of error and penalty."""
        short = replace(self.TRAINER, steps=40)
        member = self.member(0, replace(short, objective=objective), seen=6, l1=0.1 * times)
        local = self.member(0, short, seen=6)
        found, expected = (of_member(train([m], "reference"), 0)["W_dec"] for m in (member, local))
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)

    def test_members_have_their_own_readouts(self):
        """A stack of two spaces, and each alone."""
        some = [self.member(seed, self.SHORT) for seed in (1, 2)]
        both = train(some)
        for i, member in enumerate(some):
            assert identical(of_member(both, i), of_member(train([member]), 0))

    def test_readouts_of_different_sizes_are_different_stacks(self):
        sizes = (3, 2, 3)
        some = [self.member(seed, self.SHORT, seen=seen) for seed, seen in enumerate(sizes)]
        stacks = list(stack.train(some, threads=1))
        assert [trained.index for trained in stacks] == [(0, 2), (1,)]
        assert identical(of_member(stacks[1], 1), of_member(train(some[1:2]), 0))

    def test_readouts_of_different_kinds_are_different_stacks(self):
        linear = self.member(0, self.SHORT)
        readout = linear.stream.space.readout
        rectified = replace(
            linear.stream.space, readout=RectifiedReadout(readout.weight, readout.bias)
        )
        cut_off = replace(linear, stream=replace(linear.stream, space=rectified))
        assert group_into_stacks([linear, cut_off, linear]) == [[0, 2], [1]]

    def test_readouts_that_no_loss_sees_make_no_stacks(self):
        local = replace(self.TRAINER, objective="local")
        assert group_into_stacks([self.member(0, local, seen=n) for n in (3, 2)]) == [[0, 1]]
