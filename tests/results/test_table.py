from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from toysae.results.__main__ import main
from toysae.results.files import read_csv
from toysae.results.table import flatten, read_runs, rows, split_by_variation, write_table


def write_run(path: Path, config: dict[str, Any], **files: Any) -> None:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))


def config(l1: float, sizes: tuple[int, ...] = (2, 2)) -> dict[str, Any]:
    return {"seeds": 2, "sae": {"l1": l1, "name": "relu"}, "generator": {"sizes": list(sizes)}}


@pytest.fixture
def sweep(tmp_path):
    """A killed sweep: runs 0 and 10 completed, 2 failed, 3 was running; 1 had not begun."""
    metrics = {"l0": {"mean": 2.5, "low": 2.0, "high": 3.0}, "error": {"mean": None, "low": None}}
    write_run(tmp_path / "10", config(0.2), metrics=metrics, done={"status": "completed"})
    write_run(tmp_path / "0", config(0.1), metrics=metrics, done={"status": "completed"})
    write_run(tmp_path / "2", config(-1), failed={"error": "sae.l1 = -1"})
    write_run(tmp_path / "3", config(0.3))
    (tmp_path / "1").mkdir()
    return tmp_path


def test_state_of_each_run_in_natural_order(sweep):
    assert [(run.name, run.status, run.failure) for run in read_runs(sweep)] == [
        ("0", "completed", ""),
        ("2", "failed", "sae.l1 = -1"),
        ("3", "unfinished", ""),
        ("10", "completed", ""),
    ]


def test_what_varies_comes_first_then_the_rest_then_metrics(sweep):
    assert list(rows(read_runs(sweep))[0]) == [
        "run", "status", "failure", "sae.l1", "seeds", "sae.name", "generator.sizes",
        "l0", "l0.low", "l0.high", "error", "error.low",
    ]  # fmt: skip


def test_csv_holds_every_leaf_and_undefined_cells_are_empty(sweep):
    table = read_csv(write_table(sweep, read_runs(sweep)))
    assert table[0]["l0"] == "2.5"
    assert table[0]["error"] == ""
    assert table[0]["failure"] == ""
    assert table[0]["generator.sizes"] == "[2, 2]"
    assert table[1]["failure"] == "sae.l1 = -1"
    assert table[1]["l0"] == ""


def test_lists_vary_as_a_whole_and_missing_keys_are_a_value(tmp_path):
    write_run(tmp_path / "0", config(0.1, (2, 2)))
    write_run(tmp_path / "1", {**config(0.1, (2, 3)), "extra": 1})
    assert split_by_variation(read_runs(tmp_path)) == (
        ["generator.sizes", "extra"],
        ["seeds", "sae.l1", "sae.name"],
    )


def test_runs_of_several_sweeps_are_found_below_one_directory(tmp_path):
    for name in ("b/2", "a/10", "a/9"):
        write_run(tmp_path / name, config(0.1))
    assert [run.name for run in read_runs(tmp_path)] == ["a/9", "a/10", "b/2"]


def test_flatten_keeps_leaves_only():
    assert flatten({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [1, 2]}


def test_command_shows_what_varies_and_the_metrics(sweep, capsys):
    main([str(sweep)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "status", "sae.l1", "l0", "error"]
    assert lines[1].split() == ["0", "completed", "0.1", "2.5"]
    assert lines[2].split() == ["2", "failed", "-1"]
    assert lines[-2:] == ["2 completed, 1 failed, 1 unfinished", str(sweep / "results.csv")]
    assert (sweep / "results.csv").is_file()


def test_command_shows_the_metrics_that_are_asked_for(sweep, capsys):
    main([str(sweep), "--metrics", "l0.high"])
    assert capsys.readouterr().out.splitlines()[1].split() == ["0", "completed", "0.1", "3"]


def test_terminal_shows_as_many_metrics_as_fit(sweep, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    main([str(sweep), "--metrics", "l0", "l0.low", "error"])
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["run", "status", "sae.l1", "l0"]
    assert lines[5] == "2 more metrics; choose with --metrics"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such directory"),
        (["empty"], "empty: holds no run"),
        (["sweep", "--metrics", "l3"], "--metrics l3: unknown; known: l0, error"),
    ],
)
def test_command_refuses_what_it_cannot_show(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "sweep" / "0", config(0.1), metrics={"l0": {"mean": 1}, "error": 2})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
