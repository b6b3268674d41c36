"""Interrupted stacks go on with the same bits."""

from __future__ import annotations

import itertools
import logging
from dataclasses import fields, replace

import pytest
import torch
from hydra import compose, initialize_config_dir

from toysae.cli import CONF
from toysae.config import build_generator, build_trainer
from toysae.draws import CPU
from toysae.errors import CheckpointError
from toysae.hidden.base import HiddenSpace
from toysae.hidden.readout import Readout
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.l0_penalty import L0
from toysae.saes.lista import Lista
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.matryoshka import Matryoshka
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK
from toysae.training import chunks, stack
from toysae.training.initial import initial_params
from toysae.training.kernels.sparse import SparseKernel
from toysae.training.kernels.wide import WideKernel
from toysae.training.saved import Saves, Snapshot, StackFile, identities
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from ._stacks import GHOSTS, KERNELS, TRAINER, identical, members, of_member, stream

AUXILIARY = replace(GHOSTS, dead_latents="auxiliary")
RESAMPLING = replace(TRAINER, dead_latents="resample", dead_window=5, resample_every=10)
STEERED = replace(TRAINER, target_l0=1.0, gradient_clip=0.5)
SEEN = Readout(torch.eye(4)[:, :3].contiguous(), torch.zeros(3))
JUMP = JumpReLU(n_latents=6, initial_threshold=0.1, bandwidth=0.3)
LISTA = Lista(n_latents=6, k=1.0, anneal_fraction=0.5)

CHOICES = {
    **KERNELS,
    "sparse": lambda member, objective, threads: (
        SparseKernel(member.sae, member.trainer, threads),
        "",
    ),
    "wide": lambda member, objective, threads: (
        WideKernel(member.sae, member.trainer, threads),
        "",
    ),
}


def of(family, trainer=TRAINER, readout=None):
    """Three members of a family that differ in seed, lr, beta1 and stream."""
    given = [replace(m, sae=family) for m in members(3, d=4, trainer=trainer)]
    return [in_space(m, readout=readout) for m in given]


def relu(trainer=TRAINER, *, silent=False):
    """Three members that differ in l1 too; two latents may start silent."""
    return members(3, d=4, trainer=trainer, silent=silent)


def in_space(member, **changes):
    return replace(
        member, stream=replace(member.stream, space=replace(member.stream.space, **changes))
    )


#: Kernel and members.
CASES = {
    "fused": ("fused", relu()),
    "fused, ghosts": ("fused", relu(GHOSTS, silent=True)),
    "fused, resampling": ("fused", relu(RESAMPLING, silent=True)),
    "fused, steered": ("fused", relu(STEERED)),
    "sparse": ("sparse", relu()),
    "sparse, ghosts": ("sparse", relu(GHOSTS, silent=True)),
    "sparse, auxiliary": ("sparse", relu(AUXILIARY, silent=True)),
    "sparse, resampling": ("sparse", relu(RESAMPLING, silent=True)),
    "sparse, steered": ("sparse", relu(STEERED)),
    "sparse, topk": ("sparse", of(TopK(n_latents=6, k=2))),
    "sparse, batch topk": ("sparse", of(BatchTopK(n_latents=6, k=1.5))),
    "sparse, jumprelu": ("sparse", of(JUMP)),
    "wide": ("wide", relu()),
    "wide, resampling": ("wide", relu(RESAMPLING, silent=True)),
    "wide, steered": ("wide", relu(STEERED)),
    "wide, topk": ("wide", of(TopK(n_latents=6, k=2))),
    "wide, jumprelu": ("wide", of(JUMP)),
    "reference": ("reference", relu()),
    "reference, ghosts": ("reference", relu(GHOSTS, silent=True)),
    "reference, resampling": ("reference", relu(RESAMPLING, silent=True)),
    "reference, auxiliary": ("reference", relu(AUXILIARY, silent=True)),
    "reference, steered": ("reference", relu(STEERED)),
    "fine-tuned": ("reference", relu(replace(TRAINER, finetune_fraction=0.4))),
    "frozen": ("reference", relu(replace(TRAINER, frozen="encoder"))),
    "unit mean norm": ("reference", relu(replace(TRAINER, input_scaling="unit_mean_norm"))),
    "layer norm": ("reference", relu(replace(TRAINER, input_scaling="layer_norm"))),
    "end to end": (
        "reference",
        of(ReLU(n_latents=6), replace(TRAINER, objective="end_to_end", output_error="kl"), SEEN),
    ),
    "downstream, resampling": (
        "reference",
        of(ReLU(n_latents=6), replace(RESAMPLING, objective="end_to_end_downstream"), SEEN),
    ),
    "batch topk": ("reference", of(BatchTopK(n_latents=6, k=1.5))),
    "batch topk, resampling": ("reference", of(BatchTopK(n_latents=6, k=0.1), RESAMPLING)),
    "matryoshka": ("reference", of(Matryoshka(n_latents=6, k=1.5))),
    "lista": ("reference", of(LISTA)),
    "lista, auxiliary": ("reference", of(LISTA, AUXILIARY)),
    "jumprelu": ("reference", of(replace(JUMP, ste_to_input=True))),
    "gated": ("reference", of(Gated(n_latents=6))),
    "matching pursuit": ("reference", of(MatchingPursuit(n_latents=6))),
    "epsilon that falls": ("reference", of(L0(n_latents=6, epsilons_from=(0.0, 0.3, 0.6)))),
}


class Killed(Exception):
    """In place of a signal."""


@pytest.fixture
def saves(tmp_path):
    return Saves(tmp_path / "stacks", every=0)


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_MEMBER_STEPS", 21)


def some(case, n=3):
    kernel, given = CASES[case]
    return kernel, [replace(m, trainer=replace(m.trainer, history_points=10)) for m in given[:n]]


def trained(given, saves=None, kill_after=None):
    """All stacks; ended by an exception after so many chunks."""
    count = itertools.count(1)

    def progress(member_steps):
        if next(count) == kill_after:
            raise Killed

    return list(stack.train(given, threads=1, saves=saves, progress=progress))


def interrupted(given, saves, kill_after):
    with pytest.raises(Killed):
        trained(given, saves, kill_after)


@pytest.mark.parametrize("case", CASES)
class TestSameBits:
    @pytest.mark.parametrize("kill_after", [1, 4])
    def test_of_everything(self, case, kill_after, saves, monkeypatch):
        """Parameters, moments, silence, cooldown and control, as they are at the end."""
        kernel, given = some(case)
        monkeypatch.setattr(stack, "choose_kernel", CHOICES[kernel])
        states = []
        original = stack.freeze_if_not_finite
        monkeypatch.setattr(
            stack, "freeze_if_not_finite", lambda state: states.append(state) or original(state)
        )
        (whole,) = trained(given)
        interrupted(given, saves, kill_after)
        assert len(list(saves.directory.iterdir())) == 1
        (resumed,) = trained(given, saves)
        assert not saves.directory.exists()
        assert_same_state(*states)
        for name, values in whole.history.items():
            assert torch.equal(values.nan_to_num(9), resumed.history[name].nan_to_num(9))

    def test_of_members_in_another_company(self, case, saves, monkeypatch):
        """The stack goes on whatever else there is to train, and in whatever order."""
        kernel, given = some(case)
        monkeypatch.setattr(stack, "choose_kernel", CHOICES[kernel])
        (whole,) = trained(given)
        interrupted(given, saves, 3)
        others = members(2, d=4, n_latents=5)
        mixed = [others[0], given[2], given[0], others[1], given[1]]
        resumed = trained(mixed, saves)
        assert sorted(resumed[0].index) == [1, 2, 4]
        for new, old in ((1, 2), (2, 0), (4, 1)):
            assert identical(of_member(resumed[0], new), of_member(whole, old))


def assert_same_state(ours, theirs):
    for field in fields(ours):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(a, dict):
            assert identical(a, b), field.name
        else:
            assert a == b if isinstance(a, int) else torch.equal(a, b), field.name


def test_fewer_members_go_on_without_the_others(saves, monkeypatch):
    kernel, given = some("fused")
    monkeypatch.setattr(stack, "choose_kernel", CHOICES[kernel])
    (whole,) = trained(given)
    interrupted(given, saves, 3)
    (held,) = saves.directory.iterdir()
    (resumed,) = trained(given[1:], saves)
    assert identical(of_member(resumed, 0), of_member(whole, 1))
    # It holds a member that was not asked for.
    assert list(saves.directory.iterdir()) == [held]


def test_twins_each_go_on(saves):
    _, given = some("fused", n=1)
    (whole,) = trained([*given, *given])
    interrupted([*given, *given], saves, 2)
    (resumed,) = trained([*given, *given], saves)
    assert identical(resumed.sae.params, whole.sae.params)


def test_finished_steps_count_as_progress(saves):
    _, given = some("fused")
    interrupted(given, saves, 2)
    done = []
    list(stack.train(given, threads=1, saves=saves, progress=done.append))
    assert sum(done) == 3 * TRAINER.steps
    assert done[0] > done[1]


def test_reason_of_a_divergence_is_kept(saves, caplog):
    _, given = some("fused")
    given[1] = replace(given[1], trainer=replace(given[1].trainer, lr=1e30))
    interrupted(given, saves, 3)
    with caplog.at_level(logging.WARNING, "toysae"):
        (resumed,) = trained(given, saves)
    assert resumed.reasons == {1: "error not finite"}
    assert "member 1 diverged at step 1 (error not finite)" in caplog.text


def test_stack_is_kept_until_the_next_is_asked_for(saves):
    stacks = stack.train([*some("fused")[1], *members(1)], threads=1, saves=saves)
    next(stacks)
    (first,) = saves.directory.iterdir()
    next(stacks)
    assert first not in list(saves.directory.iterdir())
    assert next(stacks, None) is None
    assert not saves.directory.exists()


def test_nothing_is_written_before_it_is_due(tmp_path):
    saves = Saves(tmp_path / "stacks", every=1e6)
    interrupted(some("fused")[1], saves, 4)
    assert not saves.directory.exists()


def test_all_that_a_state_holds_returns(saves):
    """Also what happens to make no difference to the trainings above."""
    given = of(BatchTopK(n_latents=6, k=1.5))
    state = StackState.start(initial_params(given, CPU), given[0].sae.buffers)
    state.step = 7
    parts = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "step"}
    whole = {name: part if isinstance(part, dict) else {"": part} for name, part in parts.items()}
    numbers = itertools.count(1)
    for part in whole.values():
        for tensor in part.values():
            tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape) + next(numbers))
    history = {"error": torch.arange(6.0).view(3, 2)}
    names = identities(given)
    StackFile(saves, names).save(Snapshot(state, history, {1: "error not finite"}))
    (saved,) = saves.unfinished(names)
    found = saved.load(CPU)
    assert (found.state.step, found.reasons) == (7, {1: "error not finite"})
    assert identical(found.history, history)
    for name, part in whole.items():
        held = getattr(found.state, name)
        held = held if isinstance(held, dict) else {"": held}
        assert list(held) == list(part)
        assert identical(held, part), name


def test_other_members_are_no_match(saves):
    _, given = some("fused")
    interrupted(given, saves, 3)
    (held,) = saves.directory.iterdir()
    content = held.read_bytes()
    others = [replace(m, seed=m.seed + 100) for m in given]
    (ours,), (expected,) = trained(others, saves), trained(others)
    assert identical(ours.sae.params, expected.sae.params)
    assert held.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"no safetensors at all" * 9])
def test_damaged_file_is_refused_and_kept(saves, content):
    _, given = some("fused")
    interrupted(given, saves, 3)
    (held,) = saves.directory.iterdir()
    held.write_bytes(content)
    with pytest.raises(CheckpointError, match="delete it to start over"):
        trained(given, saves)
    assert held.read_bytes() == content


def test_file_of_another_format_is_refused(saves, monkeypatch):
    _, given = some("fused")
    monkeypatch.setattr("toysae.training.saved.FORMAT", 2)
    interrupted(given, saves, 3)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2, not 1"):
        trained(given, saves)


def test_half_written_file_is_not_seen(saves, monkeypatch):
    """A kill during the writing leaves the version before."""
    _, given = some("fused")
    (whole,) = trained(given)

    def fails_late(original=StackFile.save):
        def save(self, snapshot):
            if snapshot.state.step > 20:
                (self.path.parent / f".{self.path.name}.partial").write_bytes(b"half")
                raise Killed
            original(self, snapshot)

        return save

    with monkeypatch.context() as patch:
        patch.setattr(StackFile, "save", fails_late())
        interrupted(given, saves, 10**6)
    (resumed,) = trained(given, saves)
    assert identical(resumed.sae.params, whole.sae.params)


class TestIdentity:
    def test_of_equal_content_is_equal(self):
        ours, theirs = members(2)[1], members(2)[1]
        again = replace(theirs, stream=replace(stream(2, 1), space=copied(stream(2).space)))
        assert identities([ours]) == identities([again])

    @pytest.mark.parametrize(
        "change",
        [
            lambda m: replace(m, seed=99),
            lambda m: replace(m, sae=replace(m.sae, l1=0.5)),
            lambda m: replace(m, trainer=replace(m.trainer, lr=0.5)),
            lambda m: replace(m, stream=replace(m.stream, seed=7)),
            lambda m: replace(m, stream=replace(m.stream, split="other")),
            lambda m: replace(m, initial_decoder=torch.eye(4)[:, :2]),
            lambda m: in_space(m, noise=0.1),
            lambda m: in_space(m, bias=torch.ones(2)),
            lambda m: in_space(m, directions=m.stream.space.directions + 1e-6),
            lambda m: in_space(m, readout=Readout(torch.eye(2), torch.zeros(2))),
            lambda m: replace(
                m, stream=replace(m.stream, generator=type(m.stream.generator)(one_hot_fraction=1))
            ),
        ],
    )
    def test_of_other_content_differs(self, change):
        (member,) = members(1)
        assert identities([member]) != identities([change(member)])

    def test_every_generator_of_the_configuration_has_one(self):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            names = sorted(path.stem for path in (CONF / "generator").glob("*.yaml"))
            found = set()
            for name in names:
                config = compose("train", [f"generator={name}"])
                generator = build_generator(config.generator)
                (member,) = members(1)
                member = replace(member, stream=replace(member.stream, generator=generator))
                found.update(identities([member]))
            assert build_trainer(config.trainer) == Trainer()
        assert len(found) == len(names)


def copied(space):
    return HiddenSpace(space.directions.clone(), space.bias, space.noise, space.readout)
