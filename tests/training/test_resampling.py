"""Resampling against what Bricken et al. (2023) write, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.base import SAE, Shapes
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.relu import ReLU
from toysae.saes.tied import Tied
from toysae.saes.trainable import TrainableFamily
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.resampling import (
    draw_by_squared_error,
    resample,
    sample_errors,
)
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from ._stacks import identical, stream

STEPS = Trainer(steps=100, dead_latents="resample", resample_every=10, dead_window=5)
DEAD = [1, 4]


def member(family: TrainableFamily | None = None, seed: int = 0, data: int = 0) -> Member:
    return Member(family or ReLU(n_latents=6), STEPS, stream(4, seed=data), seed)


def trained(members: list[Member], dead: dict[int, list[int]]) -> StackState:
    """A state in the middle of the training, in no special position but for silent latents."""
    state = StackState.start(initial_params(members, CPU), members[0].sae.buffers)
    for index, one in enumerate(members):
        for name, first in state.first_moment.items():
            draws, shape = Draws(one.seed, ("moved", name)), tuple(first.shape[1:])
            first[index].copy_(draws.normal("first", shape))
            state.second_moment[name][index].copy_(draws.uniform("second", shape))
            state.params[name][index].add_(0.1 * draws.normal("params", shape))
    for index, latents in dead.items():
        state.silent_steps[index, latents] = STEPS.dead_window + 1
    state.silent_steps[:, 0] = STEPS.dead_window  # on the edge: alive
    state.step = 20
    return state


def unscaled(stream: Stream, x: Tensor) -> Tensor:
    return x


def copied(state: StackState) -> StackState:
    params = [{k: v.clone() for k, v in p.items()} for p in
              (state.params, state.first_moment, state.second_moment)]  # fmt: skip
    return replace(
        state, params=params[0], first_moment=params[1], second_moment=params[2],
        silent_steps=state.silent_steps.clone(),
    )  # fmt: skip


class TestWhen:
    @pytest.mark.parametrize(
        ("steps", "every", "expected"),
        [
            (200_000, 25_000, {25_000, 50_000, 75_000, 100_000}),  # as published
            (100, 50, {50}),
            (100, 40, {40}),
            (10, 1, {1, 2, 3, 4, 5}),
        ],
    )
    def test_in_the_first_half(self, steps, every, expected):
        trainer = Trainer(steps=steps, dead_latents="resample", resample_every=every, dead_window=1)
        assert trainer.resampled_at == expected
        assert replace(trainer, dead_latents="ghost").resampled_at == frozenset()

    @pytest.mark.parametrize(("steps", "every"), [(8, None), (100, 1)])
    def test_one_silent_step_is_never_enough_to_be_dead(self, steps, every):
        """Half of an eighth of 8 steps, and half of 1, are less than a step."""
        fields = {"steps": steps, "resample_every": every, "dead_window": None}
        assert Trainer(dead_latents="resample", **fields).dead_after == 1

    def test_never_is_refused(self):
        with pytest.raises(
            ConfigError, match=r"^trainer.resample_every = 51: must be at most 50, half of trainer"
        ):
            Trainer(steps=100, dead_latents="resample", resample_every=51)


class TestDraw:
    def test_without_replacement_and_only_where_there_is_an_error(self):
        error = torch.tensor([1.0, 0, 2, 0, 3])
        uniform = Draws(0).uniform("u", (5,))
        assert sorted(draw_by_squared_error(error, 9, uniform).tolist()) == [0, 2, 4]
        assert len(draw_by_squared_error(error, 2, uniform)) == 2
        assert len(draw_by_squared_error(error, 0, uniform)) == 0
        assert draw_by_squared_error(torch.zeros(5), 3, uniform).tolist() == []
        assert draw_by_squared_error(error, 9, torch.zeros(5)).tolist().count(1) == 0

    def test_first_is_drawn_in_proportion_to_the_squared_error(self):
        """Errors 1, 2, 3: probabilities 1/14, 4/14, 9/14; then the second of what is left."""
        error = torch.tensor([1.0, 2.0, 3.0])
        uniform = Draws(1).uniform("u", (5_000, 3))
        pairs = torch.stack([draw_by_squared_error(error, 2, row) for row in uniform])
        first = torch.bincount(pairs[:, 0], minlength=3).double() / len(uniform)
        expected = torch.tensor([1, 4, 9]).double() / 14
        torch.testing.assert_close(first, expected, rtol=0, atol=0.03)  # 4 standard errors
        after_the_last = pairs[pairs[:, 0] == 2, 1]
        share = float((after_the_last == 1).double().mean())
        assert share == pytest.approx(4 / 5, abs=0.03)

    @given(st.lists(st.floats(0, 1e3), min_size=1, max_size=20), st.integers(0, 25))
    def test_is_a_draw_without_replacement(self, errors, n):
        error = torch.tensor(errors, dtype=torch.float64)
        found = draw_by_squared_error(error, n, Draws(2).uniform("u", (len(errors),))).tolist()
        assert len(set(found)) == len(found) == min(n, sum(e > 0 for e in errors))


class TestErrors:
    def test_are_those_of_the_sae(self):
        one = member(ReLU(n_latents=6, normalize_error=True))
        params = initial_params([one], CPU)
        x = one.stream.hidden(0, 3000)
        x[5] = 0
        params["b_dec"].fill_(0.3)  # so that a zero sample has an error
        made = SAE(one.sae, params).reconstruct(x)[0]
        expected = (made - x).square().sum(1) / x.square().sum(1)
        expected[x.square().sum(1) == 0] = 0
        found = sample_errors(one, params, x)
        torch.testing.assert_close(found, expected)
        assert float(found[5]) == 0


class TestRestart:
    def resampled(self, family: TrainableFamily | None = None) -> tuple[StackState, StackState]:
        """The state before and after."""
        some = [member(family), member(family, seed=1)]
        before = trained(some, {0: DEAD})
        after = copied(before)
        resample(after, some, unscaled)
        return before, after

    def test_rows_are_distinct_samples_of_unit_norm(self):
        _, after = self.resampled()
        x = replace(member().stream, split="resampling").hidden(20 * BLOCK, BLOCK)
        unit = torch.nn.functional.normalize(x, dim=1)
        rows = after.params["W_dec"][0, DEAD]
        nearest = torch.cdist(rows[None].double(), unit[None].double())[0].min(1)
        assert float(nearest.values.max()) < 1e-6
        assert nearest.indices[0] != nearest.indices[1]

    def test_encoder_is_a_fifth_as_long_as_that_of_live_latents(self):
        before, after = self.resampled()
        encoder, rows = after.params["W_enc"][0], after.params["W_dec"][0]
        live = [0, 2, 3, 5]
        length = 0.2 * before.params["W_enc"][0, :, live].norm(dim=0).mean()
        torch.testing.assert_close(encoder[:, DEAD], length * rows[DEAD].T)
        assert after.params["b_enc"][0, DEAD].tolist() == [0, 0]

    def test_what_was_changed_starts_without_moments(self):
        _, after = self.resampled()
        for moments in (after.first_moment, after.second_moment):
            assert not moments["W_dec"][0, DEAD].any()
            assert not moments["W_enc"][0][:, DEAD].any()
            assert not moments["b_enc"][0, DEAD].any()
        assert after.silent_steps[0].tolist() == [STEPS.dead_window, 0, 0, 0, 0, 0]

    @pytest.mark.parametrize("family", [ReLU(n_latents=6), Gated(n_latents=6), Tied(n_latents=6)])
    def test_everything_else_stays(self, family):
        before, after = self.resampled(family)
        live = [0, 2, 3, 5]
        for kind in ("params", "first_moment", "second_moment"):
            old, new = getattr(before, kind), getattr(after, kind)
            assert identical(
                {k: v[1] for k, v in old.items()}, {k: v[1] for k, v in new.items()}
            )  # a member without dead latents
            assert torch.equal(old["b_dec"], new["b_dec"])
            for name in old.keys() - {"b_dec"}:
                axis = 1 if name == "W_enc" else 0
                kept = torch.tensor(live)
                assert torch.equal(
                    old[name][0].index_select(axis, kept), new[name][0].index_select(axis, kept)
                )
                assert not torch.equal(old[name], new[name])
        assert after.step == before.step

    def test_free_decoder_starts_with_the_norm_of_the_family(self):
        family = ReLU(n_latents=6, unit_norm_decoder=False, initial_decoder_norm=0.1)
        _, after = self.resampled(family)
        norms = after.params["W_dec"][0, DEAD].norm(dim=1)
        torch.testing.assert_close(norms, torch.full((2,), 0.1))

    @pytest.mark.parametrize(
        ("family", "expected"),
        [
            (Gated(n_latents=6), {"b_gate": 0.0, "b_mag": 0.0, "r_mag": 0.0}),
            (JumpReLU(n_latents=6, initial_threshold=0.25), {"b_enc": 0.0, "threshold": 0.25}),
        ],
    )
    def test_biases_and_thresholds_start_anew(self, family, expected):
        _, after = self.resampled(family)
        for name, value in expected.items():
            assert after.params[name][0, DEAD].tolist() == [value, value]
            assert not after.first_moment[name][0, DEAD].any()

    def test_tied_weights_are_rows_alone(self):
        _, after = self.resampled(Tied(n_latents=6))
        norms = after.params["W_dec"][0, DEAD].norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(2))

    def test_all_dead(self):
        """The mean norm of encoder columns is then that of all of them."""
        some = [member()]
        state = trained(some, {0: [1, 2, 3, 4, 5]})
        state.silent_steps[0, 0] = STEPS.dead_window + 1
        length = 0.2 * state.params["W_enc"][0].norm(dim=0).mean()
        resample(state, some, unscaled)
        norms = state.params["W_enc"][0].norm(dim=0)
        torch.testing.assert_close(norms, length.expand(6))

    def test_diverged_members_are_left_alone(self):
        some = [member()]
        state = trained(some, {0: DEAD})
        state.frozen_at[0] = 3
        before = copied(state)
        resample(state, some, unscaled)
        assert identical(before.params, state.params)


class TestKeys:
    """What is drawn depends on the member and on the step alone."""

    def rows(self, members: list[Member], index: int, *, step: int = 20) -> Tensor:
        state = trained(members, dict.fromkeys(range(len(members)), DEAD))
        state.step = step
        resample(state, members, unscaled)
        return state.params["W_dec"][index]

    def test_company_and_order_do_not_matter(self):
        one, other, third = member(seed=5), member(seed=6), member(seed=7, data=1)
        alone = self.rows([one], 0)
        assert torch.equal(self.rows([other, one, third], 1), alone)
        assert torch.equal(self.rows([third, other, one], 2), alone)

    def test_seed_stream_and_step_do(self):
        one = member(seed=5)
        base = self.rows([one], 0)[DEAD]
        same = self.rows([one], 0)[DEAD]
        assert torch.equal(base, same)
        for changed in (
            self.rows([one], 0, step=30)[DEAD],
            self.rows([replace(one, seed=6)], 0)[DEAD],
            self.rows([replace(one, stream=stream(4, seed=1))], 0)[DEAD],
        ):
            assert not torch.isclose(base, changed).all(1).any()

    def test_scaling_is_what_saes_read(self):
        """Samples of the split for resampling go through the scaling of the member's stream."""
        one = member()
        asked = []

        def doubled(stream: Stream, x: Tensor) -> Tensor:
            asked.append((stream, len(x)))
            return 2 * x

        state = trained([one], {0: DEAD})
        resample(state, [one], doubled)
        assert asked == [(one.stream, BLOCK)]


def test_parameters_that_are_not_one_a_latent_are_refused():
    class Deep(ReLU):
        name = "deep"

        def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
            shapes = dict(super().param_shapes(d_hidden, n_latents))
            return {**shapes, "W_between": (n_latents, n_latents)}

    with pytest.raises(
        ConfigError,
        match=r"^trainer.dead_latents = 'resample': W_between of deep is not one number",
    ):
        member(Deep(n_latents=6))
    Member(Deep(n_latents=6), Trainer(), stream(4), seed=0)
