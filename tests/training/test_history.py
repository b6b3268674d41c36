"""The history: means of losses, and measurements on held-out samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.metrics.dictionary import max_cosine
from toysae.metrics.reconstruction import explained_variance
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU
from toysae.training import probe
from toysae.training.history import _spaced
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.probe import SAMPLES, Probe
from toysae.training.scaling import InputScaling
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from ._stacks import KERNELS, TRAINER, members, of_member, train

SLOW = replace(TRAINER, steps=60, batch_size=512, history_points=3)


def probe_of(some):
    streams = list(dict.fromkeys(m.stream for m in some))
    scaling = InputScaling(some[0].trainer.input_scaling, streams)
    return Probe(some, scaling), StackState.start(initial_params(some, CPU))


class Largest(TorchDispatchMode):
    """Sees how many numbers the largest tensor has that an operation makes."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def two_worlds():
    """Members in worlds of four and of three features, in turn."""
    trainer = Trainer()
    four = HiddenSpace(torch.eye(4))
    three = HiddenSpace(torch.eye(4)[:3] * 5)
    worlds = [Stream(ComposedSets(), four, 0), Stream(ComposedSets(sizes=(2, 1)), three, 1)]
    return [Member(ReLU(n_latents=5), trainer, worlds[i % 2], seed=i) for i in range(5)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_last_point_is_the_trained_sae_on_samples_of_its_own(kernel):
    some = members(3, trainer=SLOW)
    trained = train(some, kernel)
    for i, member in enumerate(some):
        x = replace(member.stream, split="history").hidden(0, SAMPLES)
        sae = SAE(member.sae, of_member(trained, i))
        explained = explained_variance(x, sae.reconstruct(x)[0])
        assert float(trained.history["explained_variance"][i, -1]) == pytest.approx(
            float(explained), abs=1e-6
        )
        cosine = max_cosine(member.stream.space.directions, sae.decoder[0]).mean_a_to_b
        assert float(trained.history["cosine_to_truth"][i, -1]) == pytest.approx(cosine, abs=1e-6)


def test_does_not_depend_on_kernel_or_company():
    some = members(4, trainer=SLOW)
    fused, reference = (train(some, kernel).history for kernel in ("fused", "reference"))
    alone = train(some[2:3], "fused").history
    for name in Probe.NAMES:
        assert torch.allclose(fused[name], reference[name], atol=1e-3, equal_nan=True)
        assert torch.equal(fused[name][2].nan_to_num(9), alone[name][0].nan_to_num(9))


def test_values_of_a_dictionary_that_is_known():
    """Rows e1, e1, 0 against the features e1 and 3 e2: cosines 1 and 0; one latent of three dead.

    The encoder is silent, so that b_dec = 0 is the reconstruction, and the explained variance is
    1 - sum x^2 / sum (x - mean)^2.
    """
    space = HiddenSpace(torch.tensor([[1.0, 0], [0, 3]]))
    trainer = Trainer(dead_window=4)
    family = ReLU(n_latents=3, unit_norm_decoder=False)
    member = Member(family, trainer, Stream(ComposedSets(sizes=(1, 1)), space, 0), 0)
    measure, state = probe_of([member])
    state.params["W_enc"].zero_()
    state.params["W_dec"].copy_(torch.tensor([[[2.0, 0], [1, 0], [0, 0]]]))
    state.silent_steps.copy_(torch.tensor([[4, 5, 0]]))
    found = measure.measure(state)
    x = replace(member.stream, split="history").hidden(0, SAMPLES).double()
    expected = 1 - x.square().sum() / (x - x.mean(0)).square().sum()
    assert expected < 0
    assert float(found["explained_variance"]) == pytest.approx(float(expected), abs=1e-6)
    assert float(found["cosine_to_truth"]) == pytest.approx(0.5, abs=1e-6)
    assert float(found["dead"]) == pytest.approx(1 / 3)


def test_feature_without_direction_is_left_out_and_still_data_have_no_variance():
    space = HiddenSpace(torch.tensor([[0.0, 0], [0, 0]]))
    member = Member(ReLU(n_latents=2), Trainer(), Stream(ComposedSets(sizes=(1, 1)), space, 0), 0)
    found = Probe([member], InputScaling("none", [member.stream])).measure(
        StackState.start(initial_params([member], CPU))
    )
    assert bool(found["explained_variance"].isnan())
    assert bool(found["cosine_to_truth"].isnan())
    assert float(found["dead"]) == 0


def test_frozen_member_has_no_values():
    measure, state = probe_of(members(3))
    state.frozen_at[1] = 0
    for values in measure.measure(state).values():
        assert values.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("numbers", [1, 2**12, 2**18])
def test_blocks_and_worlds_of_different_sizes_change_nothing(numbers, monkeypatch):
    some = two_worlds()
    whole = probe_of(some)
    expected = whole[0].measure(whole[1])
    monkeypatch.setattr(probe, "BLOCK_NUMBERS", numbers)
    measure, state = probe_of(some)
    for name, values in measure.measure(state).items():
        assert torch.allclose(values, expected[name], atol=1e-6)
    for i, member in enumerate(some):
        alone, state = probe_of([member])
        for name, values in alone.measure(state).items():
            assert float(values) == pytest.approx(float(expected[name][i]), abs=1e-6)


@pytest.mark.parametrize(("n_latents", "d_hidden"), [(8, 2), (4, 8)])
def test_no_tensor_of_a_measurement_has_more_numbers_than_a_block(n_latents, d_hidden, monkeypatch):
    """Two members at a time, and 512 of their 600 features."""
    angles = torch.linspace(0, 3, 600)
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    space = HiddenSpace(torch.nn.functional.pad(features, (0, d_hidden - 2)))
    data = Stream(ComposedSets(sizes=(300, 300)), space, 0)
    some = [Member(ReLU(n_latents=n_latents), Trainer(), data, seed) for seed in range(5)]
    monkeypatch.setattr(probe, "BLOCK_NUMBERS", 2 * 512 * 8)
    measure, state = probe_of(some)
    with Largest() as made:
        measure.measure(state)
    assert made.numbers == 2 * 512 * 8


def test_state_is_left_as_it_is():
    measure, state = probe_of(members(2, trainer=TRAINER))
    state.params["W_dec"].mul_(2)
    before = {name: p.clone() for name, p in state.params.items()}
    measure.measure(state)
    assert all(torch.equal(p, before[name]) for name, p in state.params.items())


def test_measured_in_the_space_of_the_inputs():
    """Scaled inputs change nothing for an SAE without threshold: ReLU without biases."""
    some = members(2, trainer=TRAINER)
    scaled = [replace(m, trainer=replace(TRAINER, input_scaling="unit_mean_norm")) for m in some]
    (plain, state), (other, _) = probe_of(some), probe_of(scaled)
    ours, theirs = plain.measure(state), other.measure(state)
    assert torch.allclose(ours["explained_variance"], theirs["explained_variance"], atol=1e-5)


@pytest.mark.parametrize(
    ("ends", "least", "kept"),
    [
        ([10, 20, 30, 40], 20, {20, 40}),
        ([10, 20, 30, 35], 20, {20, 35}),
        ([200, 400], 20, {200, 400}),
        ([5, 10], 20, {10}),
    ],
)
def test_measurements_are_spaced_and_the_end_is_one(ends, least, kept):
    assert _spaced(ends, least) == kept


def test_spacing_grows_where_steps_are_cheap():
    def spacing(d, n_latents, batch):
        space = HiddenSpace(torch.eye(d))
        generator = ComposedSets(sizes=(d // 2, d // 2))
        member = Member(ReLU(n_latents=n_latents), Trainer(), Stream(generator, space, 0), 0)
        return probe_of([member])[0].spacing(batch)

    assert spacing(2, 8, 1024) == 200
    assert spacing(20, 100, 1024) == 20
    # (512 + 20) samples and features, at half the cost each, in steps of 64, twenty times.
    assert spacing(20, 100, 64) == 20 * 532 // 128


def test_unmeasured_points_are_nan():
    trained = train(members(2, trainer=replace(TRAINER, batch_size=1024, history_points=50)))
    explained = trained.history["explained_variance"]
    assert explained.shape == (2, 50)
    assert explained.isnan().sum(1).tolist() == [49, 49]
    assert not explained[:, -1].isnan().any()
