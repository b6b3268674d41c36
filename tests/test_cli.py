from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from commands import ROOT, SMALL, environment, run_apart, run_here

from experiments.train import main as train

MISTAKES = {
    "unknown option of a group": (["sae=nope"], "sae=nope: unknown; known: ", "relu"),
    "unknown key": (["sae.foo=1"], "sae.foo: unknown key; known: ", "n_latents"),
    "unknown key at the root": (["foo=1"], "foo: unknown key; known: ", "trainer"),
    "added key": (["+sae.foo=1"], "sae.foo: unknown key; known: ", "n_latents"),
    "added key at the root": (["+foo=1"], "foo: unknown key; known: ", "trainer"),
    "not a probability": (
        ["generator.one_hot_fraction=1.5"],
        "generator.one_hot_fraction = 1.5: must lie in [0, 1]",
        "",
    ),
    "table that does not sum to one": (
        ["generator.table=[[0.5,0.5],[0.5,0.5]]"],
        "generator.table: entries sum to 2, must sum to 1",
        "",
    ),
    "boost that moves a marginal": (
        [
            "generator.table=[[0.25,0.25],[0.5,0]]",
            "generator.boosted_pairs=[[x1,y1]]",
            "generator.boost=0.5",
        ],
        "generator.boost = 0.5: no table with these pairs keeps the marginals",
        "",
    ),
    "too few dimensions": (["hidden.d_hidden=2"], "hidden.d_hidden = 2:", "at least 4 dimensions"),
    "list for a mapping": (
        ["generator=dense", "generator.parts.dense=[1]"],
        "generator.parts.dense: a mapping and a list cannot be merged",
        "'~generator.parts.dense'",
    ),
    "mapping of another kind": (
        ["generator=matryoshka_tree", "generator.magnitude={name: exponential, mean: 0.3}"],
        "generator.magnitude.mean: unknown key; known: name, value",
        "'~generator.magnitude' '+generator.magnitude={name: ...}'",
    ),
    "no seed": (["seeds=0"], "seeds = 0: must be at least 1", ""),
    "wrong type": (["seeds=two"], "seeds = 'two': must be of type int", ""),
    "threads": (["threads=0"], "threads = 0: must be a whole number of at least 1, or null", ""),
    "resume": (["resume=maybe"], "resume = 'maybe': must be true or false", ""),
    "device": (["device=gpu0"], "device = 'gpu0': must be auto, cpu, cuda or cuda:N", ""),
    "grammar": (["sae.l1=["], "sae.l1=[: ", ""),
    "unknown launcher": (
        ["hydra/launcher=nope"],
        "hydra/launcher=nope: unknown; known: ",
        "stacked",
    ),
    "option swept over": (
        ["hydra.mode=MULTIRUN", "sae=relu,nope"],
        "sae=nope: unknown; known: ",
        "relu",
    ),
    "key swept over": (
        ["hydra.mode=MULTIRUN", "sae.foo=1,2"],
        "sae.foo: unknown key; known: ",
        "n_latents",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_ends_in_one_line_that_helps_and_leaves_nothing(mistake, tmp_path):
    arguments, start, named = MISTAKES[mistake]
    ended = run_here(train, tmp_path, *SMALL, *arguments)
    assert ended.code == 1
    assert ended.message.startswith(start)
    assert named in ended.message
    assert list(tmp_path.iterdir()) == []


def test_message_is_all_that_a_user_sees(tmp_path):
    ended = run_apart("experiments.train", tmp_path, "trainer.lr=0")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == "trainer.lr = 0.0: must be greater than 0\n"
    assert list(tmp_path.iterdir()) == []


def test_traceback_is_shown_where_it_is_asked_for(tmp_path, monkeypatch):
    from toysae.errors import ConfigError

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match="seeds = 0"):
        run_here(train, tmp_path, *SMALL, "seeds=0")


def test_directory_with_files_is_refused_and_left_as_it_is(tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    ended = run_here(train, tmp_path, *SMALL, "hydra.run.dir=taken")
    assert ended.code == 1
    assert "holds notes.txt already; nothing is overwritten" in ended.message
    assert [path.name for path in taken.iterdir()] == ["notes.txt"]


def test_help_is_quick_because_nothing_heavy_is_imported(tmp_path):
    heavy = ("torch", "numba", "sklearn", "scipy", "matplotlib", "rich", "wandb", "transformers")
    code = (
        "import runpy, sys\n"
        "sys.argv = ['train', '--help']\n"
        "try:\n    runpy.run_module('experiments.train', run_name='__main__')\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        f"assert not set(sys.modules) & set({heavy!r}), set(sys.modules) & set({heavy!r})\n"
    )
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^sae: .*\brelu\b", ended.stdout, re.MULTILINE)
    assert time.monotonic() - started < 10  # 0.5 s on an idle machine; modules are what is checked


def test_conf_lies_beside_the_package():
    from toysae.cli import CONF

    assert ROOT / "conf" == CONF
    assert (CONF / "train.yaml").is_file()
