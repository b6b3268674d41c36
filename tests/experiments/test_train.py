from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import SMALL, environment, files, read_json, run_apart, run_here

from experiments.train import main as train
from toysae.checkpoints.saelens import load
from toysae.config import build_generator, build_hidden
from toysae.hidden.stream import Stream
from toysae.metrics.uncertainty import seed_interval
from toysae.results.measurements import EvaluationWorld, measure_member
from toysae.results.run import RunDirectory
from toysae.results.structure_measurements import measure_structure
from toysae.saes.nulls import random_decoder
from toysae.saes.relu import ReLU
from toysae.training.initial import untrained
from toysae.training.member import Member
from toysae.training.trainer import Trainer


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of one run with seeds 3 and 4, made by the command."""
    directory = tmp_path_factory.mktemp("train")
    ended = run_apart("experiments.train", directory, *SMALL, "first_seed=3", "sae.l1=0.05")
    assert ended.returncode == 0, ended.stderr
    assert "95 % interval" in ended.stdout
    assert "cosine_feature_to_latent" in ended.stdout
    (path,) = (directory / "outputs" / "train").iterdir()
    assert f"results: outputs/train/{path.name}" in ended.stderr
    return path


def test_everything_is_in_the_run_directory(run):
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} == {
        "config.yaml", "provenance.json", "metrics.json", "features.csv", "latents.csv",
        "nulls.csv", "nulls_structure.csv", "history.csv", "run.log", "done.json",
        *(
            f"checkpoints/seed_{seed}/{name}"
            for seed in (3, 4)
            for name in ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors")
        ),
    }  # fmt: skip


def test_done_is_the_last_file(run):
    done = (run / "done.json").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns <= done for path in run.iterdir())
    facts = read_json(run / "done.json")
    assert facts["status"] == "completed"
    assert facts["config_hash"] == read_json(run / "provenance.json")["config_hash"]


def test_log_says_what_was_trained(run):
    assert (
        "stack of 2: relu, d=4, 8 latents, 30 steps of 32 on cpu" in (run / "run.log").read_text()
    )


def test_metrics_are_those_of_the_checkpoints_on_the_stated_world(run):
    generator = build_generator({"name": "composed_sets"})
    spaces = build_hidden({"name": "orthonormal"}).spaces(generator, [3, 4], torch.device("cpu"))
    summaries = []
    for seed, space in zip((3, 4), spaces):
        world = EvaluationWorld.sample(Stream(generator, space, seed, "evaluation"), 100)
        sae = load(run / "checkpoints" / f"seed_{seed}").sae
        summaries.append(measure_member(sae, world).summary)
    metrics = read_json(run / "metrics.json")
    for name in ("l0", "explained_variance", "cosine_feature_to_latent"):
        expected = seed_interval([summary[name] for summary in summaries])
        for part in ("mean", "low", "high"):
            assert metrics[name][part] == pytest.approx(getattr(expected, part), rel=1e-5)
        assert (metrics[name]["seeds"], metrics[name]["undefined"]) == (2, 0)


def test_agreement_stands_beside_its_chance_level(run):
    metrics = read_json(run / "metrics.json")
    assert not [name for name in metrics if name.endswith("_chance")]
    assert 0 < metrics["cosine_feature_to_latent"]["chance"] < 1
    # The nearest of 4 random directions to a fixed one in 4 dimensions.
    drawn = torch.randn(200_000, 4, 4, generator=torch.Generator().manual_seed(0))
    nearest = (drawn / drawn.norm(dim=-1, keepdim=True))[..., 0].amax(-1).mean()
    chance = metrics["cosine_latent_to_feature"]["chance"]
    assert chance == pytest.approx(float(nearest), abs=0.005)


def test_tables_hold_every_feature_and_latent_of_every_seed(run):
    features, latents = rows(run / "features.csv"), rows(run / "latents.csv")
    assert [(row["seed"], row["feature"]) for row in features] == [
        (seed, name) for seed in "34" for name in ("x1", "x2", "y1", "y2")
    ]
    assert [(row["seed"], row["latent"]) for row in latents] == [
        (seed, str(latent)) for seed in "34" for latent in range(8)
    ]
    frequency = {(row["seed"], row["latent"]): float(row["density"]) for row in latents}
    stored = load(run / "checkpoints" / "seed_4").log_sparsity
    assert stored is not None
    for latent in range(8):
        expected = math.log10(frequency["4", str(latent)] + 1e-10)
        assert float(stored[latent]) == pytest.approx(expected, abs=1e-5)


def test_null_saes_have_the_second_table_too(run):
    structure = {row["sae"]: row for row in rows(run / "nulls_structure.csv")}
    assert list(structure) == [row["sae"] for row in rows(run / "nulls.csv")]
    assert float(structure["oracle"]["jaccard_feature_to_latent"]) == pytest.approx(1)
    assert float(structure["oracle"]["sign_errors_of_decoder"]) == 0


def test_null_saes_are_measured_alike(run):
    nulls = {row["sae"]: row for row in rows(run / "nulls.csv")}
    assert {row["seed"] for row in nulls.values()} == {"3"}
    assert list(nulls) == [
        "trained", "oracle", "pca", "identity", "random_decoder", "rotated_decoder",
        "permuted_decoder", "initial_weights",
    ]  # fmt: skip
    for name in ("cosine_feature_to_latent", "feature_f1", "explained_variance"):
        assert float(nulls["oracle"][name]) == pytest.approx(1)
    # The encoder stays, so does when latents fire; the decoder in another order does not fit.
    for name in ("feature_f1", "l0", "cosine_feature_to_latent"):
        assert float(nulls["permuted_decoder"][name]) == pytest.approx(
            float(nulls["trained"][name])
        )
    assert float(nulls["permuted_decoder"]["explained_variance"]) < float(
        nulls["trained"]["explained_variance"]
    )
    features = [row for row in rows(run / "features.csv") if row["seed"] == "3"]
    cosines = [float(row["cosine"]) for row in features]
    mean = sum(cosines) / len(cosines)
    assert float(nulls["trained"]["cosine_feature_to_latent"]) == pytest.approx(mean)


def test_nulls_of_every_seed_are_its_own(tmp_path):
    ended = run_here(train, tmp_path, *SMALL, "first_seed=3", "measure.null_seeds=2")
    assert ended.code == 0, ended.message
    (path,) = (done.parent for done in tmp_path.rglob("done.json"))
    generator = build_generator({"name": "composed_sets"})
    spaces = build_hidden({"name": "orthonormal"}).spaces(generator, [3, 4], torch.device("cpu"))
    found = {(row["seed"], row["sae"]): row for row in rows(path / "nulls.csv")}
    structure = {(row["seed"], row["sae"]): row for row in rows(path / "nulls_structure.csv")}
    for seed, space in zip((3, 4), spaces):
        stream = Stream(generator, space, seed)
        world = EvaluationWorld.sample(replace(stream, split="evaluation"), 100)
        sae = load(path / "checkpoints" / f"seed_{seed}").sae
        expected = {
            "random_decoder": random_decoder(sae, seed),
            "initial_weights": untrained([Member(ReLU(n_latents=8), Trainer(), stream, seed)]),
        }
        for name, null in expected.items():
            cosine = measure_member(null, world).summary["cosine_feature_to_latent"]
            row = found[str(seed), name]
            assert float(row["cosine_feature_to_latent"]) == pytest.approx(cosine, rel=1e-5)
        r2 = measure_structure(sae, world, seed)["readout_r2"]
        assert float(structure[str(seed), "trained"]["readout_r2"]) == pytest.approx(r2, rel=1e-4)


def test_history_holds_the_loss_of_every_seed_over_the_steps(run):
    history = rows(run / "history.csv")
    assert [(row["seed"], int(row["step"])) for row in history] == [
        (seed, step) for seed in "34" for step in range(1, 31)
    ]
    assert all(int(row["samples"]) == 32 * int(row["step"]) for row in history)
    assert all(float(row["error"]) > 0 for row in history)
    assert all(0 < float(row["l0"]) <= 8 for row in history)
    # 30 steps are soon over: measured at the end only.
    for name in ("explained_variance", "dead", "cosine_to_truth"):
        assert [row["step"] for row in history if row[name] != "nan"] == ["30", "30"]


def test_history_ends_near_the_metrics(run):
    """It is measured on other samples, and takes latents too that never fire on them."""
    metrics = read_json(run / "metrics.json")
    last = [row for row in rows(run / "history.csv") if row["step"] == "30"]
    explained, cosine = (
        sum(float(row[name]) for row in last) / 2
        for name in ("explained_variance", "cosine_to_truth")
    )
    assert explained == pytest.approx(metrics["explained_variance"]["mean"], abs=0.05)
    assert metrics["cosine_feature_to_latent"]["mean"] - 1e-6 <= cosine < 1


def test_seeds_are_the_same_in_any_company(run, tmp_path):
    ended = run_here(
        train, tmp_path, *SMALL, "seeds=1", "first_seed=4", "sae.l1=0.05", "hydra.run.dir=alone"
    )
    assert ended.code == 0
    name = "checkpoints/seed_4/sae_weights.safetensors"
    assert (tmp_path / "alone" / name).read_bytes() == (run / name).read_bytes()


def test_interval_of_a_single_seed_is_undefined(tmp_path):
    assert run_here(train, tmp_path, *SMALL, "seeds=1", "hydra.run.dir=run").code == 0
    l0 = read_json(tmp_path / "run" / "metrics.json")["l0"]
    assert l0["mean"] > 0
    assert (l0["low"], l0["high"], l0["seeds"]) == (None, None, 1)


def test_divergence_is_said_with_seed_and_step_and_leaves_nothing(tmp_path):
    ended = run_here(train, tmp_path, *SMALL, "trainer.lr=1e30")
    assert ended.code == 1
    assert ended.message == (
        "2 of 2 seeds diverged (seed 0 at step 1: error not finite, "
        "seed 1 at step 1: error not finite); lower trainer.lr = 1e+30"
    )
    assert list(tmp_path.iterdir()) == []


def test_finished_run_is_not_repeated(tmp_path):
    arguments = (*SMALL, "hydra.run.dir=run")
    assert run_here(train, tmp_path, *arguments).code == 0
    before = (tmp_path / "run" / "done.json").stat().st_mtime_ns
    refused = run_here(train, tmp_path, *arguments)
    assert refused.code == 1
    assert "nothing is overwritten" in refused.message
    assert run_here(train, tmp_path, *arguments, "resume=true").code == 0
    assert (tmp_path / "run" / "done.json").stat().st_mtime_ns == before


def killed_in_training(directory, folder, *arguments):
    """Run the command until a stack has been saved below `folder`, then kill it."""
    with subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *arguments],
        cwd=directory, env=environment(), stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not list((directory / folder / ".stacks").glob("*.safetensors")):
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)


def results(path):
    """What a run found, byte for byte; not when, nor how long it took."""
    return {
        name: content
        for name, content in files(path).items()
        if name not in ("done.json", "provenance.json", "run.log")
    }


def test_killed_run_goes_on_to_the_same_bits(tmp_path):
    arguments = (*SMALL, "trainer.steps=20000", "save_every=0")
    killed_in_training(tmp_path, "run", *arguments, "hydra.run.dir=run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".stacks"]
    refused = run_here(train, tmp_path, *arguments, "hydra.run.dir=run")
    assert "holds .stacks already; nothing is overwritten: continue with resume" in refused.message
    assert run_here(train, tmp_path, *arguments, "hydra.run.dir=run", "resume=true").code == 0
    assert run_here(train, tmp_path, *arguments, "hydra.run.dir=whole").code == 0
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    assert not (tmp_path / "run" / ".stacks").exists()
    assert "goes on at step" in (tmp_path / "run" / "run.log").read_text()
    assert "goes on at step" not in (tmp_path / "whole" / "run.log").read_text()


def test_killed_sweep_goes_on_to_the_same_bits(tmp_path):
    arguments = ("-m", *SMALL, "trainer.steps=20000", "save_every=0", "sae.l1=0.1,0.2",
                 "hydra/launcher=stacked")  # fmt: skip
    killed_in_training(tmp_path, "sweep", *arguments, "hydra.sweep.dir=sweep")
    assert run_here(train, tmp_path, *arguments, "hydra.sweep.dir=sweep", "resume=true").code == 0
    assert run_here(train, tmp_path, *arguments, "hydra.sweep.dir=whole").code == 0
    for job in "01":
        assert results(tmp_path / "sweep" / job) == results(tmp_path / "whole" / job)
    assert "goes on at step" in (tmp_path / "sweep" / "1" / "run.log").read_text()
    assert not (tmp_path / "sweep" / ".stacks").exists()


def test_report_that_fails_keeps_the_training(tmp_path, monkeypatch):
    """The disk is full when the files of the run are to be written."""
    arguments = (*SMALL, "save_every=0", "hydra.run.dir=run")

    def fails(self, name, rows):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "table", fails)
        with pytest.raises(OSError, match="no space"):
            run_here(train, tmp_path, *arguments)
    assert list((tmp_path / "run" / ".stacks").iterdir())
    assert run_here(train, tmp_path, *arguments, "resume=true").code == 0
    assert "goes on at step 30" in (tmp_path / "run" / "run.log").read_text()
    assert not (tmp_path / "run" / ".stacks").exists()


def test_diverged_run_keeps_nothing(tmp_path):
    ended = run_here(train, tmp_path, *SMALL, "trainer.lr=1e30", "save_every=0")
    assert ended.code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["-1", "soon", "true", "null"])
def test_save_every_is_a_number_of_seconds(value, tmp_path):
    ended = run_here(train, tmp_path, *SMALL, f"save_every={value}")
    assert ended.code == 1
    assert "must be a number of seconds of at least 0" in ended.message


FAKE_WANDB = """
import json, contextlib, pathlib
class Run:
    def __init__(self, arguments):
        self.record = {"arguments": arguments, "steps": {}}
        self.summary = {}
    def log(self, values, step):
        self.record["steps"][step] = values
class Settings:
    def __init__(self, silent, console):
        assert silent
@contextlib.contextmanager
def init(settings, **arguments):
    folder = pathlib.Path(arguments.pop("dir"))
    run = Run(arguments)
    assert (folder / "done.json").is_file()
    yield run
    (folder / "mirrored.json").write_text(json.dumps({**run.record, "summary": run.summary}))
"""


def test_wandb_gets_a_copy_of_the_finished_files(tmp_path, monkeypatch):
    (tmp_path / "wandb.py").write_text(FAKE_WANDB)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = (*SMALL, "logger=wandb", "logger.entity=me", "hydra.run.dir=sweep/7")
    assert run_here(train, tmp_path, *arguments).code == 0
    copy = read_json(tmp_path / "sweep" / "7" / "mirrored.json")
    assert copy["arguments"]["project"] == "toysae"
    assert copy["arguments"]["entity"] == "me"
    assert (copy["arguments"]["group"], copy["arguments"]["name"]) == ("sweep", "7")
    assert copy["arguments"]["mode"] == "offline"
    assert copy["arguments"]["config"]["sae"]["l1"] == 0.1
    metrics = read_json(tmp_path / "sweep" / "7" / "metrics.json")
    assert copy["summary"]["l0.mean"] == metrics["l0"]["mean"]
    assert len(copy["steps"]) == 30
    losses = {f"{name}/seed_{seed}" for name in ("error", "penalty", "l0") for seed in (0, 1)}
    measured = {
        f"{name}/seed_{seed}"
        for name in ("explained_variance", "dead", "cosine_to_truth")
        for seed in (0, 1)
    }
    assert set(copy["steps"]["29"]) == {"samples"} | losses
    assert set(copy["steps"]["30"]) == {"samples"} | losses | measured
    assert copy["steps"]["30"]["samples"] == 30 * 32


def test_without_wandb_its_logger_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = run_here(train, tmp_path, *SMALL, "logger=wandb")
    assert ended.code == 1
    assert "pip install 'toysae[wandb]'" in ended.message
