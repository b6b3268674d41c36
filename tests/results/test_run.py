from __future__ import annotations

import csv
import json
import logging
import os

import pytest
import torch
from omegaconf import OmegaConf

from toysae.draws import CPU
from toysae.errors import ResultsError
from toysae.results.layout import config_hash
from toysae.results.run import open_run

CONFIG = OmegaConf.create({"width": 4, "sae": {"n_latents": "${width}"}, "threads": 2})


@pytest.fixture
def run(tmp_path):
    opened = open_run(tmp_path / "runs" / "a", CONFIG, ["width=4"], CPU)
    yield opened
    opened.close()


def read(path):
    return json.loads(path.read_text())


def test_opening_records_configuration_and_provenance(run):
    assert sorted(p.name for p in run.path.iterdir()) == [
        "config.yaml", "provenance.json", "run.log",
    ]  # fmt: skip
    assert OmegaConf.load(run.path / "config.yaml") == {"width": 4, "sae": {"n_latents": 4}}
    recorded = read(run.path / "provenance.json")
    assert recorded["config_hash"] == config_hash(CONFIG)
    assert recorded["command"][1:] == ["width=4"]
    assert recorded["packages"]["torch"] == torch.__version__
    assert recorded["device"] == "cpu"


@pytest.mark.parametrize("name", ["done.json", "anything.txt"])
def test_directory_that_holds_files_is_refused_and_kept(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ResultsError, match=rf"holds {name} already; nothing is overwritten"):
        open_run(tmp_path, CONFIG, [], CPU)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_empty_directory_is_taken(tmp_path):
    open_run(tmp_path, CONFIG, [], CPU).close()
    assert (tmp_path / "config.yaml").is_file()


def test_run_cannot_be_opened_twice(run):
    with pytest.raises(ResultsError):
        open_run(run.path, CONFIG, [], CPU)


def test_tables_and_numbers_are_written_where_they_are_named(run):
    run.table("latents.csv", [{"latent": 0, "density": 0.5}])
    run.metrics({"recovered": {"mean": float("nan")}})
    run.json("extra.json", [1])
    with (run.path / "latents.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"latent": "0", "density": "0.5"}]
    assert read(run.path / "metrics.json") == {"recovered": {"mean": None}}
    assert read(run.path / "extra.json") == [1]


def test_done_is_renamed_into_place_last(run, monkeypatch):
    order = []
    rename = os.replace

    def replace(source, destination):
        order.append(destination.name)
        rename(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    run.metrics({"recovered": 1.0})
    run.table("features.csv", [{"feature": "x1"}])
    assert not (run.path / "done.json").exists()
    run.done(training_seconds=1.5)
    assert order == ["metrics.json", "features.csv", "done.json"]
    done = read(run.path / "done.json")
    assert (done["status"], done["training_seconds"]) == ("completed", 1.5)
    assert done["seconds"] >= 0


def test_log_holds_what_is_said_between_opening_and_done(run):
    logger = logging.getLogger("toysae.some.module")
    logger.warning("before %s", "done")
    run.done()
    logger.warning("after")
    lines = (run.path / "run.log").read_text().splitlines()
    assert [line.partition("toysae.some.module: ")[2] for line in lines] == ["before done"]


def test_closing_twice_is_harmless(run):
    handlers = len(logging.getLogger().handlers)
    run.close()
    run.close()
    assert len(logging.getLogger().handlers) == handlers - 1
