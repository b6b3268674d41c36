from __future__ import annotations

import json

import pytest

from toysae.results.__main__ import main
from toysae.results.files import write_csv
from toysae.results.summary import summary

METRICS = {
    "recovered": {"mean": 0.5, "low": 0.25, "high": 0.75, "seeds": 6, "undefined": 0},
    "cosine/set_x": {"mean": 0.9, "low": 0.9, "high": 0.9, "seeds": 6, "undefined": 0},
    "cosine": {"mean": 0.9, "low": 0.8, "high": 1.0, "seeds": 6, "undefined": 0, "chance": 0.6},
    "score": {"mean": None, "low": None, "high": None, "seeds": 6, "undefined": 2},
}
NULLS = [
    {"seed": 0, "sae": "trained", "cosine": 0.9},
    {"seed": 0, "sae": "oracle", "cosine": 1.0, "recovered": 1.0, "score": 0.25},
    {"seed": 0, "sae": "random_decoder", "cosine": 0.5, "recovered": 0.0, "score": "nan"},
    {"seed": 1, "sae": "oracle", "cosine": 1.0, "recovered": 1.0, "score": 0.75},
    {"seed": 1, "sae": "random_decoder", "cosine": 0.7, "recovered": 0.25, "score": 0.1},
]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text("seeds: 6\n")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "done.json").write_text("{}")
    write_csv(tmp_path / "nulls.csv", NULLS)
    return tmp_path


def cells(table):
    """Rows by their first cell, and the headings."""
    columns = [list(column.cells) for column in table.columns]
    return {row[0]: list(row[1:]) for row in zip(*columns)}, [c.header for c in table.columns[1:]]


def test_each_number_stands_beside_what_it_is_to_beat(run):
    rows, headings = cells(summary(run))
    assert headings == ["mean", "95 % interval", "chance", "oracle", "random decoder"]
    assert rows["cosine"] == ["0.9", "0.8 to 1", "0.6", "1", "0.6"]
    assert rows["recovered"] == ["0.5", "0.25 to 0.75", "", "1", "0.125"]
    assert list(rows)[-1] == "cosine/set_x"


def test_undefined_numbers_say_for_how_many_seeds(run):
    rows, _ = cells(summary(run))
    assert rows["score"] == ["", "undefined for 2 seeds", "", "0.5", ""]


def test_a_run_without_nulls(run):
    (run / "nulls.csv").unlink()
    rows, headings = cells(summary(run))
    assert headings == ["mean", "95 % interval", "chance"]
    assert rows["recovered"] == ["0.5", "0.25 to 0.75", ""]


def test_command_shows_a_run_and_writes_nothing(run, capsys):
    before = sorted(run.iterdir())
    main([str(run)])
    assert "0.25 to 0.75" in capsys.readouterr().out
    assert sorted(run.iterdir()) == before


def test_what_is_written_to_a_file_is_not_cut_at_the_width_of_a_terminal(run, capsys):
    name = "explained_variance_of_a_name_that_alone_is_wider_than_the_80_columns_of_a_terminal"
    (run / "metrics.json").write_text(json.dumps({name: METRICS["recovered"]}))
    main([str(run)])
    (line,) = [each for each in capsys.readouterr().out.splitlines() if name in each]
    assert line.split() == [name, "0.5", "0.25", "to", "0.75"]


def test_command_shows_a_sweep_of_one_run_as_a_sweep(run, capsys, tmp_path_factory):
    sweep = tmp_path_factory.mktemp("sweep")
    run.rename(sweep / "0")
    main([str(sweep)])
    assert (sweep / "results.csv").is_file()
    assert "0.25 to 0.75" not in capsys.readouterr().out
