"""How much memory stacks need, and how they are cut."""

from __future__ import annotations

import gc
import json
import logging
import math
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from commands import ROOT, environment

from toysae.config import SAES
from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.lista import Lista
from toysae.saes.relu import ReLU
from toysae.training import memory, stack
from toysae.training.initial import initial_params
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.memory import (
    cut,
    free_bytes,
    members_at_once,
    stack_bytes,
    step_bytes,
    warn_if_too_large,
)
from toysae.training.objectives import Local
from toysae.training.saved import Saves
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from ._stacks import TRAINER, chunk_of, difference, members, of_member, stream

#: Peak of the resident memory while a stack is trained, above that before, beside the estimate.
MEASURE = """
import json, sys
from pathlib import Path
import torch
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.relu import ReLU
from toysae.training import stack
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.memory import stack_bytes
from toysae.training.trainer import Trainer

torch.set_num_threads(1)
stack.choose_kernel = lambda m, objective, threads: (
    ReferenceKernel(m.sae, m.trainer, objective), "")
n, d, latents, batch = map(int, sys.argv[1:])
space = HiddenSpace(torch.eye(d)[:4])

def members(n, d, latents, batch):
    trainer = Trainer(steps=6, batch_size=batch, history_points=2)
    return [Member(ReLU(n_latents=latents), trainer, Stream(ComposedSets(), space, 0), seed)
            for seed in range(n)]

list(stack.train(members(1, d, 2, 4), threads=1))
def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = kilobytes("VmRSS:")
given = members(n, d, latents, batch)
list(stack.train(given, threads=1))
print(json.dumps([1024 * (kilobytes("VmHWM:") - before), stack_bytes(given, 1)]))
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="no peak of resident memory to be read"
)
@pytest.mark.parametrize(
    "shape", [(64, 64, 512, 256), pytest.param((2, 64, 4096, 1024), marks=pytest.mark.slow)]
)
def test_estimate_is_within_a_factor_of_two_of_the_peak(shape):
    """A stack whose state is most of it, and one whose activations are."""
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, shape)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    measured, estimated = json.loads(ended.stdout)
    assert measured > 50e6
    assert 0.5 < estimated / measured < 2


def peak(run):
    """Most memory of tensors that is held at once while `run` runs, above that before, in bytes."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns())
    return max(accumulate(change.nbytes() for change in changes))


LARGE = {
    **{name: {} for name in SAES},
    "lista of 8 iterations": {"n_iterations": 8},
    "matryoshka of 24 levels": {"widths": tuple(range(4, 100, 4))},
    "matching_pursuit of 8 choices": {"max_iterations": 8},
    "relu with orthogonality": {"orthogonality_penalty": 0.1, "n_latents": 768},
    "relu with frequencies": {"frequency_penalty": 0.1},
}


@pytest.mark.parametrize("treatment", ["none", "ghost", "auxiliary"])
@pytest.mark.parametrize("name", LARGE)
def test_a_step_takes_at_most_twice_what_is_planned(name, treatment):
    family = SAES[name.split()[0]](**{"n_latents": 96, **LARGE[name]})
    trainer = Trainer(batch_size=128, dead_latents=treatment, dead_window=1)
    stream = Stream(ComposedSets(), HiddenSpace(torch.eye(96)[:4]), 0)
    member = Member(family, trainer, stream, 0)
    state = StackState.start(initial_params([member], CPU), family.buffers)
    state.silent_steps[:, ::2] = 5
    chunk = chunk_of(stream.hidden(0, 128)[None, None], coefficient=0.05)
    kernel = ReferenceKernel(family, trainer, Local())
    kernel.step(state, chunk, 0)
    taken = peak(lambda: kernel.step(state, chunk, 0))
    assert 0.5 < step_bytes(member) / taken < 4


def budget(monkeypatch, n_bytes):
    monkeypatch.setattr(memory, "free_bytes", lambda device: n_bytes / memory.SHARE)


class TestCut:
    def test_what_fits_is_one_stack(self, monkeypatch):
        some = members(5)
        budget(monkeypatch, stack_bytes(some, 1))
        assert cut(some, [4, 0, 2], 1) == [[4, 0, 2]]

    def test_parts_fit_and_hold_every_member_once(self, monkeypatch):
        some = members(12, n_latents=2000, streams=3)
        budget(monkeypatch, 0.6 * stack_bytes(some, 1))
        parts = cut(some, range(12), 1)
        assert len(parts) > 1
        assert sorted(i for part in parts for i in part) == list(range(12))
        fits = [stack_bytes([some[i] for i in part], 1) for part in parts]
        assert max(fits) <= 0.6 * stack_bytes(some, 1)

    def test_members_of_a_stream_stay_together(self, monkeypatch):
        some = members(12, n_latents=2000, streams=3)
        monkeypatch.setattr(memory, "stack_bytes", lambda part, threads: len(part))
        budget(monkeypatch, 4)
        assert cut(some, range(12), 1) == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]

    def test_log_says_so(self, monkeypatch, caplog):
        monkeypatch.setattr(memory, "stack_bytes", lambda part, threads: 4.1e9 / 6 * len(part))
        budget(monkeypatch, 2e9 * memory.SHARE)
        with caplog.at_level(logging.INFO, "toysae"):
            parts = cut(members(6), range(6), 1)
        assert [len(part) for part in parts] == [2, 2, 2]
        assert caplog.messages == [
            "stack of 6 cut into 3 of 2: one needs about 4.1 GB of 2 GB free"
        ]

    @pytest.mark.parametrize("n", [1, 3])
    def test_log_says_what_one_member_needs_and_what_is_free(self, n, monkeypatch, caplog):
        monkeypatch.setattr(memory, "stack_bytes", lambda part, threads: 4.1e9)
        budget(monkeypatch, 2e9 * memory.SHARE)
        cut(members(n), range(n), 1)
        assert caplog.messages[0] == (
            "one member needs about 4.1 GB of 2 GB free; trying it nevertheless"
        )

    @pytest.mark.parametrize(("needed", "warns"), [(0.6e9, False), (0.8e9, True)])
    def test_saved_stack_is_warned_of_from_the_share_on_that_stacks_are_cut_to(
        self, needed, warns, monkeypatch, caplog
    ):
        monkeypatch.setattr(memory, "stack_bytes", lambda part, threads: needed)
        monkeypatch.setattr(memory, "free_bytes", lambda device: 1e9)
        warn_if_too_large(members(3), 1)
        assert bool(caplog.messages) is warns

    def test_member_that_does_not_fit_alone_is_tried(self, monkeypatch, caplog):
        budget(monkeypatch, 1.0)
        assert cut(members(3), range(3), 1) == [[0], [2], [1]]
        assert "one member needs about" in caplog.text

    def test_one_member_is_not_said_to_be_cut(self, monkeypatch, caplog):
        budget(monkeypatch, 1.0)
        with caplog.at_level(logging.INFO, "toysae"):
            assert cut(members(3), [2], 1) == [[2]]
        (message,) = caplog.messages
        assert message.startswith("one member needs about")

    def test_stack_that_was_saved_is_not_cut_but_the_log_warns(self, monkeypatch, caplog, tmp_path):
        """Its bits are those of the whole."""
        some = members(3)
        saves = Saves(tmp_path, every=0)
        next(stack.train(some, threads=1, saves=saves))
        budget(monkeypatch, 1.0)
        (whole,) = stack.train(some, threads=1, saves=saves)
        assert whole.index == (0, 1, 2)
        assert any(message.startswith("a saved stack of 3 goes on") for message in caplog.messages)

    def test_changes_no_numbers(self, monkeypatch):
        some = members(6, streams=2)
        (whole,) = stack.train(some, threads=1)
        monkeypatch.setattr(memory, "stack_bytes", lambda part, threads: len(part))
        budget(monkeypatch, 2)
        parts = list(stack.train(some, threads=1))
        assert [part.index for part in parts] == [(0, 2), (1, 4), (3, 5)]
        for part in parts:
            for i in part.index:
                assert difference(of_member(part, i), of_member(whole, i)) < 1e-6


def test_a_stack_is_gone_before_the_next_is_planned(monkeypatch, tmp_path):
    """What it took must count as free: also where it was saved, and without a collection."""
    made: list[weakref.ref[object]] = []
    gone: list[bool] = []

    class Watched(stack._Stack):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    def planned(members, index, threads):
        gone.append(all(each() is None for each in made))
        return [list(index)]

    monkeypatch.setattr(stack, "_Stack", Watched)
    monkeypatch.setattr(stack, "cut", planned)
    sizes = [members(2, n_latents=n)[1] for n in (4, 5, 6)]
    gc.disable()
    try:
        for saves in (None, Saves(tmp_path, every=0)):
            for _ in stack.train(sizes, threads=1, saves=saves):
                pass
    finally:
        gc.enable()
    assert (len(made), gone) == (6, [True] * 6)


class TestEstimate:
    def test_state_grows_with_members_and_activations_do_not(self):
        """On the CPU a few members are in work at a time."""
        few, many, more = (stack_bytes(members(n, n_latents=4096), 1) for n in (200, 400, 600))
        assert more - many == pytest.approx(many - few, rel=0.05)
        weights = 2 * 2 * 4096 + 4096 + 2
        assert (many - few) / 200 == pytest.approx(4 * (3 * weights + 4 * 4096), rel=0.05)

    def test_threads_have_activations_each(self):
        wide = members(8, n_latents=65536)
        assert stack_bytes(wide, 4) > 3 * stack_bytes(wide, 1) - 2 * 3 * 8 * 4 * 5 * 65536

    def test_step_by_hand(self):
        """Four dimensions, six latents, 58 weights, and batches of 32 samples."""
        (plain,) = members(1, d=4, n_latents=6)
        assert step_bytes(plain) == 4 * (6 * 58 + 32 * (8 * 6 + 6 * 4))
        (orthogonal,) = members(1, d=4, n_latents=6, orthogonality_penalty=0.1)
        assert step_bytes(orthogonal) == step_bytes(plain) + 4 * 5 * 6 * 6

    def test_every_refinement_keeps_its_latents_and_what_they_leave_over(self):
        two, three = (Lista(n_latents=6, n_iterations=n).kept_per_sample(4) for n in (2, 3))
        assert three - two == 2 * (6 + 4)

    @pytest.mark.parametrize(
        ("device", "threads", "chunks", "drawings"),
        [("cpu", 1, 5, 1), ("cpu", 8, 5, 2), ("cuda", 1, 4, 2)],
    )
    def test_stack_by_hand(self, device, threads, chunks, drawings, monkeypatch):
        """Three members of two streams, 10 steps of 32 samples in a chunk, two blocks drawn.

        A GPU works on all members at once, whatever the threads, and on the data of a graph.
        """
        monkeypatch.setattr(Stream, "device", property(lambda self: torch.device(device)))
        some = members(3, d=4, n_latents=6, trainer=replace(TRAINER, history_points=5))
        state, chunk = 3 * (3 * 58 + 4 * 6), 2 * 10 * 32 * 4
        drawn, measured = 2 * BLOCK * (2 * 4 + 4), 3 * 512 * 6
        numbers = state + chunks * chunk + 2 * BLOCK * 4 + drawings * drawn + 4 * measured
        assert stack_bytes(some, threads) == 4 * numbers + 3 * step_bytes(some[0])

    def test_a_gpu_works_on_all_members_at_once(self, monkeypatch):
        some = members(8, n_latents=65536)
        on_cpu = stack_bytes(some, 1)
        monkeypatch.setattr(memory, "chunks_ahead", lambda device: 3)
        monkeypatch.setattr(Stream, "device", property(lambda self: torch.device("cuda")))
        assert stack_bytes(some, 1) - on_cpu > 6 * step_bytes(some[0])

    def test_data_are_drawn_with_as_many_features_as_the_largest_world_has(self):
        two, four = (
            Stream(ComposedSets(sizes=(n // 2, n // 2)), HiddenSpace(torch.eye(4)[:n]), 0)
            for n in (2, 4)
        )
        one = Member(ReLU(n_latents=6), TRAINER, two, 0)
        small, mixed = (
            stack_bytes([one, replace(one, stream=other)], 1)
            for other in (replace(two, seed=1), four)
        )
        assert mixed - small == 4 * 2 * BLOCK * (4 - 2)

    def test_members_at_once(self):
        def at_once(n_latents, batch):
            trainer = Trainer(batch_size=batch)
            return members_at_once(Member(ReLU(n_latents=n_latents), trainer, stream(), 0))

        # 2 MB of float32 latents.
        assert at_once(8, 1024) == 64
        assert at_once(128, 1024) == 4
        assert at_once(4096, 1024) == 1


class TestFree:
    def write(self, directory, monkeypatch, available=""):
        meminfo = directory / "meminfo"
        if available:
            meminfo.write_text(f"MemTotal: 9 kB\nMemAvailable:  {available} kB\n")
        monkeypatch.setattr(memory, "_MEMINFO", meminfo)
        monkeypatch.setattr(memory, "_CGROUP", directory)

    def test_unknown_is_no_limit(self, tmp_path, monkeypatch):
        self.write(tmp_path, monkeypatch)
        assert free_bytes(CPU) == math.inf

    def test_what_the_system_has(self, tmp_path, monkeypatch):
        self.write(tmp_path, monkeypatch, "2000")
        assert free_bytes(CPU) == 2000 * 1024

    def test_what_the_container_may_take(self, tmp_path, monkeypatch):
        self.write(tmp_path, monkeypatch, "2000")
        for name, text in (
            ("memory.max", "1000000\n"), ("memory.current", "600000\n"),
            ("memory.stat", "anon 5\ninactive_file 100000\n"),
        ):  # fmt: skip
            (tmp_path / name).write_text(text)
        assert free_bytes(CPU) == 500_000
        (tmp_path / "memory.max").write_text("max\n")
        assert free_bytes(CPU) == 2000 * 1024

    def test_container_of_the_first_version(self, tmp_path, monkeypatch):
        self.write(tmp_path, monkeypatch, "2000")
        (tmp_path / "memory").mkdir()
        for name, text in (
            ("limit_in_bytes", "1000000\n"), ("usage_in_bytes", "600000\n"),
            ("stat", "total_inactive_file 50000\n"),
        ):  # fmt: skip
            (tmp_path / "memory" / f"memory.{name}").write_text(text)
        assert free_bytes(CPU) == 450_000

    def test_of_a_gpu_is_also_what_pytorch_keeps(self, monkeypatch):
        given = {"mem_get_info": (1000, 9000), "memory_reserved": 700, "memory_allocated": 300}
        for name, value in given.items():
            monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
        assert free_bytes(torch.device("cuda")) == 1000 + 700 - 300

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_of_a_gpu_stays_after_a_tensor_is_gone(self):
        device = torch.device("cuda")
        torch.cuda.empty_cache()
        before = free_bytes(device)
        there = torch.empty(2**28, dtype=torch.uint8, device=device)
        assert before - free_bytes(device) == pytest.approx(2**28, rel=0.1)
        del there
        assert free_bytes(device) == pytest.approx(before, abs=2**24)
