from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from commands import SMALL, environment, files, read_json, run_here

from experiments.train import main as train
from toysae.results.files import read_csv
from toysae.runs import training

SWEPT = ("sae.l1=0.05,-1,0.2", "sae.n_latents=4,8", "trainer.lr=1e-3,1e30")

#: Of the jobs of SWEPT, those with l1 >= 0 and a sane learning rate.
GOOD = {0, 2, 8, 10}


def sweep(directory, name, *arguments, launcher="stacked"):
    return run_here(
        train, directory, "-m", *SMALL, f"hydra/launcher={launcher}", f"hydra.sweep.dir={name}",
        *arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same sweep by both launchers."""
    directory = tmp_path_factory.mktemp("launchers")
    codes = {name: sweep(directory, name, *SWEPT, launcher=name).code for name in LAUNCHERS}
    assert codes == {"basic": 1, "stacked": 1}
    return directory


LAUNCHERS = ("basic", "stacked")


def test_files_are_those_of_the_basic_launcher(both):
    basic, stacked = (files(both / name) for name in LAUNCHERS)
    assert basic.keys() == stacked.keys()
    # What holds times, or the launcher's name.
    volatile = ("run.log", "done.json", "multirun.yaml")
    same = [name for name in basic if not name.endswith(volatile)]
    assert [name for name in same if basic[name] != stacked[name]] == []
    assert sum(name.endswith("metrics.json") for name in same) == len(GOOD)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_failed_runs_fail_alone(both, launcher):
    table = read_csv(both / launcher / "results.csv")
    assert [row["run"] for row in table] == [str(number) for number in range(12)]
    completed = {int(row["run"]) for row in table if row["status"] == "completed"}
    assert completed == GOOD
    assert table[4]["failure"] == "sae.l1 = -1.0: must be at least 0"
    assert table[1]["failure"].startswith("2 of 2 seeds diverged (seed 0 at step 1: error")


def test_runs_of_one_stack_share_its_time_and_log_it(both):
    assert "stack of 8: relu, d=4, 4 latents" in (both / "stacked" / "0" / "run.log").read_text()
    assert "stack of 2: relu, d=4, 4 latents" in (both / "basic" / "0" / "run.log").read_text()


def test_resume_skips_what_is_finished_and_retries_what_failed(both):
    directory = both / "stacked"

    def written(name):
        return {n: (directory / str(n) / name).stat().st_mtime_ns for n in range(12)}

    before = written("config.yaml")
    assert sweep(both, "stacked", *SWEPT, "resume=true").code == 1
    after = written("config.yaml")
    assert {n for n in range(12) if before[n] == after[n]} == GOOD


def test_finished_sweep_is_refused_without_resume(both):
    before = files(both / "stacked" / "0")
    ended = sweep(both, "stacked", "sae.l1=0.05")
    assert ended.code == 1
    assert "0: holds checkpoints, config.yaml, done.json ... already" in ended.message
    assert files(both / "stacked" / "0") == before


def test_changed_configuration_is_not_mistaken_for_a_finished_one(both):
    before = files(both / "stacked" / "0")
    ended = sweep(both, "stacked", "sae.l1=0.07", "sae.n_latents=4", "resume=true")
    assert ended.code == 1
    assert "0: holds a run with another sae.l1; resume with the same configuration" in ended.message
    assert files(both / "stacked" / "0") == before


def test_killed_sweep_is_resumed_without_loss(tmp_path):
    arguments = ("-m", *SMALL, "trainer.steps=30,60000", "hydra/launcher=stacked",
                 "hydra.sweep.dir=sweep")  # fmt: skip
    first, second = (tmp_path / "sweep" / job / "done.json" for job in "01")
    with subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *arguments],
        cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not first.is_file():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not second.is_file()
    finished = first.stat().st_mtime_ns
    assert run_here(train, tmp_path, *arguments, "resume=true").code == 0
    assert first.stat().st_mtime_ns == finished
    assert read_json(second)["status"] == "completed"


def test_interrupt_keeps_what_is_finished(tmp_path, monkeypatch):
    real = training.train

    def interrupted(*arguments, **options):
        yield next(real(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    ended = sweep(tmp_path, "sweep", "sae.n_latents=4,8")
    assert ended.code == 130
    assert [row["status"] for row in read_csv(tmp_path / "sweep" / "results.csv")] == ["completed"]
    monkeypatch.undo()
    assert sweep(tmp_path, "sweep", "sae.n_latents=4,8", "resume=true").code == 0
    assert len(read_csv(tmp_path / "sweep" / "results.csv")) == 2


def test_sweep_without_directory_of_its_own_goes_to_outputs(tmp_path):
    ended = run_here(train, tmp_path, "-m", *SMALL, "hydra/launcher=stacked", "sae.l1=0.1,0.2")
    assert ended.code == 0
    (directory,) = (tmp_path / "outputs" / "train").iterdir()
    assert {path.name for path in directory.iterdir()} == {"0", "1", "multirun.yaml", "results.csv"}


def test_task_that_is_no_stack_of_jobs_is_refused(tmp_path):
    from toysae.cli import experiment

    @experiment("train")
    def whole(config):
        raise AssertionError("not to be run")

    ended = run_here(whole, tmp_path, "-m", *SMALL, "hydra/launcher=stacked", "sae.l1=0.1,0.2")
    assert ended.code == 1
    assert "use hydra/launcher=basic" in ended.message
    assert list(tmp_path.iterdir()) == []
