from __future__ import annotations

import logging

import pytest
from omegaconf import OmegaConf

from toysae.errors import ConfigError, ResultsError
from toysae.results.failures import record_failure
from toysae.results.layout import config_hash, recorded, write_config
from toysae.results.resume import is_finished

CONFIG = OmegaConf.create({"sae": {"l1": 0.1}, "seeds": 2, "resume": True, "threads": 2})


def changed(**values):
    return OmegaConf.merge(CONFIG, values)


def test_directory_that_is_missing_or_empty_is_ready(tmp_path):
    assert not is_finished(tmp_path / "new", CONFIG, resume=False)
    assert not is_finished(tmp_path, CONFIG, resume=True)


def test_existing_files_are_refused_unless_resumed(tmp_path):
    write_config(tmp_path, CONFIG)
    with pytest.raises(ResultsError, match=r"holds config.yaml already; .* resume=true"):
        is_finished(tmp_path, CONFIG, resume=False)


def test_complete_run_is_finished_and_untouched(tmp_path):
    write_config(tmp_path, CONFIG)
    (tmp_path / "done.json").write_text("{}")
    assert is_finished(tmp_path, CONFIG, resume=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "done.json"}


def test_what_a_killed_or_failed_attempt_left_is_removed(tmp_path):
    record_failure(tmp_path / "run", CONFIG, ConfigError("no"))
    (tmp_path / "run" / "checkpoints").mkdir()
    assert not is_finished(tmp_path / "run", CONFIG, resume=True)
    assert not (tmp_path / "run").exists()


def test_stacks_in_training_are_kept(tmp_path):
    stack = tmp_path / "run" / ".stacks" / "1.safetensors"
    stack.parent.mkdir(parents=True)
    stack.write_text("half a training")
    assert not is_finished(tmp_path / "run", CONFIG, resume=True)
    record_failure(tmp_path / "run", CONFIG, ConfigError("no"))
    assert not is_finished(tmp_path / "run", CONFIG, resume=True)
    assert [path.name for path in (tmp_path / "run").rglob("*")] == [".stacks", "1.safetensors"]
    with pytest.raises(ResultsError, match=r"holds .stacks already"):
        is_finished(tmp_path / "run", CONFIG, resume=False)


def test_another_configuration_is_refused_and_kept(tmp_path):
    write_config(tmp_path, CONFIG)
    with pytest.raises(ResultsError, match=r"another sae.l1, seeds;"):
        is_finished(tmp_path, changed(sae={"l1": 0.2}, seeds=3), resume=True)
    assert (tmp_path / "config.yaml").is_file()


def test_files_that_are_no_run_are_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ResultsError, match=r"no config.yaml; only a run can be resumed"):
        is_finished(tmp_path, CONFIG, resume=True)
    assert (tmp_path / "thesis.tex").is_file()


def test_how_a_run_is_carried_out_is_not_what_it_is():
    assert config_hash(changed(resume=False, threads=None)) == config_hash(CONFIG)
    assert config_hash(changed(seeds=3)) != config_hash(CONFIG)
    assert dict(recorded(CONFIG)) == {"sae": {"l1": 0.1}, "seeds": 2}


def test_order_of_keys_does_not_matter():
    assert config_hash(OmegaConf.create({"a": 1, "b": {"c": 2, "d": 3}})) == config_hash(
        OmegaConf.create({"b": {"d": 3, "c": 2}, "a": 1})
    )


def test_failure_on_purpose_is_a_message_and_a_bug_keeps_its_traceback(tmp_path):
    import json

    record_failure(tmp_path / "a", CONFIG, ConfigError("sae.l1 = -1"))
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        record_failure(tmp_path / "b", CONFIG, error)
    expected, bug = (json.loads((tmp_path / n / "failed.json").read_text()) for n in "ab")
    assert (expected["error"], expected["traceback"]) == ("sae.l1 = -1", None)
    assert bug["error"] == "ZeroDivisionError: division by zero"
    assert "1 / 0" in bug["traceback"]


def test_lines_of_before_the_directory_was_opened_are_in_its_log(tmp_path):
    from toysae.results.run import RunDirectory

    run = RunDirectory(tmp_path)
    run.log(logging.makeLogRecord({"name": "toysae", "msg": "stack of 6"}))
    run.close()
    assert (tmp_path / "run.log").read_text().endswith("toysae: stack of 6\n")
